package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/oci"
)

// convertLayers returns the EROFS images of the layers, the lowest first, and makes those that are not
// there. A layer that does not have the digests that the image claims becomes no blob.
func (e *env) convertLayers(j *runJob, im *oci.Image, s *state) ([]string, error) {
	var blobs []string
	missing := make(map[digest.Digest]int)
	var order []int
	var total int64
	for i, l := range im.Layers {
		blobs = append(blobs, s.blob(l.DiffID))
		_, err := os.Stat(blobs[i])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if _, twice := missing[l.DiffID]; err == nil || twice {
			continue
		}
		missing[l.DiffID] = i
		order = append(order, i)
		total += l.Size
	}
	if len(order) == 0 {
		return blobs, nil
	}
	p, err := e.startProgress(j.progress, "converting layers", total)
	if err != nil {
		return nil, err
	}
	defer p.close()
	return blobs, e.eachLayer(order, func(i int) error {
		if err := e.convertLayer(im, i, blobs[i], p); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		return nil
	})
}

// eachLayer calls fn for the layers, a few at a time: one conversion keeps about two processors busy.
func (e *env) eachLayer(layers []int, fn func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(layers))
	next := make(chan int)
	for range max(1, min(len(layers), runtime.GOMAXPROCS(0)/2)) {
		wg.Go(func() {
			for n := range next {
				errs[n] = fn(layers[n])
			}
		})
	}
	failed := func() bool { return e.ctx.Err() != nil }
	for n := range layers {
		if failed() {
			break
		}
		next <- n
	}
	close(next)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err // the first in the order of the layers; the others are likely the same
		}
	}
	return nil
}

// convertLayer makes the blob of a layer. Two processes may do so at once: the bytes are the same.
func (e *env) convertLayer(im *oci.Image, i int, blob string, p *progress) error {
	r, err := im.OpenLayer(i)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if err := os.MkdirAll(filepath.Dir(blob), 0o700); err != nil {
		return err
	}
	out, err := e.create(blob)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // after Commit it does nothing
	res, err := convert.Layer(e.reader(p.reader(r)), out.File.File, convert.Options{})
	if err != nil {
		return err
	}
	if want := im.Layers[i].DiffID.String(); res.DiffID != want {
		return fmt.Errorf("the uncompressed tar has the digest %s, the image config says %s: %w", res.DiffID, want, oci.ErrInvalid)
	}
	return out.Commit()
}
