package erofs

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
	"github.com/laminafs/lamina/tree"
)

// DirEntry is a name in a directory.
type DirEntry struct {
	Name string
	NID  uint64
	Type FileType // as the directory has it; the mode of the inode is what counts
}

// FileType is the type of a file in a directory entry.
type FileType = disk.FileType

// Entries returns the entries of a directory ordered by the bytes of their names, without "." and "..".
func (i *Inode) Entries() ([]DirEntry, error) {
	c, err := i.cursor()
	if err != nil {
		return nil, err
	}
	var list []DirEntry
	for {
		block, err := c.next()
		if block == nil || err != nil {
			return list, err
		}
		list = append(list, block...)
	}
}

func (i *Inode) cursor() (*cursor, error) {
	if !i.IsDir() {
		return nil, fmt.Errorf("erofs: inode %d: mode %#o: %w", i.NID, i.Mode, errNotDir)
	}
	return &cursor{img: i.im.img, dir: i.raw}, nil
}

// cursor goes over a directory block by block.
type cursor struct {
	img   *image.Image
	dir   image.Inode
	block int64
	last  []byte // the greatest name so far
	buf   []DirEntry
}

// next returns the entries of the next block, valid until the next call, or nil at the end. Names that
// do not ascend are an error: Linux would not find them, and only so a directory is finite.
func (c *cursor) next() ([]DirEntry, error) {
	c.buf = c.buf[:0]
	for len(c.buf) == 0 { // a block may hold dots only
		if c.block == c.img.DirBlocks(&c.dir) {
			return nil, nil
		}
		b, err := c.img.DirBlock(&c.dir, c.block)
		if err != nil {
			return nil, err
		}
		names := string(b.Bytes()[b.NamesOff():]) // all names are parts of one string
		for k := range b.Len() {
			e, err := b.Entry(k)
			if err != nil {
				return nil, err
			}
			if bytes.Compare(c.last, e.Name) >= 0 {
				return nil, &FormatError{Off: e.Off, Field: fmt.Sprintf("inode %d: dirent: name", c.dir.NID), Got: string(e.Name), Why: "does not come after the name before it"}
			}
			if c.last = e.Name; e.IsDot() {
				continue
			}
			at := e.NameOff - b.NamesOff()
			c.buf = append(c.buf, DirEntry{Name: names[at : at+len(e.Name)], NID: e.NID, Type: e.Type})
		}
		c.block++
	}
	return c.buf, nil
}

// Lookup returns the inode at a slash-separated path of bytes; "" is the root. Symbolic links are not
// followed, and ".." is no name. The error is an *fs.PathError.
func (im *Image) Lookup(path string) (*Inode, error) {
	at := im.root.raw
	for rest, depth := path, 0; rest != ""; {
		var name string
		if name, rest, _ = strings.Cut(rest, "/"); name == "" || name == "." {
			continue
		}
		var err error
		if at, err = im.child(&at, name, depth); err != nil {
			return nil, &fs.PathError{Op: "lookup", Path: path, Err: err}
		}
		depth++
	}
	i := im.inode(at)
	return &i, nil
}

// owner is the place of a name: a directory and an entry in it.
type owner struct {
	dir   uint64
	place int64
}

// child returns the inode of a name in a directory that is depth directories below the root.
//
// A directory has one name. In a hostile image it may have more, and then paths can go in circles or
// multiply without end; so the image remembers by which name it met a directory, and only that one
// works. Together with the bounds on the depth and on the size of all directories this makes every walk
// as short as the image.
func (im *Image) child(dir *image.Inode, name string, depth int) (image.Inode, error) {
	if !dir.IsDir() {
		return image.Inode{}, errNotDir
	}
	if depth >= tree.MaxDepth {
		return image.Inode{}, errTooDeep
	}
	e, place, ok, err := im.img.Lookup(dir, name)
	if err == nil && (!ok || e.IsDot()) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return image.Inode{}, err
	}
	i, err := im.img.Inode(e.NID)
	if err != nil || !i.IsDir() {
		return i, err
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	here := owner{dir.NID, place}
	known, ok := im.owners[i.NID]
	switch {
	case known == here && ok:
		return i, nil
	case ok || i.NID == im.root.NID:
		return i, &FormatError{Off: e.Off, Field: fmt.Sprintf("inode %d: dirent: nid", dir.NID), Got: i.NID, Why: "is a directory that has another name"}
	}
	im.owners[i.NID] = here
	return i, im.meter.charge(im.img, i.Size)
}
