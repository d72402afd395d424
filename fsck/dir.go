package fsck

import (
	"bytes"
	"encoding/binary"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
)

const (
	// maxBadBlocks is how many blocks of a directory may be without a valid entry before the rest is
	// given up: a sparse file can hold petabytes of them.
	maxBadBlocks = 16
	// maxPath is PATH_MAX of Linux less the NUL.
	maxPath = 4095
)

// dirScan is the state while the entries of a directory are read.
type dirScan struct {
	in        *image.Inode
	dir       int // index in c.dirs
	bad       int // blocks without a valid entry
	any       bool
	dot       bool
	dotDot    bool
	entries   uint64
	lastBlock bool
}

// scan checks the entries of directory i and what they name.
func (c *checker) scan(i int) {
	d := c.dirs.at(i)
	in, err := c.im.Inode(d.nid)
	if err != nil {
		c.known(-1, err)
		return
	}
	c.where = place{inode: true, nid: d.nid, dir: i, gen: c.where.gen + 1}
	s := &dirScan{in: &in, dir: i}
	read := c.blocks
	if in.Compressed() {
		read = c.decodedBlocks
	}
	complete := read(s)
	if d = c.dirs.at(i); c.err == nil && complete {
		c.dots(s)
		d.scanned = true
	} else {
		c.partial = true
	}
	c.rep.Stats.Entries += s.entries
	c.rep.Stats.LargestDir = max(c.rep.Stats.LargestDir, s.entries)
}

// blocks reads the blocks of a directory one after the other; complete = false if one was left out.
func (c *checker) blocks(s *dirScan) (complete bool) {
	complete = true
	for off := int64(0); off < s.in.Size && c.err == nil; {
		e, err := c.im.Map(s.in, off, s.in.Size-off)
		if err != nil {
			return false // reported when the inode was checked
		}
		e.Device = c.device(e.Device)
		if e.Kind == image.Hole {
			c.add(DirHole, s.in.Off, e.Len, "bytes of the directory are a hole")
			return false
		}
		for at := int64(0); at < e.Len && c.err == nil; at += c.bs {
			n := min(c.bs, e.Len-at)
			s.lastBlock = off+at+n == s.in.Size
			if !c.unread(e, e.Pos+at, n) {
				return false
			}
			if !c.dirBlock(s, e, e.Pos+at, n) {
				complete = false
				if s.bad++; s.bad == maxBadBlocks {
					c.add(DirBlock, e.Pos+at, s.in.Size-off-at, "bytes of the directory are left out after %d bad blocks", s.bad)
					return false
				}
			}
		}
		off += e.Len
	}
	return complete
}

// unread tells whether a block was not read as one of another directory before. Directories that share
// blocks are reported, and not followed.
func (c *checker) unread(e image.Extent, off, n int64) bool {
	if !c.within(e.Device, off, n) {
		return true // reported when the inode was checked
	}
	lo, hi := uint64(off)/granule, uint64(off+n+granule-1)/granule
	stop := c.space[e.Device].dirents.claim(lo, hi)
	if stop != hi && e.Kind == image.Data { // an inline tail was claimed with its inode
		c.clash(e.Device, int64(stop*granule), off+n, KindDirents)
	}
	return stop == hi
}

// dirBlock claims and checks one block and tells whether it could be read.
func (c *checker) dirBlock(s *dirScan, e image.Extent, off, n int64) bool {
	if !c.within(e.Device, off, n) {
		return false // reported when the inode was checked
	}
	if e.Kind == image.Data {
		c.claimMeta(e.Device, off, n, KindDirents)
	}
	b := c.read(e.Device, off, n, "directory block")
	if b == nil {
		return false
	}
	c.buf = append(c.buf[:0], b...)
	return c.dirents(s, e.Device, off, c.buf)
}

// dirents checks the entries of a block (erofs_readdir and erofs_fill_dentries in fs/erofs/dir.c).
func (c *checker) dirents(s *dirScan, device int, off int64, b []byte) bool {
	if len(b) < disk.DirentSize {
		c.addAt(c.where, DirBlock, device, off, len(b), "bytes in the last block: less than an entry")
		return false
	}
	first := int(binary.LittleEndian.Uint16(b[8:]))
	if first == 0 || first%disk.DirentSize != 0 || first >= len(b) {
		c.addAt(c.where, DirBlock, device, off+8, first, "nameoff of the first entry: must be a multiple of 12 within the block of %d bytes", len(b))
		return false
	}
	end := 0
	for k := 0; k < first/disk.DirentSize && c.err == nil; k++ {
		var e disk.Dirent
		e.Decode((*[disk.DirentSize]byte)(b[k*disk.DirentSize:]))
		start, next := int(e.NameOff), len(b)
		last := (k+1)*disk.DirentSize == first
		if !last {
			next = int(binary.LittleEndian.Uint16(b[(k+1)*disk.DirentSize+8:]))
		}
		at := off + int64(k)*disk.DirentSize
		if start < first || start >= next || next > len(b) {
			c.addAt(c.where, DirNameOff, device, at+8, start, "the name would end at %d; names lie from %d to %d", next, first, len(b))
			c.partial = true
			continue
		}
		name := b[start:next]
		if last {
			if z := bytes.IndexByte(name, 0); z >= 0 {
				name = name[:z]
			}
			end = start + len(name)
		}
		c.entry(s, device, at, &e, name)
	}
	if end > 0 && !isZero(b[end:]) {
		c.addAt(c.where, DirPadding, device, off+int64(end), nil, "bytes behind the last name are not zero")
	}
	return true
}

// entry checks one entry and the inode that it names.
func (c *checker) entry(s *dirScan, device int, at int64, e *disk.Dirent, name []byte) {
	s.entries++
	if !c.name(device, at, name) {
		c.partial = true
		return
	}
	if e.Reserved != 0 {
		c.addAt(c.where, DirReserved, device, at+11, e.Reserved, "the reserved byte of entry %q", name)
	}
	if s.any {
		switch order := bytes.Compare(c.prev, name); {
		case order == 0:
			c.addAt(c.where, DirDuplicate, device, at, name, "the name is there twice")
		case order > 0:
			c.addAt(c.where, DirOrder, device, at, name, "must not follow %q: Linux does not find one of them", c.prev)
		}
	}
	c.prev, s.any = append(c.prev[:0], name...), true
	dir := c.where
	switch {
	case len(name) == 1 && name[0] == '.':
		c.dot(s, device, at, e, &s.dot, s.in.NID)
	case len(name) == 2 && name[0] == '.' && name[1] == '.':
		c.dot(s, device, at, e, &s.dotDot, c.dirs.at(int(c.dirs.at(s.dir).parent)).nid)
	default:
		c.child(s.dir, device, at, e, name)
	}
	c.where = place{inode: true, nid: dir.nid, dir: dir.dir, gen: c.where.gen + 1}
}

// name tells whether an entry can be used by its name.
func (c *checker) name(device int, at int64, name []byte) bool {
	switch {
	case len(name) == 0 || len(name) > disk.MaxNameLen:
		c.addAt(c.where, DirName, device, at, len(name), "bytes of a name: must be 1 to 255")
		return false
	case bytes.IndexByte(name, '/') >= 0:
		c.addAt(c.where, DirName, device, at, name, "a slash in a name: Linux fails to list the directory")
		return false
	case bytes.IndexByte(name, 0) >= 0:
		c.addAt(c.where, DirName, device, at, name, "a NUL in a name")
		return false
	case bytes.HasPrefix(name, []byte(".wh.")):
		c.addAt(c.where, DirWhiteout, device, at, name, "a whiteout of a layer that was not converted to the form of overlayfs")
	}
	return true
}

// dot checks "." or "..", of which seen tells whether it came before.
func (c *checker) dot(s *dirScan, device int, at int64, e *disk.Dirent, seen *bool, want uint64) {
	*seen = true
	if e.NID != want {
		c.addAt(c.where, DirDot, device, at, e.NID, "must lead to inode %d", want)
	}
	c.fileType(device, at, e, disk.FileDir)
}

// dots checks whether "." and ".." are there, once the whole directory was read.
func (c *checker) dots(s *dirScan) {
	switch omitted := s.in.DotOmitted(); {
	case !s.dot && !omitted:
		c.add(DirDot, s.in.Off, nil, "\".\" is missing")
	case s.dot && omitted:
		c.add(DirDot, s.in.Off, nil, "\".\" is there, but i_format says that it is not: Linux lists it twice")
	}
	if !s.dotDot {
		c.add(DirDot, s.in.Off, nil, "\"..\" is missing")
	}
}

func (c *checker) fileType(device int, at int64, e *disk.Dirent, want disk.FileType) {
	switch e.FileType {
	case want:
	case disk.FileUnknown:
		c.addAt(c.where, DirTypeUnknown, device, at+10, e.FileType, "file type of an entry; its inode is of type %d", want)
	default:
		c.addAt(c.where, DirType, device, at+10, e.FileType, "file type of an entry; its inode is of type %d", want)
	}
}
