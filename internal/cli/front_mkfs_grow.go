package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// grow is --incremental: the sources are laid over the image that is there, as an upper layer. The image is copied,
// by reference where the file system can; data and metadata go behind what it has, and the new file replaces it. So
// the blocks of its files stay where they are, and after a crash the image is the old one or the new one.
func (e *env) grow(f *mkfsFront) (r buildResult, err error) {
	j := &f.job
	m := &merger{e: e, warn: j.warn}
	defer m.close()
	old, err := m.openOld(f)
	if err != nil {
		return r, err
	}
	out, err := e.create(j.output)
	if err != nil {
		return r, err
	}
	defer func() { _ = out.Close() }() // after Commit it does nothing
	if j.options.Mkfs.TempDir == "" {
		j.options.Mkfs.TempDir = out.Dir()
	}
	if err := copyImage(e.ctx, out, old); err != nil {
		return r, err
	}
	p, err := e.startProgress(j.progress, j.output, -1)
	if err != nil {
		return r, err
	}
	m.p = p
	err = m.grow(f, out, &r)
	p.close()
	if err == nil {
		err = convert.ReadBack(out.File.File) // before it gets its name
	}
	if err != nil {
		return r, err
	}
	m.close() // there are systems that do not replace open files
	return r, out.Commit()
}

// openOld opens the image to grow, adds its tree, and takes from it what is not to change.
func (m *merger) openOld(f *mkfsFront) (*imageFile, error) {
	j := &f.job
	o := &j.options.Mkfs
	im, err := openImage(j.output, 0, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("%s: --incremental adds to an image: there is none", j.output)
	}
	if err != nil {
		return nil, err
	}
	m.open = append(m.open, im)
	if im.complete() != nil {
		return nil, usagef("%s: has data in another file: --incremental needs a whole image", j.output)
	}
	s := im.Superblock()
	if bs := int(s.BlockSize()); o.BlockSize != 0 && o.BlockSize != bs {
		return nil, usagef("-b%d: %s has blocks of %d bytes", o.BlockSize, j.output, bs)
	}
	o.BlockSize, o.Keep = int(s.BlockSize()), im.size
	if o.Label == "" {
		o.Label = im.Label()
	}
	return im, m.locator(0, false)(j.output, im.Image)
}

// copyImage copies an image to where it will grow.
func copyImage(ctx context.Context, out *output, im *imageFile) error {
	const step = 64 << 20 // of what cannot be interrupted
	for left := im.size; left > 0; left -= step {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if _, err := io.CopyN(out.File.File, im.open[0], min(left, step)); err != nil {
			return err
		}
	}
	return nil
}

// grow lays the sources over the layer that is there.
func (m *merger) grow(f *mkfsFront, out *output, r *buildResult) error {
	j := &f.job
	o := j.options.Mkfs
	o.Owner, o.DropXattrs = nil, false // they are about what is new
	o.Observe = func(ev mkfs.Event) { m.p.set(ev.Bytes) }
	w, err := mkfs.New(out.File.File, o)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	for _, path := range f.sources {
		if err := m.addUpper(f, path, w, r); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, t := range m.layers[1:] {
		settle(t, &j.options.Mkfs)
		if f.dereference {
			if err := dereference(t); err != nil {
				return err
			}
		}
	}
	t, err := m.merged(!f.strip)
	if err != nil {
		return err
	}
	r.Summary, err = w.Finish(t)
	return err
}

// addUpper adds a source of any kind, its data where the Writer is.
func (m *merger) addUpper(f *mkfsFront, path string, w *mkfs.Writer, r *buildResult) error {
	j := &f.job
	src, err := m.e.openSource(path)
	if err != nil {
		return err
	}
	m.open = append(m.open, src.file)
	r.kind = src.kind
	var t *tree.Tree
	switch {
	case f.tar && src.kind != sourceStream:
		return usagef("is %s, not %s", sourceNames[src.kind], sourceNames[sourceStream])
	case src.kind == sourceDir:
		t, err = m.e.readDir(j, src, w, r)
	case src.kind == sourceImage:
		return m.addCopied(f, path)
	case f.tar:
		var spool tree.Spool = convert.Cancelled(m.e.ctx, w)
		if f.content == contentReserve {
			spool = reserver{spool}
		}
		j.warnOfTar(r)
		o := j.options
		o.Edit = nil // of the whole
		_, t, err = convert.Tree(m.e.reader(m.p.reader(src.file)), func(tartree.Compression) (tree.Spool, error) { return spool, nil }, o)
		err = src.unknown(err)
	default:
		return usagef("is %s, not %s or %s", sourceNames[src.kind], sourceNames[sourceDir], sourceNames[sourceImage])
	}
	m.layers = append(m.layers, t)
	return err
}

// addCopied adds an image whose data is copied.
func (m *merger) addCopied(f *mkfsFront, path string) error {
	if f.content == contentZero {
		return usagef("--incremental=0: of images, there is data or rvsp only")
	}
	im, err := m.openImage(path)
	if err != nil {
		return err
	}
	if err := m.addTree(path, im.Image); err != nil {
		return err
	}
	if f.content == contentReserve {
		reserve(m.layers[len(m.layers)-1])
	}
	return nil
}

// settle gives the inodes of a tree the owners that options want.
func settle(t *tree.Tree, o *mkfs.Options) {
	for _, n := range t.Inodes() {
		if o.Owner != nil {
			n.UID, n.GID = o.Owner(n.UID, n.GID)
		}
		if o.DropXattrs {
			n.Xattrs = nil
		}
	}
}
