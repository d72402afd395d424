package tartree

import (
	"bytes"
	"slices"

	"github.com/laminafs/lamina/tree"
)

const (
	xattrOpaque = "trusted.overlay.opaque"
	xattrOrigin = "trusted.overlay.origin"

	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	whiteoutMeta   = ".wh..wh." // of names that aufs keeps for itself

	whyNodes = "more files and directories than Options.MaxNodes"

	slabNodes = 64
)

// place is the tree while it grows.
type place struct {
	paths
	tree      *tree.Tree
	slab      []tree.Node             // nodes are made many at a time; a slab lives as long as one of them
	whiteouts map[*tree.Node]struct{} // directories that got a whiteout
	last      *tree.Node              // the one of them that was noted last
}

func (p *place) init(o *Options) {
	p.tree = tree.New()
	p.root = p.tree.Root
	p.root.SetImplied(true)
	p.left = o.MaxNodes
}

func (p *place) node() *tree.Node {
	if len(p.slab) == 0 {
		p.slab = make([]tree.Node, slabNodes)
	}
	n := &p.slab[0]
	p.slab = p.slab[1:]
	return n
}

// slot is where an entry goes. dir is nil if it goes nowhere: it was dropped, or dealt with.
type slot struct {
	dir  *tree.Node
	base []byte
}

// slot finds the place of the current entry, and does what there is to do for the root and for whiteouts.
func (r *reader) slot(e *entry) (slot, error) {
	if e.typ == typeDir && r.o.Whiteouts == Strip {
		e.xattrs = withoutOpaque(e.xattrs)
	}
	if r.place.left <= 0 {
		return slot{}, r.fail(whyNodes)
	}
	dir, base := r.place.sibling(r.name)
	if dir == nil || bytes.HasPrefix(base, []byte(whiteoutMeta)) {
		if r.o.Whiteouts != Keep && isMeta(r.name) {
			r.warn("left by aufs, left out")
			return slot{}, nil
		}
		var why string
		if dir, base, why = r.place.parent(r.name); why != "" {
			return slot{}, r.fail(why)
		}
	}
	if dir == nil {
		if e.typ == typeDir {
			return slot{}, r.merge(r.place.root, e)
		}
		r.warn("named like the root but no directory, left out")
		return slot{}, nil
	}
	if r.o.Whiteouts != Keep && bytes.HasPrefix(base, []byte(whiteoutPrefix)) {
		return slot{}, r.whiteout(e, dir, base)
	}
	if len(base) > maxName {
		return slot{}, r.fail(whyName)
	}
	r.place.left--
	return slot{dir, base}, nil
}

// isMeta reports whether a component of the name is one of those that aufs keeps for itself.
func isMeta(name []byte) bool {
	for rest := name; ; {
		i := bytes.Index(rest, []byte(whiteoutMeta))
		if i < 0 {
			return false
		}
		start := i == 0 && len(rest) == len(name) || i > 0 && rest[i-1] == '/'
		rest = rest[i+len(whiteoutMeta):]
		if !start {
			continue
		}
		c, _, _ := bytes.Cut(rest, []byte("/"))
		switch string(c) {
		case "aufs", "orph", "plnk":
			return true
		}
	}
}

// whiteout does what a whiteout called base says to the directory dir.
func (r *reader) whiteout(e *entry, dir *tree.Node, base []byte) error {
	r.stats.Whiteouts++
	overlay := r.o.Whiteouts == Overlay
	if string(base) == whiteoutOpaque {
		if overlay {
			dir.SetXattr(xattrOpaque, "y")
		}
		return nil
	}
	name := string(base[len(whiteoutPrefix):])
	if name == "" || name == "." || name == ".." {
		return r.fail("whiteout without a name")
	}
	if len(name) > maxName {
		return r.fail(whyName)
	}
	if !overlay {
		r.place.remove(dir, name)
		return nil
	}
	n := r.place.node()
	fill(n, e)
	n.Mode |= tree.TypeChar
	r.place.left--
	r.place.put(dir, name, n)
	r.place.hasWhiteout(dir)
	return nil
}

// hasWhiteout notes that dir got a whiteout.
func (p *place) hasWhiteout(dir *tree.Node) {
	if dir == p.last {
		return
	}
	if p.whiteouts == nil {
		p.whiteouts = make(map[*tree.Node]struct{})
	}
	p.whiteouts[dir] = struct{}{}
	p.last = dir
}

// put gives the name to n.
func (p *place) put(dir *tree.Node, name string, n *tree.Node) {
	if old := dir.Lookup(name); old != nil && (old.IsDir() || old.Type() == tree.TypeSymlink) {
		p.forget()
	}
	dir.Add(name, n)
}

func (p *place) remove(dir *tree.Node, name string) {
	if dir.Remove(name) {
		p.forget()
	}
}

// finish marks the directories that hold whiteouts, see Overlay.
func (p *place) finish() {
	for d := range p.whiteouts {
		if _, ok := d.Xattr(xattrOrigin); ok {
			continue
		}
		for _, c := range d.Entries() {
			if c.Node.IsWhiteout() {
				d.SetXattr(xattrOrigin, "")
				break
			}
		}
	}
}

// add places an entry that is no regular file.
func (r *reader) add(e *entry) error {
	s, err := r.slot(e)
	if err != nil || s.dir == nil {
		return err
	}
	switch e.typ {
	case typeDir:
		return r.addDir(e, s)
	case typeLink:
		return r.addLink(e, s)
	}
	n := r.place.node()
	fill(n, e)
	switch e.typ {
	case typeSymlink:
		if len(r.link) == 0 || len(r.link) > maxTarget {
			return r.fail("target of the symbolic link is empty or longer than 4095 bytes")
		}
		n.Mode, n.Target = tree.TypeSymlink|0o777, string(r.link)
	case typeFifo:
		n.Mode |= tree.TypeFifo
	case typeBlock:
		n.Mode |= tree.TypeBlock
		n.Rdev = tree.Dev(uint32(e.major), uint32(e.minor))
	case typeChar:
		n.Mode |= tree.TypeChar
		n.Rdev = tree.Dev(uint32(e.major), uint32(e.minor))
		if n.Rdev == 0 && r.o.Whiteouts == Strip {
			r.stats.Whiteouts++
			r.place.remove(s.dir, string(s.base))
			return nil
		}
		if n.Rdev == 0 && r.o.Whiteouts == Overlay {
			r.place.hasWhiteout(s.dir)
		}
	}
	r.place.put(s.dir, string(s.base), n)
	return nil
}

// addDir makes a directory, or merges the entry with the one that is there.
func (r *reader) addDir(e *entry, s slot) error {
	name := string(s.base)
	old := s.dir.Lookup(name)
	if old != nil && old.IsDir() {
		return r.merge(old, e)
	}
	n := r.place.node()
	fill(n, e)
	n.Mode |= tree.TypeDir
	if old != nil && old.IsWhiteout() && r.o.Whiteouts == Overlay {
		n.SetXattr(xattrOpaque, "y")
	}
	r.place.put(s.dir, name, n)
	return nil
}

// addLink gives another name to the node that the link's target is now.
func (r *reader) addLink(e *entry, s slot) error {
	r.stats.Links++
	base := string(s.base) // s.base may lie in scratch that finding the target uses
	target, why := r.place.target(r.link)
	switch {
	case why != "":
		return r.fail("target " + quote(r.link) + " of the hard link: " + why)
	case target == nil:
		return r.fail("target " + quote(r.link) + " of the hard link is not in the archive so far")
	case target.IsDir():
		return r.fail("target " + quote(r.link) + " of the hard link is a directory")
	}
	if target.IsWhiteout() && r.o.Whiteouts == Overlay {
		r.place.hasWhiteout(s.dir)
	}
	if s.dir.Lookup(base) != target {
		r.place.put(s.dir, base, target)
	}
	return nil
}

// target returns the node that a hard link names, nil if there is none: parents are followed, the last
// component is not.
func (p *place) target(link []byte) (*tree.Node, string) {
	name, why := p.lexical(link)
	if why != "" {
		return nil, why
	}
	i := bytes.LastIndexByte(name, '/')
	dir, why := p.directory(name[:max(i, 0)], false)
	if dir == nil {
		return nil, why
	}
	if base := name[i+1:]; len(base) > 0 {
		return dir.Lookup(string(base)), ""
	}
	return dir, ""
}

// fill sets what every kind of node has.
func fill(n *tree.Node, e *entry) {
	n.Mode |= e.mode
	n.UID, n.GID, n.Mtime, n.Nsec = e.uid, e.gid, e.mtime, e.nsec
	n.Xattrs = e.xattrs
}

// merge gives the metadata of the entry to a directory that exists; attributes are added.
func (r *reader) merge(n *tree.Node, e *entry) error {
	n.SetImplied(false)
	n.Mode = tree.TypeDir | e.mode
	n.UID, n.GID, n.Mtime, n.Nsec = e.uid, e.gid, e.mtime, e.nsec
	switch {
	case len(e.xattrs) == 0:
	case len(n.Xattrs) == 0:
		n.Xattrs = e.xattrs
	default:
		n.Xattrs = lastOfName(slices.Concat(n.Xattrs, e.xattrs))
		if len(n.Xattrs) > maxXattrs {
			return r.fail("too many extended attributes")
		}
	}
	return nil
}

func withoutOpaque(list []tree.Xattr) []tree.Xattr {
	for i := range list {
		if list[i].Name == xattrOpaque {
			return append(list[:i], list[i+1:]...)
		}
	}
	return list
}
