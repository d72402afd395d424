package cli

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/tree"
)

// extractFlags say how a tree is written into a directory.
type extractFlags struct {
	overwrite, noOwners, noWhiteouts bool
}

func newExtract(e *env) *cobra.Command {
	var open openFlags
	var flags extractFlags
	var dir string
	cmd := &cobra.Command{
		Use:   "extract [flags] IMAGE DIR [PATH...]",
		Short: "Write the files of an image into a directory",
		Long: `Write the files of an image into a directory, with owners, times, extended attributes, hard links,
devices and holes as far as the rights of the caller go. With PATH, only these files and directories,
each at the same path below DIR. Nothing is written outside of DIR, whatever links are in it. If reading or
writing fails half-way, DIR is left half filled.`,
		Example: "  lamina extract layer.erofs rootfs\n  lamina extract layer.erofs . etc/ssl usr/bin/openssl",
		Args:    usageArgs(cobra.MinimumNArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			im, err := open.open(args[0])
			if err != nil {
				return err
			}
			defer im.close()
			dir = args[1]
			t, err := im.Tree()
			if err == nil {
				err = im.complete()
			}
			if err == nil && len(args) > 2 {
				t, err = part(t, args[2:])
			}
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			defer im.ahead(t)()
			return e.extractTree(args[0], t, dir, flags)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&flags.overwrite, "overwrite", false, "replace files that are in the way")
	f.BoolVar(&flags.noOwners, "no-owners", os.Geteuid() != 0, "let everything belong to the caller")
	f.BoolVar(&flags.noWhiteouts, "no-whiteouts", false, "leave out whiteouts and opaque marks of a layer")
	open.register(f)
	return cmd
}

// ahead has the small files of a compressed image decoded on all processors, before they are read one
// after the other; stop must be called when they were.
func (im *imageFile) ahead(t *tree.Tree) (stop func()) {
	if sb := im.Superblock(); sb.Algorithms() == 0 {
		return func() {}
	}
	return tree.ReadAhead(t)
}

// extractTree writes the tree of an image into a directory and warns of what could not be kept.
func (e *env) extractTree(image string, t *tree.Tree, dir string, flags extractFlags) error {
	for _, n := range t.Inodes() {
		if n.Content != nil {
			n.Content = cancelContent{e.ctx, n.Content}
		}
	}
	err := dirtree.Extract(t, dir, dirtree.ExtractOptions{
		Overwrite: flags.overwrite, NoOwners: flags.noOwners, NoWhiteouts: flags.noWhiteouts,
		Warn: func(w dirtree.Warning) { e.warn("%s: %s", dir, w) },
	})
	if err != nil {
		return fmt.Errorf("%s: to %s: %w", image, dir, err)
	}
	return nil
}

// cancelContent fails once the command is cancelled.
type cancelContent struct {
	ctx context.Context
	tree.Content
}

// ReadAt implements io.ReaderAt.
func (c cancelContent) ReadAt(p []byte, off int64) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.Content.ReadAt(p, off)
}

// part is the tree with the given paths only, and the directories above them.
func part(t *tree.Tree, paths []string) (*tree.Tree, error) {
	out := &tree.Tree{Root: emptyDir(t.Root)}
	for _, p := range paths {
		name := fsName(p)
		if t.Lookup(p) == nil {
			return nil, &fs.PathError{Op: "extract", Path: printable(name), Err: fs.ErrNotExist}
		}
		if name == "." {
			return t, nil
		}
		graft(out.Root, t.Root, name)
	}
	return out, nil
}

// graft gives the directory to what from has at the path, which exists.
func graft(to, from *tree.Node, path string) {
	for {
		name, rest, more := cut(path)
		child := from.Lookup(name)
		if !more {
			to.Add(name, child)
			return
		}
		next := to.Lookup(name)
		if next == child {
			return // all of it is there already
		}
		if next == nil {
			next = emptyDir(child)
			to.Add(name, next)
		}
		to, from, path = next, child, rest
	}
}

func cut(path string) (name, rest string, more bool) {
	for i := range len(path) {
		if path[i] == '/' {
			return path[:i], path[i+1:], true
		}
	}
	return path, "", false
}

// emptyDir is a directory with the metadata of n and nothing in it.
func emptyDir(n *tree.Node) *tree.Node {
	d := tree.NewDir(n.Mode)
	d.UID, d.GID, d.Mtime, d.Nsec, d.Xattrs = n.UID, n.GID, n.Mtime, n.Nsec, n.Xattrs
	return d
}
