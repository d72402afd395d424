package differ

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/tree"
)

// writeDifference mounts both snapshots, compares them and writes the layer.
func (d *Differ) writeDifference(ctx context.Context, w io.Writer, f *form, p *pair) error {
	return d.withRoot(ctx, &p.lower, func(lower *tree.Tree) error {
		return d.withRoot(ctx, &p.upper, func(upper *tree.Tree) error {
			diff, err := tree.Diff(lower, upper)
			if err != nil {
				return err
			}
			return d.writeTree(ctx, w, f, p, diff)
		})
	})
}

// withRoot mounts a snapshot and calls fn with its tree, whose contents can be read until fn returns.
func (d *Differ) withRoot(ctx context.Context, s *side, fn func(*tree.Tree) error) error {
	mounts, err := d.mountsOf(ctx, s)
	if err != nil {
		return err
	}
	if len(mounts) == 0 {
		return fn(tree.New())
	}
	return mount.WithReadonlyTempMount(ctx, mounts, func(root string) error {
		t, closer, err := lazyTree(ctx, root)
		if err != nil {
			return err
		}
		defer closer()
		return fn(t)
	})
}

// mountsOf returns mounts that show a snapshot read-only and that anybody can mount.
func (d *Differ) mountsOf(ctx context.Context, s *side) ([]mount.Mount, error) {
	if !s.ours {
		for _, m := range s.mounts {
			if strings.Contains(m.Type, "/") {
				return nil, fmt.Errorf("mount type %q: %w", m.Type, errdefs.ErrNotImplemented)
			}
		}
		return s.mounts, nil
	}
	var dirs []string
	if s.dir != "" {
		dirs = append(dirs, s.dir)
	}
	for _, b := range s.blobs {
		dir, err := d.store.MountBlob(ctx, b)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	if len(dirs) == 0 {
		return nil, nil
	}
	// Also around a single directory: overlayfs hides whiteouts and its attributes. metacopy=on and
	// redirect_dir=follow show what was written with them.
	dirs = append(dirs, d.store.Empty())
	return []mount.Mount{{Type: "overlay", Source: "overlay", Options: []string{
		"ro", "redirect_dir=follow", "metacopy=on", "lowerdir=" + strings.Join(escape(dirs), ":"),
	}}}, nil
}

func escape(dirs []string) []string {
	r := strings.NewReplacer(`\`, `\\`, ":", `\:`)
	for i := range dirs {
		dirs[i] = r.Replace(dirs[i])
	}
	return dirs
}

// lazyTree reads a directory into a tree whose contents stay in the files.
func lazyTree(ctx context.Context, dir string) (*tree.Tree, func(), error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	l := &lazy{ctx: ctx, root: root}
	t, err := dirtree.Read(dir, l, dirtree.Options{})
	if err == nil {
		err = t.Walk(func(path string, n *tree.Node) error {
			if c, ok := n.Content.(*lazyContent); ok && c.path == "" {
				c.path = path
			}
			return nil
		})
	}
	if err != nil {
		l.close()
		return nil, nil, err
	}
	return t, l.close, nil
}

// lazy is a spool that reads nothing.
type lazy struct {
	ctx  context.Context
	root *os.Root

	mu   sync.Mutex // guards what follows
	path string
	file *os.File // the file at path: it is the one that is read next, mostly
}

// Put implements tree.Spool.
func (l *lazy) Put(f tree.File, _ io.Reader) (tree.Content, error) {
	if l.ctx.Err() != nil {
		return nil, context.Cause(l.ctx)
	}
	return &lazyContent{lazy: l, data: f.Data}, nil
}

func (l *lazy) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close() // only read
	}
	_ = l.root.Close()
}

// lazyContent is a file of a mounted root.
type lazyContent struct {
	lazy *lazy
	path string
	data []tree.Extent
}

// Data implements tree.Content.
func (c *lazyContent) Data() []tree.Extent { return c.data }

// ReadAt implements tree.Content.
func (c *lazyContent) ReadAt(p []byte, off int64) (int, error) {
	l := c.lazy
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	if l.file == nil || l.path != c.path {
		f, err := l.root.Open(c.path)
		if err != nil {
			return 0, err
		}
		if l.file != nil {
			_ = l.file.Close() // only read
		}
		l.file, l.path = f, c.path
	}
	n, err := l.file.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%q: %w", c.path, err)
	}
	return n, err
}
