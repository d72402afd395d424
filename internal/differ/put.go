package differ

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/tartree"
)

// compressors by what they make; none for tartree.None.
var compressors = map[tartree.Compression]func(io.Writer) (io.WriteCloser, error){
	tartree.Gzip: func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
	tartree.Zstd: func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
}

// messageSize is how much goes to the content store at once: each write is a message to containerd.
const messageSize = 1 << 20

// put writes a layer to the content store. An upload under a reference of its own is gone after an error.
func (d *Differ) put(ctx context.Context, c *diff.Config, f *form, p *pair) (_ ocispec.Descriptor, err error) {
	ref := c.Reference
	if ref == "" {
		ref = "lamina-diff-" + rand.Text()
	}
	cw, err := d.content.Writer(ctx, content.WithRef(ref), content.WithDescriptor(ocispec.Descriptor{MediaType: f.mediaType}))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer func() {
		err = errors.Join(err, ignoreClosed(cw.Close()))
		if err != nil && c.Reference == "" {
			_ = d.content.Abort(context.WithoutCancel(ctx), ref) // the error is told of; a collection would do it too
		}
	}()
	sum, how, err := d.upload(ctx, cw, f, p)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	diffID := digest.NewDigest(digest.SHA256, sum)
	dgst := cw.Digest()
	set := maps.Clone(c.Labels)
	if set == nil {
		set = make(map[string]string)
	}
	set[labels.LabelUncompressed] = diffID.String()
	if err := cw.Commit(ctx, 0, dgst, content.WithLabels(set)); err != nil && !errdefs.IsAlreadyExists(err) {
		return ocispec.Descriptor{}, err
	}
	info, err := d.content.Info(ctx, dgst)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if info.Labels[labels.LabelUncompressed] == "" { // it was there already, without the label
		info.Labels = map[string]string{labels.LabelUncompressed: diffID.String()}
		if _, err := d.content.Update(ctx, info, "labels."+labels.LabelUncompressed); err != nil {
			return ocispec.Descriptor{}, err
		}
	}
	d.observe(how, f.mediaType, info.Size)
	return ocispec.Descriptor{MediaType: f.mediaType, Digest: info.Digest, Size: info.Size}, nil
}

// ignoreClosed drops the error of closing a writer that Commit has closed.
func ignoreClosed(err error) error {
	if errdefs.IsNotFound(err) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// upload writes the layer, compressed, and returns the hash of its uncompressed form. A layer that turns out
// to need a comparison is begun again.
func (d *Differ) upload(ctx context.Context, cw content.Writer, f *form, p *pair) (hash.Hash, How, error) {
	how := Streamed
	if p.blob == nil && p.dir == "" {
		how = Compared
	}
	for begun := false; ; begun = true {
		if st, err := cw.Status(); err != nil {
			return nil, how, err
		} else if begun || st.Offset > 0 { // an upload under this reference that was not finished
			if err := cw.Truncate(0); err != nil {
				return nil, how, err
			}
		}
		sum, err := d.encode(ctx, cw, f, p)
		if how == Streamed && errors.Is(err, errDepends) {
			p.dir, p.blob, how = "", nil, Compared
			continue
		}
		return sum, how, err
	}
}

func (d *Differ) encode(ctx context.Context, cw io.Writer, f *form, p *pair) (hash.Hash, error) {
	sum := sha256.New()
	buf := bufio.NewWriterSize(cw, messageSize)
	if f.compress == nil {
		if err := d.write(ctx, io.MultiWriter(buf, sum), f, p); err != nil {
			return nil, err
		}
		return sum, buf.Flush()
	}
	z, err := f.compress(buf)
	if err != nil {
		return nil, fmt.Errorf("compressor: %w", err)
	}
	err = d.write(ctx, io.MultiWriter(z, sum), f, p)
	if cerr := z.Close(); err == nil { // also after an error: it may have goroutines
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	return sum, buf.Flush()
}
