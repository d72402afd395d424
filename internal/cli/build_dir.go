package cli

import (
	"context"
	"errors"
	"io"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
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
	t, err := dirtree.Read(src.path, &cancelSpool{e.ctx, w}, o)
	if err == nil && j.options.Edit != nil {
		err = j.options.Edit(t)
	}
	if err != nil {
		return errors.Join(err, w.Close())
	}
	r.Summary, err = w.Finish(t)
	return err
}

// cancelSpool fails once the command is cancelled.
type cancelSpool struct {
	ctx   context.Context
	spool tree.Spool
}

// Put implements tree.Spool.
func (s *cancelSpool) Put(f tree.File, r io.Reader) (tree.Content, error) {
	if s.ctx.Err() != nil {
		return nil, context.Cause(s.ctx)
	}
	return s.spool.Put(f, r)
}
