package erofs

import (
	"fmt"

	"github.com/laminafs/lamina/internal/image"
	"github.com/laminafs/lamina/tree"
)

// Tree returns the whole image as a tree. Names of the same inode are one node; contents are those of
// Inode.Content, so the image and its devices must outlive the tree.
//
// What cannot be represented ends it: a directory, link or xattr that is corrupt, a directory with two
// names, more than tree.MaxDepth levels.
func (im *Image) Tree() (*tree.Tree, error) {
	l := &loader{
		im:     im,
		nodes:  make(map[uint64]*tree.Node),
		shared: make(map[uint32]tree.Xattr),
		names:  make(map[string]string),
	}
	root, err := l.node(&im.root.raw)
	if err != nil {
		return nil, err
	}
	l.queue = []pending{{root, im.root.raw, "", 0}}
	for len(l.queue) > 0 {
		next := l.queue[len(l.queue)-1]
		l.queue = l.queue[:len(l.queue)-1]
		if err := l.directory(&next); err != nil {
			return nil, err
		}
	}
	return &tree.Tree{Root: root}, nil
}

// loader builds a tree.
type loader struct {
	im     *Image
	nodes  map[uint64]*tree.Node
	queue  []pending
	shared map[uint32]tree.Xattr // by id
	names  map[string]string     // of xattrs, each once
	key    []byte                // scratch for names
	meter  meter
}

// pending is a directory whose entries are still to be read.
type pending struct {
	node  *tree.Node
	raw   image.Inode
	path  string // with a slash at the end, "" for the root
	depth int
}

// at gives an error the path where it was met.
func at(path string, err error) error { return fmt.Errorf("erofs: %q: %w", path, err) }

// directory adds the entries of a directory.
func (l *loader) directory(p *pending) error {
	c := &cursor{img: l.im.img, dir: p.raw}
	first, rest := len(l.queue), p.raw.Size
	for {
		block, err := c.next()
		if err != nil {
			return at(p.path, err)
		}
		if block == nil {
			break
		}
		n := min(rest, l.im.img.BlockSize())
		if err := l.meter.charge(l.im.img, n); err != nil {
			return at(p.path, err)
		}
		rest -= n
		for k := range block {
			if err := l.entry(p, &block[k]); err != nil {
				return at(p.path+block[k].Name, err)
			}
		}
	}
	// The queue is a stack: the first directory comes next, which is how images are laid out.
	for a, b := first, len(l.queue)-1; a < b; a, b = a+1, b-1 {
		l.queue[a], l.queue[b] = l.queue[b], l.queue[a]
	}
	return nil
}

func (l *loader) entry(p *pending, e *DirEntry) error {
	if node := l.nodes[e.NID]; node != nil {
		if node.IsDir() {
			return &FormatError{Off: p.raw.Off, Field: fmt.Sprintf("inode %d: dirent: nid", p.raw.NID), Got: e.NID, Why: "is a directory that has another name"}
		}
		p.node.Add(e.Name, node)
		return nil
	}
	raw, err := l.im.img.Inode(e.NID)
	if err != nil {
		return err
	}
	node, err := l.node(&raw)
	if err != nil {
		return err
	}
	p.node.Add(e.Name, node)
	if !raw.IsDir() {
		return nil
	}
	if p.depth+1 >= tree.MaxDepth {
		return errTooDeep
	}
	l.queue = append(l.queue, pending{node, raw, p.path + e.Name + "/", p.depth + 1})
	return nil
}

// node makes the node of an inode.
func (l *loader) node(raw *image.Inode) (*tree.Node, error) {
	n := &tree.Node{Mode: uint32(raw.Mode), UID: raw.UID, GID: raw.GID, Rdev: raw.Rdev}
	n.Mtime, n.Nsec = timeOf(raw)
	l.nodes[raw.NID] = n
	err := l.meter.charge(l.im.img, raw.BodyOff()-raw.Off)
	switch {
	case err != nil:
	case raw.IsRegular():
		n.Size, n.Content = raw.Size, &content{l.im.img, raw.NID}
	case raw.IsSymlink():
		if n.Target, err = readLink(l.im.img, raw); err == nil {
			err = l.meter.charge(l.im.img, raw.Size)
		}
	}
	if err == nil && raw.XattrICount != 0 {
		n.Xattrs, err = l.xattrs(raw)
	}
	return n, err
}

// xattrs reads the attributes of an inode. Shared ones are in the tree once.
func (l *loader) xattrs(raw *image.Inode) ([]tree.Xattr, error) {
	var list []tree.Xattr
	for x, err := range l.im.img.Xattrs(raw) {
		if err != nil {
			return nil, err
		}
		if !x.Listed {
			continue
		}
		if err := nameable(&x); err != nil {
			return nil, err
		}
		if x.Shared {
			if known, ok := l.shared[x.ID]; ok {
				list = append(list, known)
				continue
			}
			if err := l.meter.charge(l.im.img, int64(len(x.Rest)+len(x.Value))); err != nil {
				return nil, err
			}
		}
		a := tree.Xattr{Name: l.name(&x), Value: string(x.Value)}
		if x.Shared {
			l.shared[x.ID] = a
		}
		list = append(list, a)
	}
	return unique(list), nil
}

// name returns the full name of an attribute.
func (l *loader) name(x *image.Xattr) string {
	l.key = append(append(l.key[:0], x.Prefix...), x.Rest...)
	if s, ok := l.names[string(l.key)]; ok {
		return s
	}
	s := string(l.key)
	l.names[s] = s
	return s
}
