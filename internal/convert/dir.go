package convert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// DirOptions of Dir; the zero value works.
type DirOptions struct {
	Mkfs mkfs.Options // Owner maps the owners

	// Warn, if set, is told of what is left out (sockets).
	Warn func(dirtree.Warning)

	// Edit, if set, may change the tree before the metadata is written.
	Edit func(*tree.Tree) error
}

// The attributes of overlayfs, as in package tree.
const (
	overlayXattrs  = "trusted.overlay."
	originXattr    = overlayXattrs + "origin"
	escapedXattrs  = overlayXattrs + "overlay."
	whiteoutsXattr = overlayXattrs + "whiteouts"
)

// Dir writes to out an EROFS image of the upper directory of an overlay, to be a lower one: whiteouts and
// opaque marks stay, the books that overlayfs keeps about the lower directories it had go. Directories
// on which another file system is mounted stay empty.
//
// The directory must not change meanwhile. Files and directories that depend on lower ones by more than
// their name (redirect, metacopy) give an error that matches errors.ErrUnsupported. The caller syncs out,
// and discards it after an error.
func Dir(ctx context.Context, dir string, out mkfs.File, o DirOptions) (mkfs.Summary, error) {
	w, err := mkfs.New(out, o.Mkfs)
	if err != nil {
		return mkfs.Summary{}, err
	}
	t, err := dirtree.Read(dir, Cancelled(ctx, w), dirtree.Options{OneFileSystem: true, Warn: o.Warn})
	if err == nil {
		err = unbook(t)
	}
	if err == nil && o.Edit != nil {
		err = o.Edit(t)
	}
	if err != nil {
		return mkfs.Summary{}, errors.Join(err, w.Close())
	}
	return w.Finish(t)
}

// unbook makes an upper directory a lower one.
func unbook(t *tree.Tree) error {
	return t.Walk(func(path string, n *tree.Node) error {
		for _, x := range n.Xattrs {
			if x.Name == overlayXattrs+"redirect" || x.Name == overlayXattrs+"metacopy" {
				return fmt.Errorf("convert: %q: %s: %w", path, x.Name, errors.ErrUnsupported)
			}
		}
		if slices.ContainsFunc(n.Xattrs, isBook) {
			n.Xattrs = slices.DeleteFunc(slices.Clone(n.Xattrs), isBook)
		}
		// With this mark overlayfs hides whiteouts also where it has nothing to merge (Linux b79e05aaa166).
		if n.IsDir() && slices.ContainsFunc(n.Entries(), func(e tree.Entry) bool { return e.Node.IsWhiteout() }) {
			n.SetXattr(originXattr, "")
		}
		return nil
	})
}

// isBook tells whether an attribute is of use in the overlay only that wrote it.
func isBook(x tree.Xattr) bool {
	switch {
	case !strings.HasPrefix(x.Name, overlayXattrs), strings.HasPrefix(x.Name, escapedXattrs):
		return false
	case x.Name == tree.OpaqueXattr, x.Name == whiteoutsXattr, x.Name == overlayXattrs+"whiteout":
		return false
	}
	return true
}

// Cancelled is spool until ctx is cancelled; then it fails with the cause.
func Cancelled(ctx context.Context, spool tree.Spool) tree.Spool { return &cancelled{ctx, spool} }

type cancelled struct {
	ctx   context.Context
	spool tree.Spool
}

// Put implements tree.Spool.
func (s *cancelled) Put(f tree.File, r io.Reader) (tree.Content, error) {
	if s.ctx.Err() != nil {
		return nil, context.Cause(s.ctx)
	}
	return s.spool.Put(f, r)
}
