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

// dir is the content of a directory: entries in order of arrival and tombstones (Node == nil) for
// what was removed, which a later Add of the same name revives.
//
// While names arrive in byte order, as they do from most archives, entries is sorted and searched by
// bisection. The first name out of order makes it mixed: then it has an index by hash once there are
// more than indexFrom entries, until sort puts it in order again. The index is an open-addressing
// table of 1-based places in entries, a power of two long and at most half full: 8 to 16 bytes for
// an entry, where a map[string]int would take 40.
type dir struct {
	entries []Entry
	index   *[]uint32 // a pointer, since few directories have one: 16 bytes less for each
	dead    uint32    // tombstones in entries
	mixed   bool      // entries are not in order
	implied bool      // see Node.Implied
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
	if n.dir == nil {
		n.dir = new(dir)
	}
	d := n.dir
	i := d.find(name)
	if i < 0 {
		d.append(Entry{name, child})
		return
	}
	if d.entries[i].Node == nil {
		d.dead--
	}
	d.entries[i].Node = child
}

// Grow makes room for k more entries of the directory n, exactly, where Add leaves room to spare.
// Callers bound k by what they have read.
func (n *Node) Grow(k int) {
	if n.dir == nil {
		n.dir = new(dir)
	}
	if d := n.dir; cap(d.entries)-len(d.entries) < k {
		d.entries = append(make([]Entry, 0, len(d.entries)+k), d.entries...)
	}
}

// Remove takes the name out of the directory and tells whether it was there. The slice that Entries
// returned keeps its order and length; the entry in it loses its node.
func (n *Node) Remove(name string) bool {
	if n.dir == nil {
		return false
	}
	i := n.dir.find(name)
	if i < 0 || n.dir.entries[i].Node == nil {
		return false
	}
	n.dir.entries[i].Node = nil
	n.dir.dead++
	return true
}

// Clear removes every entry of the directory.
func (n *Node) Clear() {
	if n.dir != nil {
		*n.dir = dir{implied: n.dir.implied}
	}
}

// Len returns the number of entries of the directory n, 0 for anything else.
func (n *Node) Len() int {
	if n.dir == nil {
		return 0
	}
	return len(n.dir.entries) - int(n.dir.dead)
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

// find returns the place of the name, which may be a tombstone, -1 if it has none.
func (d *dir) find(name string) int {
	switch {
	case !d.mixed:
		return d.bisect(name)
	case d.index != nil:
		return d.probe(name)
	}
	return slices.IndexFunc(d.entries, func(e Entry) bool { return e.Name == name })
}

func (d *dir) bisect(name string) int {
	n := len(d.entries)
	if n == 0 || name > d.entries[n-1].Name { // the next name of a sorted source
		return -1
	}
	i, ok := slices.BinarySearchFunc(d.entries, name, func(e Entry, name string) int {
		return strings.Compare(e.Name, name)
	})
	if !ok {
		return -1
	}
	return i
}

func (d *dir) probe(name string) int {
	index := *d.index
	mask := uint64(len(index) - 1)
	for h := maphash.String(seed, name) & mask; index[h] != 0; h = (h + 1) & mask {
		if d.entries[index[h]-1].Name == name {
			return int(index[h] - 1)
		}
	}
	return -1
}

// append adds an entry whose name has no place yet.
func (d *dir) append(e Entry) {
	if len(d.entries) == cap(d.entries) && int(d.dead) > len(d.entries)/2 {
		d.compact() // rather than grow around tombstones
	}
	if n := len(d.entries); n > 0 && e.Name < d.entries[n-1].Name {
		d.mixed = true
	}
	d.entries = append(d.entries, e)
	switch {
	case !d.mixed || len(d.entries) <= indexFrom:
	case d.index == nil || 2*len(d.entries) > len(*d.index):
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
	index := make([]uint32, size)
	d.index = &index
	for i := range d.entries {
		d.enter(i)
	}
}

func (d *dir) enter(i int) {
	index := *d.index
	mask := uint64(len(index) - 1)
	h := maphash.String(seed, d.entries[i].Name) & mask
	for index[h] != 0 {
		h = (h + 1) & mask
	}
	index[h] = uint32(i + 1)
}

// compact drops the tombstones, and with them the index.
func (d *dir) compact() {
	d.entries = slices.DeleteFunc(d.entries, func(e Entry) bool { return e.Node == nil })
	d.dead, d.index = 0, nil
}

// sort drops the tombstones and orders the entries.
func (d *dir) sort() {
	if d.dead > 0 {
		d.compact()
	}
	if d.mixed {
		slices.SortFunc(d.entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
		d.mixed, d.index = false, nil
	}
}
