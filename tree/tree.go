// Package tree is the file system in memory: what every source produces and every writer consumes.
//
// A Tree holds metadata only. The bytes of regular files are behind Content: a source hands them to
// a Spool while it streams and keeps what the Spool returns, so a tree costs memory by the entry,
// never by the byte.
//
// Hard links are names of the same *Node. Names are byte strings without "/" and NUL; they need not
// be UTF-8. Entries of a directory are ordered by their bytes, so everything made from a tree is
// deterministic.
package tree

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// File type bits of Node.Mode, as in inode(7).
const (
	TypeMask    = 0o170000
	TypeFifo    = 0o010000
	TypeChar    = 0o020000
	TypeDir     = 0o040000
	TypeBlock   = 0o060000
	TypeRegular = 0o100000
	TypeSymlink = 0o120000
	TypeSocket  = 0o140000

	PermMask = 0o7777 // permission bits with setuid, setgid and sticky
)

// Xattr is an extended attribute with its full name ("user.a", "security.capability").
type Xattr struct {
	Name  string
	Value string
}

// Node is an inode: everything about a file but its names. There is one for each entry of a layer: it
// has 112 bytes, a size class of the allocator, and should not grow.
type Node struct {
	Mode     uint32 // type and permission bits
	UID, GID uint32
	Rdev     uint32 // device number of TypeChar and TypeBlock, see Dev
	Nsec     uint32 // nanoseconds of the modification time, below 1e9
	gen      uint32 // the call of Inodes that numbered the node
	Mtime    int64  // modification time, seconds since 1970, may be negative
	Size     int64  // length of a regular file
	Content  Content
	Target   string  // of a symbolic link
	Xattrs   []Xattr // sorted by name, no name twice; see SetXattr

	dir   *dir   // nil as long as nothing was added
	ino   uint32 // 1-based place in the slice that Inodes returned last
	links uint32 // number of names, computed by Inodes
}

// Tree is a file system in memory. Root is always a directory.
//
// A tree is not safe for concurrent use; once Walk or Inodes has gone over all of it and as long as
// nothing changes, Lookup, Len, Entries and Walk only read and may run concurrently.
type Tree struct {
	Root *Node
}

// New returns a tree whose root is an empty directory of mode 0755 owned by 0:0.
func New() *Tree { return &Tree{Root: NewDir(0o755)} }

// NewDir returns an empty directory with the permission bits perm.
func NewDir(perm uint32) *Node {
	return &Node{Mode: TypeDir | perm&PermMask}
}

// Implied tells whether the source of the directory n had no entry for it, only for things in it: its
// metadata is made up, and Merge keeps that of a lower layer instead.
func (n *Node) Implied() bool { return n.dir != nil && n.dir.implied }

// SetImplied marks the directory n as implied, or not.
func (n *Node) SetImplied(implied bool) {
	if n.dir == nil {
		n.dir = new(dir)
	}
	n.dir.implied = implied
}

// Type returns the type bits of the mode.
func (n *Node) Type() uint32 { return n.Mode & TypeMask }

// IsDir tells whether n is a directory.
func (n *Node) IsDir() bool { return n.Type() == TypeDir }

// IsRegular tells whether n is a regular file.
func (n *Node) IsRegular() bool { return n.Type() == TypeRegular }

// IsWhiteout tells whether n hides a name of a lower layer: a character device 0:0, as overlayfs has it.
func (n *Node) IsWhiteout() bool { return n.Type() == TypeChar && n.Rdev == 0 }

// Dev encodes a device number as Linux does on disk (new_encode_dev, include/linux/kdev_t.h):
// minor bits 0-7, major bits 8-19, minor bits 8-19 at bit 20. major is below 1<<12, minor below 1<<20.
func Dev(major, minor uint32) uint32 {
	return minor&0xff | major<<8 | (minor&^0xff)<<12
}

// DevMajorMinor is the inverse of Dev.
func DevMajorMinor(rdev uint32) (major, minor uint32) {
	return rdev >> 8 & 0xfff, rdev&0xff | rdev>>12&0xfff00
}

// Xattr returns the value of an extended attribute.
func (n *Node) Xattr(name string) (string, bool) {
	for i := range n.Xattrs {
		if n.Xattrs[i].Name == name {
			return n.Xattrs[i].Value, true
		}
	}
	return "", false
}

// SetXattrs replaces the extended attributes by those in list, of which the last of a name counts.
// It keeps and orders list. It takes n log n steps, where n calls of SetXattr take n*n.
func (n *Node) SetXattrs(list []Xattr) {
	byName := func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) }
	slices.SortStableFunc(list, byName)
	last := list[:0]
	for i := range list {
		if i+1 == len(list) || list[i].Name != list[i+1].Name {
			last = append(last, list[i])
		}
	}
	n.Xattrs = last
}

// SetXattr adds or replaces an extended attribute and keeps Xattrs sorted. Like RemoveXattr it makes a
// new slice, so nodes may share one.
func (n *Node) SetXattr(name, value string) {
	i, found := slices.BinarySearchFunc(n.Xattrs, name, func(x Xattr, name string) int {
		return strings.Compare(x.Name, name)
	})
	if found {
		n.Xattrs = slices.Clone(n.Xattrs)
		n.Xattrs[i].Value = value
		return
	}
	n.Xattrs = slices.Insert(slices.Clip(n.Xattrs), i, Xattr{name, value})
}

// RemoveXattr deletes an extended attribute if it is there.
func (n *Node) RemoveXattr(name string) {
	for i := range n.Xattrs {
		if n.Xattrs[i].Name == name {
			n.Xattrs = append(n.Xattrs[:i:i], n.Xattrs[i+1:]...)
			return
		}
	}
}

// Lookup returns the node at a slash-separated path, or nil. Empty and "." components are skipped;
// symbolic links and ".." are not followed.
func (t *Tree) Lookup(path string) *Node {
	n := t.Root
	for n != nil && path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		if name == "" || name == "." {
			continue
		}
		n = n.Lookup(name)
	}
	return n
}

// Walk calls fn for the root, with the path "", and then for every entry below it in byte order,
// parents before children. A hard-linked node is visited once per name. The first error ends the walk.
func (t *Tree) Walk(fn func(path string, n *Node) error) error {
	if err := fn("", t.Root); err != nil {
		return err
	}
	return walk("", t.Root, fn)
}

func walk(prefix string, n *Node, fn func(string, *Node) error) error {
	for _, e := range n.Entries() {
		path := prefix + e.Name
		if err := fn(path, e.Node); err != nil {
			return err
		}
		if e.Node.IsDir() {
			if err := walk(path+"/", e.Node, fn); err != nil {
				return err
			}
		}
	}
	return nil
}

// generation numbers the calls of Inodes, so that one knows which nodes it has met without a pass
// that first forgets the numbers of the last. It is global because Merge moves nodes between trees.
var generation atomic.Uint32

// Inodes returns every node of the tree once, the root first, then for each directory its children in
// byte order followed by what is below them. It numbers the nodes (Ino) and counts their names
// (Links). The order and the numbers are those of the tree as it is now.
//
// The recursion is as deep as the tree; sources bound that depth (a path has at most MaxDepth
// components). A directory that appears twice would be a cycle or a hard link to a directory: that
// is a bug of the caller and panics.
func (t *Tree) Inodes() []*Node {
	gen := generation.Add(1)
	t.Root.gen, t.Root.ino, t.Root.links = gen, 1, 2
	return number(gen, t.Root, []*Node{t.Root})
}

func number(gen uint32, d *Node, all []*Node) []*Node {
	entries := d.Entries()
	for i := range entries {
		c := entries[i].Node
		if c.gen != gen {
			all = append(all, c)
			c.gen, c.ino, c.links = gen, uint32(len(all)), 0
		} else if c.IsDir() {
			panic(fmt.Sprintf("tree: directory %q has two names", entries[i].Name))
		}
		if c.IsDir() {
			c.links = 2
			d.links++
		} else {
			c.links++
		}
	}
	for i := range entries {
		if entries[i].Node.IsDir() {
			all = number(gen, entries[i].Node, all)
		}
	}
	return all
}

// Ino returns the 1-based number that the last Inodes gave the node.
func (n *Node) Ino() uint32 { return n.ino }

// Links returns the link count that the last Inodes computed: the number of names, for a directory
// two plus the number of its subdirectories.
func (n *Node) Links() uint32 { return n.links }
