package cli

import (
	"errors"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/mkfs"
)

// convertDir makes an image of a directory.
func (e *env) convertDir(j *buildJob, src *source, out *output, p *progress, r *buildResult) error {
	o := dirtree.Options{
		Exclude:       j.exclude,
		OneFileSystem: j.oneFileSystem,
		NoXattrs:      j.options.Mkfs.DropXattrs,
		Warn: func(w dirtree.Warning) {
			r.warnings++
			j.warning(j.input + ": " + w.String())
		},
	}
	j.options.Mkfs.Observe = func(ev mkfs.Event) { p.set(ev.Bytes) }
	w, err := mkfs.New(out.File.File, j.options.Mkfs)
	if err != nil {
		return err
	}
	t, err := dirtree.Read(src.path, convert.Cancelled(e.ctx, w), o)
	if err == nil && j.options.Edit != nil {
		err = j.options.Edit(t)
	}
	if err != nil {
		return errors.Join(err, w.Close())
	}
	r.Summary, err = w.Finish(t)
	return err
}
