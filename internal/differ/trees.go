package differ

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// writeBlob writes the blob of a committed snapshot.
func (d *Differ) writeBlob(ctx context.Context, w io.Writer, f *form, p *pair) (err error) {
	file, err := os.Open(d.store.Path(*p.blob))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	if f.native && f.epoch == nil && p.blob.Profile == store.ProfileNative {
		_, err := io.Copy(w, &watched{ctx: ctx, r: file}) // the very layer
		return err
	}
	var devices []io.ReaderAt
	for _, path := range d.store.DevicePaths(*p.blob) {
		dev, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = dev.Close() }() // only read
		devices = append(devices, dev)
	}
	for i, dev := range devices {
		devices[i] = &watchedAt{ctx, dev}
	}
	im, err := erofs.Open(&watchedAt{ctx, file}, devices...)
	if err != nil {
		return fmt.Errorf("blob %s: %w", p.blob.Key, err)
	}
	t, err := im.Tree()
	if err != nil {
		return fmt.Errorf("blob %s: %w", p.blob.Key, err)
	}
	return d.writeTree(ctx, w, f, p, t)
}

// writeTree writes a tree in overlay form as a layer.
func (d *Differ) writeTree(ctx context.Context, w io.Writer, f *form, p *pair, t *tree.Tree) error {
	for _, n := range t.Inodes() {
		if depends(n) {
			return errDepends
		}
		implied := n.IsDir() && n.Implied()
		p.clean(n, f)
		if n.IsDir() {
			n.SetImplied(implied)
			markWhiteouts(n)
		}
	}
	if !f.native {
		return tartree.Write(w, t, tartree.WriteOptions{})
	}
	return d.viaFile(ctx, w, func(out *os.File, dir string) error {
		iw, err := mkfs.New(out, mkfs.Options{TempDir: dir})
		if err != nil {
			return err
		}
		_, err = iw.Finish(t)
		return err
	})
}

// markWhiteouts marks a directory that has whiteouts, as layers in EROFS form do: see tartree.Overlay.
func markWhiteouts(n *tree.Node) {
	for _, e := range n.Entries() {
		if e.Node.IsWhiteout() {
			n.SetXattr(originXattr, "")
			return
		}
	}
}

// writeImage writes an upper directory as an EROFS image.
func (d *Differ) writeImage(ctx context.Context, w io.Writer, f *form, p *pair) error {
	return d.viaFile(ctx, w, func(out *os.File, dir string) error {
		o := convert.DirOptions{Edit: func(t *tree.Tree) error {
			for _, n := range t.Inodes() {
				p.clean(n, f)
				markWhiteouts(n)
			}
			return nil
		}}
		o.Mkfs.TempDir = dir
		_, err := convert.Dir(ctx, p.dir, out, o)
		if errors.Is(err, errors.ErrUnsupported) {
			err = fmt.Errorf("%w: %w", errDepends, err)
		}
		return err
	})
}

// viaFile has an image made in a file and copies that to w.
func (d *Differ) viaFile(ctx context.Context, w io.Writer, fill func(out *os.File, dir string) error) error {
	st, err := d.store.Stage(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Discard() }() // it was a temporary file
	if err := fill(st.File(), st.Dir()); err != nil {
		return err
	}
	info, err := st.File().Stat()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, &watched{ctx: ctx, r: io.NewSectionReader(st.File(), 0, info.Size())})
	return err
}
