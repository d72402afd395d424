package differ

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/fsck"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
	"github.com/laminafs/lamina/tartree"
)

// native makes the blob of a layer that is an EROFS image.
func (d *Differ) native(ctx context.Context, in io.Reader, t *layerType, l Layer) (ocispec.Descriptor, error) {
	st, err := d.store.Stage(ctx)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer func() { _ = st.Discard() }() // does nothing after Publish
	var diffID digest.Digest
	var size int64
	if l.File != "" && t.plain() && l.FileDigest != "" {
		// The digest of the file, not the diffID: that is from the image's config, which may lie.
		diffID = l.FileDigest
		if err := st.Adopt(l.File); err != nil {
			return ocispec.Descriptor{}, err
		}
		fi, err := st.File().Stat()
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		size = fi.Size()
	} else if diffID, size, err = decode(in, t, st.File()); err != nil {
		return ocispec.Descriptor{}, err
	}
	if l.DiffID != "" && diffID != l.DiffID {
		return ocispec.Descriptor{}, &convert.DigestError{Got: diffID.String(), Want: l.DiffID.String()}
	}
	if err := check(ctx, st.File(), size); err != nil {
		return ocispec.Descriptor{}, err
	}
	st.ImageDigest = diffID
	if _, err := st.Publish(ctx, store.Key{Profile: store.ProfileNative, Digest: diffID}, l.Snapshot); err != nil {
		return ocispec.Descriptor{}, err
	}
	d.observe(Native, l.MediaType, size)
	return described(t, diffID, size), nil
}

// kickSize is how much is written before the disk is set to work on it: Publish waits for all of it.
const kickSize = 8 << 20

// kicked writes a file from its start.
type kicked struct {
	f          *os.File
	at, kicked int64
}

// Write implements io.Writer.
func (k *kicked) Write(p []byte) (int, error) {
	n, err := k.f.WriteAt(p, k.at)
	k.at += int64(n)
	if k.at-k.kicked >= kickSize {
		startWriteback(k.f, k.kicked, k.at-k.kicked)
		k.kicked = k.at
	}
	return n, err
}

// decode writes the uncompressed form of a layer to out and returns its digest and length.
func decode(in io.Reader, t *layerType, out *os.File) (digest.Digest, int64, error) {
	sum := sha256.New()
	r, c, err := tartree.DecompressTap(in, sum)
	if err != nil {
		return "", 0, err
	}
	if c != t.compression {
		err = fmt.Errorf("an EROFS layer with compression %s, its media type says %s: %w", c, t.compression, tartree.ErrArchive)
	}
	var n int64
	if err == nil {
		n, err = r.(io.WriterTo).WriteTo(&kicked{f: out})
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return "", n, err
	}
	return digest.NewDigest(digest.SHA256, sum), n, nil
}

// check refuses images that must not come before the kernel, or that mean something else to it than to the
// image specification. Its time is that of the metadata, its memory that of the inodes.
func check(ctx context.Context, f *os.File, size int64) error {
	r, err := fsck.Check(&watchedAt{ctx, f}, size, fsck.Options{MaxFindings: maxFindings})
	if err != nil {
		return err
	}
	for _, f := range r.Findings {
		if f.Severity == fsck.Error || slices.Contains(refused, f.Code) {
			return fmt.Errorf("EROFS layer: %s: %w", f, errdefs.ErrInvalidArgument)
		}
	}
	for _, c := range refused { // when milder findings filled the list
		if r.Counts[c] > 0 {
			return fmt.Errorf("EROFS layer: %d of %s: %w", r.Counts[c], c, errdefs.ErrInvalidArgument)
		}
	}
	if r.Unwalked > 0 {
		return fmt.Errorf("EROFS layer: %d directories or inodes are compressed, so they cannot be checked: %w", r.Unwalked, errdefs.ErrInvalidArgument)
	}
	return nil
}

// maxFindings bounds memory; errors displace what is milder.
const maxFindings = 100

// refused are findings that are no errors of the format: names of whiteouts, which would become visible;
// data on devices that nobody gave; a number of blocks, which the kernel does not look at, that the file
// does not have.
var refused = []fsck.Code{fsck.DirWhiteout, fsck.DeviceAbsent, fsck.SuperBlocks}

// watchedAt fails once ctx is cancelled.
type watchedAt struct {
	ctx context.Context
	r   io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (w *watchedAt) ReadAt(p []byte, off int64) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	return w.r.ReadAt(p, off)
}
