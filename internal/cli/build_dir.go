package cli

import (
	"errors"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// convertDir makes an image of a directory.
func (e *env) convertDir(j *buildJob, src *source, out *output, p *progress, r *buildResult) error {
	j.options.Mkfs.Observe = func(ev mkfs.Event) { p.set(ev.Bytes) }
	w, err := mkfs.New(out.File.File, j.options.Mkfs)
	if err != nil {
		return err
	}
	t, err := e.readDir(j, src, w, r)
	if err == nil && j.options.Edit != nil {
		err = j.options.Edit(t)
	}
	if err != nil {
		return errors.Join(err, w.Close())
	}
	r.Summary, err = w.Finish(t)
	return err
}

// readDir reads a directory into a tree, its files into spool.
func (e *env) readDir(j *buildJob, src *source, spool tree.Spool, r *buildResult) (*tree.Tree, error) {
	return dirtree.Read(src.path, convert.Cancelled(e.ctx, spool), dirtree.Options{
		Exclude:       j.exclude,
		OneFileSystem: j.oneFileSystem,
		NoXattrs:      j.options.Mkfs.DropXattrs,
		Warn: func(w dirtree.Warning) {
			r.warnings++
			j.warning(j.input + ": " + w.String())
		},
	})
}
