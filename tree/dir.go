package tree

import (
	"hash/maphash"
	"slices"
	"strings"
)

// MaxDepth bounds the components of a path: PATH_MAX of Linux (4096 bytes) holds no more than 2048.
// Sources refuse deeper paths, so recursion over a tree is bounded.
const MaxDepth = 2048

// Entry is a name in a directory.
type Entry struct {
	Name string
	Node *Node
}

// dir is the content of a directory: entries in order of arrival, an index by hash once there are
// more than indexFrom of them, and tombstones (Node == nil) for what was removed.
//
// The index is an open-addressing table of 1-based places in entries, a power of two long and at most
// half full: 8 to 16 bytes for an entry, where a map[string]int would take 40.
type dir struct {
	entries []Entry
	index   []uint32
	dead    int
	sorted  bool
}

const indexFrom = 8

var seed = maphash.MakeSeed() // the table is never iterated, so its order shows nowhere

// Lookup returns the child called name, or nil, also when n is not a directory.
func (n *Node) Lookup(name string) *Node {
	if n.dir == nil {
		return nil
	}
	if i := n.dir.find(name); i >= 0 {
		return n.dir.entries[i].Node
	}
	return nil
}

// Add gives child the name in the directory n and replaces what had that name.
func (n *Node) Add(name string, child *Node) {
	if i := n.dir.find(name); i >= 0 {
		n.dir.entries[i].Node = child
		return
	}
	n.dir.append(Entry{name, child})
}

// Remove takes the name out of the directory and tells whether it was there.
func (n *Node) Remove(name string) bool {
	if n.dir == nil {
		return false
	}
	i := n.dir.find(name)
	if i < 0 {
		return false
	}
	n.dir.entries[i].Node = nil
	n.dir.dead++
	return true
}

// Clear removes every entry of the directory.
func (n *Node) Clear() { *n.dir = dir{} }

// Len returns the number of entries of the directory n, 0 for anything else.
func (n *Node) Len() int {
	if n.dir == nil {
		return 0
	}
	return len(n.dir.entries) - n.dir.dead
}

// Entries returns the children of the directory n ordered by the bytes of their names, nil for
// anything else. The slice belongs to n and is valid until the next Add, Remove or Clear.
func (n *Node) Entries() []Entry {
	if n.dir == nil {
		return nil
	}
	n.dir.sort()
	return n.dir.entries
}

// find returns the place of the name, -1 if it is not there.
func (d *dir) find(name string) int {
	if d.index == nil {
		for i := range d.entries {
			if d.entries[i].Node != nil && d.entries[i].Name == name {
				return i
			}
		}
		return -1
	}
	mask := uint64(len(d.index) - 1)
	for h := maphash.String(seed, name) & mask; d.index[h] != 0; h = (h + 1) & mask {
		if e := &d.entries[d.index[h]-1]; e.Node != nil && e.Name == name {
			return int(d.index[h] - 1)
		}
	}
	return -1
}

func (d *dir) append(e Entry) {
	if len(d.entries) > 0 && e.Name < d.entries[len(d.entries)-1].Name {
		d.sorted = false
	} else if len(d.entries) == 0 {
		d.sorted = true
	}
	d.entries = append(d.entries, e)
	switch {
	case len(d.entries) <= indexFrom:
	case 2*len(d.entries) > len(d.index):
		d.reindex()
	default:
		d.enter(len(d.entries) - 1)
	}
}

func (d *dir) reindex() {
	size := 4 * indexFrom
	for size < 2*len(d.entries)+2 {
		size *= 2
	}
	d.index = make([]uint32, size)
	for i := range d.entries {
		d.enter(i)
	}
}

func (d *dir) enter(i int) {
	mask := uint64(len(d.index) - 1)
	h := maphash.String(seed, d.entries[i].Name) & mask
	for d.index[h] != 0 {
		h = (h + 1) & mask
	}
	d.index[h] = uint32(i + 1)
}

// sort drops the tombstones and orders the entries. Archives are mostly sorted already, so this is
// mostly one pass.
func (d *dir) sort() {
	if d.sorted && d.dead == 0 {
		return
	}
	if d.dead > 0 {
		d.entries = slices.DeleteFunc(d.entries, func(e Entry) bool { return e.Node == nil })
		d.dead = 0
	}
	if !d.sorted {
		slices.SortFunc(d.entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
		d.sorted = true
	}
	d.index = nil
	if len(d.entries) > indexFrom {
		d.reindex()
	}
}
