package fsck

// arena holds names of files back to back, for paths of findings that come later.
type arena struct {
	chunks [][]byte
}

// nameRef is a name in an arena.
type nameRef struct {
	at  uint32 // chunk<<16 | offset
	len uint8
}

const arenaChunk = 1 << 16 // so that a place has 32 bits for 4 GiB of names

// add keeps a name of at most 255 bytes. Beyond 4 GiB names are kept empty.
func (a *arena) add(name []byte) nameRef {
	last := len(a.chunks) - 1
	if last < 0 || len(a.chunks[last])+len(name) > arenaChunk {
		if last++; last >= arenaChunk {
			return nameRef{}
		}
		a.chunks = append(a.chunks, nil)
	}
	c := &a.chunks[last]
	ref := nameRef{uint32(last)<<16 | uint32(len(*c)), uint8(len(name))}
	*c = append(*c, name...)
	return ref
}

func (a *arena) get(r nameRef) []byte {
	if r.len == 0 {
		return nil
	}
	at := r.at % arenaChunk
	return a.chunks[r.at/arenaChunk][at : at+uint32(r.len)]
}

// directory is a directory that was reached. The list of them is the queue of the walk, and the way
// from every inode up to the root.
type directory struct {
	nid     uint64
	parent  uint32 // index of the directory that holds its name; the root holds itself
	name    nameRef
	nlink   uint32 // as the inode has it
	subdirs uint32 // counted
	pathLen uint32 // length of its path, saturated
	depth   uint32
	scanned bool // all its entries were seen
	compact bool
}

// link is an inode that is no directory and has, or claims, other than one name.
type link struct {
	nid      uint64
	declared uint32
	counted  uint32
	parent   uint32 // with name: one of its names
	name     nameRef
}

// linkTable finds links by NID: an open-addressing index, a power of two long, at most half full.
type linkTable struct {
	links list[link]
	index []uint32 // 1-based
}

func (t *linkTable) find(nid uint64) *link {
	if len(t.index) == 0 {
		return nil
	}
	mask := uint64(len(t.index) - 1)
	for h := hashNID(nid) & mask; t.index[h] != 0; h = (h + 1) & mask {
		if l := t.links.at(int(t.index[h] - 1)); l.nid == nid {
			return l
		}
	}
	return nil
}

func (t *linkTable) add(l link) {
	t.links.append(l)
	if 2*t.links.len() > len(t.index) {
		t.index = make([]uint32, max(64, 2*len(t.index)))
		for i := range t.links.len() {
			t.enter(i)
		}
		return
	}
	t.enter(t.links.len() - 1)
}

func (t *linkTable) enter(i int) {
	mask := uint64(len(t.index) - 1)
	h := hashNID(t.links.at(i).nid) & mask
	for t.index[h] != 0 {
		h = (h + 1) & mask
	}
	t.index[h] = uint32(i + 1)
}

// hashNID spreads NIDs, which are places in a file and so mostly near each other. An image made to
// collide can only slow down its own check by the length of its own inode table.
func hashNID(nid uint64) uint64 {
	nid ^= nid >> 31
	nid *= 0x9E3779B97F4A7C15
	return nid ^ nid>>29
}
