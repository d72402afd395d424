package convert

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/laminafs/lamina/internal/durable"
	"github.com/laminafs/lamina/internal/oci"
)

// Profile names the bytes that Layer makes of a layer with the zero Options. It changes when they do,
// so that blobs of an older version are never taken for those of this one.
const Profile = "2"

// Blobs is a directory of converted layers:
//
//	<dir>/<profile>/<algorithm>/ab/<hex>.erofs   a layer, by its diffID; never changed once it is there
type Blobs struct{ Dir string }

// Path is where the EROFS image of a layer is, or will be.
func (b Blobs) Path(l *oci.Layer) string {
	hex := l.DiffID.Encoded()
	return filepath.Join(b.Dir, Profile, l.DiffID.Algorithm().String(), hex[:2], hex+".erofs")
}

// ImagePlan is what is to be done for an OCI image.
type ImagePlan struct {
	Blobs   []string // of the layers, the lowest first
	Bytes   int64    // of the layers that Run will convert, as they are in the OCI image
	Workers int      // layers that are converted at once

	im      *oci.Image
	missing []int
}

// Plan looks which layers of an image have no whole blob yet. It changes nothing.
func (b Blobs) Plan(im *oci.Image) (*ImagePlan, error) {
	// One conversion keeps about two processors busy.
	p := &ImagePlan{im: im, Workers: max(1, runtime.GOMAXPROCS(0)/2)}
	seen := make(map[string]bool)
	for i := range im.Layers {
		l := &im.Layers[i]
		path := b.Path(l)
		p.Blobs = append(p.Blobs, path)
		if seen[path] {
			continue
		}
		seen[path] = true
		whole, err := isWhole(path)
		if err != nil {
			return nil, err
		}
		if whole {
			continue
		}
		p.missing = append(p.missing, i)
		p.Bytes += l.Size
	}
	return p, nil
}

// Done tells whether every layer has its blob.
func (p *ImagePlan) Done() bool { return len(p.missing) == 0 }

// Run makes the missing blobs. observe, if not nil, is told of every n bytes read of a layer, on several
// goroutines. The first error ends all conversions and is returned once they have ended. A blob that is
// there is whole and durable, also after an error or a crash, and has the digests that the image
// claims. Two processes may run the same plan at once: their bytes are the same.
func (p *ImagePlan) Run(ctx context.Context, observe func(n int)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(len(p.missing), max(1, p.Workers)) {
		wg.Go(func() {
			for i := range next {
				if err := p.convert(ctx, i, observe); err != nil {
					cancel(fmt.Errorf("layer %d: %w", i, err)) // the first one counts
				}
			}
		})
	}
	for _, i := range p.missing {
		if ctx.Err() != nil {
			break
		}
		next <- i // a worker comes soon: after cancel, reading fails
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// convert makes the blob of layer i.
func (p *ImagePlan) convert(ctx context.Context, i int, observe func(n int)) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r, err := p.im.OpenLayer(i)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // only read
	blob := p.Blobs[i]
	if err := os.MkdirAll(filepath.Dir(blob), 0o700); err != nil {
		return err
	}
	out, err := durable.Create(blob)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // after Commit it does nothing
	o := Options{DiffID: p.im.Layers[i].DiffID.String()}
	o.Mkfs.TempDir = out.Dir()
	if _, err := Layer(&watched{ctx, r, observe}, out.File, o); err != nil {
		return err
	}
	if err := ReadBack(out.File); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return out.Commit()
}

// watched is a reader that fails once ctx is cancelled and tells of what it has read.
type watched struct {
	ctx     context.Context
	r       io.Reader
	observe func(n int)
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	n, err := w.r.Read(p)
	if w.observe != nil {
		w.observe(n)
	}
	return n, err
}
