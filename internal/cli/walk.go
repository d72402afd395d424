package cli

import (
	"context"
	"fmt"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/tree"
)

// walker visits the inodes below a directory, parents first. Every directory has one name, so in an
// image that says otherwise the walk ends with an error instead of going in circles.
type walker struct {
	ctx  context.Context
	im   *imageFile
	seen map[uint64]struct{}
	// visit is called for every name: the directory it is in, its path, its inode.
	visit func(parent *erofs.Inode, path string, i *erofs.Inode) error
	deep  bool // go into directories
}

func (e *env) walk(im *imageFile, dir *erofs.Inode, prefix string, deep bool, visit func(parent *erofs.Inode, path string, i *erofs.Inode) error) error {
	w := &walker{ctx: e.ctx, im: im, seen: map[uint64]struct{}{dir.NID: {}}, visit: visit, deep: deep}
	return w.directory(dir, prefix, 0)
}

func (w *walker) directory(dir *erofs.Inode, prefix string, depth int) error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	if depth >= tree.MaxDepth {
		return fmt.Errorf("/%s: more than %d levels deep", printable(prefix), tree.MaxDepth)
	}
	entries, err := dir.Entries()
	if err != nil {
		return fmt.Errorf("/%s: %w", printable(prefix), err)
	}
	for _, d := range entries {
		path := prefix + d.Name
		i, err := w.im.Inode(d.NID)
		if err == nil {
			err = w.once(i)
		}
		if err != nil {
			return fmt.Errorf("/%s: %w", printable(path), err)
		}
		if err := w.visit(dir, path, i); err != nil {
			return err
		}
		if w.deep && i.IsDir() {
			if err := w.directory(i, path+"/", depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// once refuses a directory that has been visited.
func (w *walker) once(i *erofs.Inode) error {
	if !i.IsDir() {
		return nil
	}
	if _, again := w.seen[i.NID]; again {
		return &erofs.FormatError{Off: -1, Field: "directory entry: nid", Got: i.NID, Why: "is a directory that has another name"}
	}
	w.seen[i.NID] = struct{}{}
	return nil
}
