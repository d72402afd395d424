package fsck

import (
	"math"

	"github.com/laminafs/lamina/internal/disk"
)

// unlinked checks the inodes that no entry names: the packed inode and the metabox.
func (c *checker) unlinked() {
	if c.packed != 0 {
		c.special(c.packed, SuperPacked, super(0x60))
	}
	sb := c.sb
	if sb.Incompat&disk.HasMetabox != 0 && sb.ExtSlots > 0 && sb.MetaboxNID&disk.MetaboxNID == 0 {
		c.special(sb.MetaboxNID, SuperMetabox, super(0x80))
	}
}

// special checks an inode that holds data of the file system itself.
func (c *checker) special(nid uint64, code Code, field int64) {
	c.where = place{inode: true, nid: nid, dir: -1, gen: c.where.gen}
	if !c.seen.add(nid) {
		c.add(code, field, nid, "the packed inode and the metabox are the same inode")
		return
	}
	if in, ok := c.inode(nid); !ok {
		c.add(code, field, nid, "the inode cannot be used")
	} else if !in.IsRegular() {
		c.add(code, field, octal(in.Mode), "mode: must be a regular file")
	}
}

// walk checks all inodes from the root on, directory after directory, and then what only the whole
// walk tells.
func (c *checker) walk() {
	nid := c.sb.RootNID()
	c.where = place{inode: true, nid: nid, dir: 0, gen: c.where.gen}
	c.dirs.append(directory{nid: nid, pathLen: 1})
	c.seen.add(nid)
	in, ok := c.inode(nid)
	if !ok || !in.IsDir() {
		c.partial = true
		if ok {
			c.add(SuperRoot, in.Off+4, octal(in.Mode), "mode of the root: must be a directory")
		} else if c.missed.metabox == 0 {
			c.add(SuperRoot, super(0x0E), nid, "the root cannot be used: the mount fails")
		}
		return
	}
	root := c.dirs.at(0)
	root.nlink, root.compact = in.Nlink, !in.Format.Extended()
	for i := 0; i < c.dirs.len() && c.err == nil; i++ {
		c.scan(i)
	}
	if c.err == nil {
		c.counts()
	}
}

// child checks the inode that an entry of directory dir names.
func (c *checker) child(dir, device int, at int64, e *disk.Dirent, name []byte) {
	entry := place{inode: true, nid: e.NID, dir: dir, name: name, gen: c.where.gen}
	c.where = entry
	if e.NID == c.packed && c.packed != 0 {
		c.addAt(entry, SuperPacked, device, at, name, "the packed inode has a name")
	}
	if off, ok := c.inodeOff(e.NID); !ok {
		c.partial = true
		return
	} else if !c.seen.add(e.NID) {
		c.again(dir, device, at, e, name, off)
		return
	}
	in, ok := c.inode(e.NID)
	if !ok {
		c.partial = true // it may have been a directory
		return
	}
	c.fileType(device, at, e, disk.FileTypeOf(uint32(in.Mode)))
	parent := c.dirs.at(dir)
	if !in.IsDir() {
		if in.Nlink != 1 {
			c.links.add(link{nid: e.NID, declared: in.Nlink, counted: 1, parent: uint32(dir), name: c.names.add(name)})
		}
		return
	}
	parent.subdirs++
	d := directory{
		nid: e.NID, parent: uint32(dir), name: c.names.add(name), nlink: in.Nlink, compact: !in.Format.Extended(),
		pathLen: min(parent.pathLen, math.MaxUint32-256) + uint32(len(name)),
		depth:   parent.depth + 1,
	}
	if dir != 0 {
		d.pathLen++ // for the slash
	}
	if d.pathLen > maxPath && parent.pathLen <= maxPath {
		c.addAt(entry, DirDepth, device, at, d.pathLen, "bytes of path: Linux opens up to %d at once", maxPath)
	}
	c.rep.Stats.Depth = max(c.rep.Stats.Depth, d.depth)
	c.dirs.append(d)
}

// again handles a further name of an inode.
func (c *checker) again(dir, device int, at int64, e *disk.Dirent, name []byte, off int64) {
	in, err := c.im.Inode(e.NID)
	if err != nil {
		c.known(off, err)
		return
	}
	c.fileType(device, at, e, disk.FileTypeOf(uint32(in.Mode)))
	if in.IsDir() {
		if c.isAncestor(e.NID, dir) {
			c.addAt(c.where, DirLoop, device, at, name, "the directory contains itself")
		} else {
			c.addAt(c.where, DirTwice, device, at, name, "the directory has another name already")
		}
		return
	}
	c.rep.Stats.HardLinks++
	if l := c.links.find(e.NID); l != nil {
		l.counted++
		return
	}
	counted := uint32(2)
	if e.NID == c.packed {
		counted = 1
	}
	c.links.add(link{nid: e.NID, declared: in.Nlink, counted: counted, parent: uint32(dir), name: c.names.add(name)})
}

// maxClimb bounds the way up from a directory that has two names; a path of Linux cannot be deeper.
const maxClimb = 4096

// isAncestor tells whether nid is directory i or above it.
func (c *checker) isAncestor(nid uint64, i int) bool {
	if len(c.rep.Findings) >= c.max {
		return false // it would only tell apart what nobody reads
	}
	for range maxClimb {
		d := c.dirs.at(i)
		if d.nid == nid {
			return true
		}
		if i == 0 {
			return false
		}
		i = int(d.parent)
	}
	return false
}

// counts compares link counts and totals with what the walk has met. If it could not read every
// directory, only a count that is too small is wrong for certain.
func (c *checker) counts() {
	for i := range c.dirs.len() {
		d := c.dirs.at(i)
		want := d.subdirs + 2
		saturated := d.compact && want > math.MaxUint16 && d.nlink == 1
		if d.nlink == want || saturated || c.partial && d.nlink > want {
			continue
		}
		c.where = place{inode: true, nid: d.nid, dir: i}
		c.add(InodeNlink, c.offOf(d.nid), d.nlink, "links; the directory has %d subdirectories", d.subdirs)
	}
	for i := range c.links.links.len() {
		l := c.links.links.at(i)
		if l.counted == l.declared || c.partial && l.declared > l.counted {
			continue
		}
		c.where = place{inode: true, nid: l.nid, dir: int(l.parent), name: c.names.get(l.name)}
		c.add(InodeNlink, c.offOf(l.nid), l.declared, "links; the inode has %d names", l.counted)
	}
	c.where = place{dir: -1}
	if n := c.rep.Stats.Inodes; !c.partial && c.sb.Inos != 0 && c.sb.Inos != n {
		c.add(SuperInos, super(0x10), c.sb.Inos, "inodes; there are %d", n)
	}
}

func (c *checker) offOf(nid uint64) int64 {
	off, err := c.im.InodeOff(nid)
	if err != nil {
		return -1
	}
	return off
}
