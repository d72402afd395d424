package erofs

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
	"github.com/laminafs/lamina/tree"
)

// Layout is how the data of an inode is stored (format section 2).
type Layout = disk.Layout

// The layouts.
const (
	FlatPlain         = disk.FlatPlain
	CompressedFull    = disk.CompressedFull
	FlatInline        = disk.FlatInline
	CompressedCompact = disk.CompressedCompact
	ChunkBased        = disk.ChunkBased
)

// maxTarget bounds the target of a symbolic link: PATH_MAX of Linux without the NUL.
const maxTarget = 4095

// Inode is everything about a file but its names. It is a copy: nothing changes behind it.
type Inode struct {
	NID      uint64
	Size     int64  // of the data on disk: file, link target, directory blocks
	Mtime    int64  // seconds since 1970
	Nsec     uint32 // below 1e9
	Mode     uint32 // type and permission bits as in inode(7)
	UID, GID uint32
	Rdev     uint32 // of devices, as tree.Dev encodes it
	Nlink    uint32 // as stored
	Layout   Layout

	im  *Image
	raw image.Inode
}

// Root returns the root directory.
func (im *Image) Root() *Inode {
	root := im.root
	return &root
}

// Inode reads the inode with the number nid. Numbers that no directory names may be anything.
func (im *Image) Inode(nid uint64) (*Inode, error) {
	raw, err := im.img.Inode(nid)
	if err != nil {
		return nil, err
	}
	i := im.inode(raw)
	return &i, nil
}

func (im *Image) inode(raw image.Inode) Inode {
	sec, nsec := timeOf(&raw)
	return Inode{
		NID: raw.NID, Size: raw.Size, Mtime: sec, Nsec: nsec, Mode: uint32(raw.Mode),
		UID: raw.UID, GID: raw.GID, Rdev: raw.Rdev, Nlink: raw.Nlink, Layout: raw.Layout(),
		im: im, raw: raw,
	}
}

// timeOf carries what exceeds a second out of the nanoseconds, on which the format has no rule.
func timeOf(raw *image.Inode) (sec int64, nsec uint32) {
	return raw.Mtime + int64(raw.Nsec/1e9), raw.Nsec % 1e9
}

// IsDir tells whether the inode is a directory.
func (i *Inode) IsDir() bool { return i.raw.IsDir() }

// IsRegular tells whether the inode is a regular file.
func (i *Inode) IsRegular() bool { return i.raw.IsRegular() }

// IsSymlink tells whether the inode is a symbolic link.
func (i *Inode) IsSymlink() bool { return i.raw.IsSymlink() }

// ReadLink returns the target of a symbolic link.
func (i *Inode) ReadLink() (string, error) {
	if !i.IsSymlink() {
		return "", fmt.Errorf("erofs: inode %d: mode %#o: not a symbolic link", i.NID, i.Mode)
	}
	return readLink(i.im.img, &i.raw)
}

func readLink(img *image.Image, raw *image.Inode) (string, error) {
	bad := func(got any, why string) (string, error) {
		return "", &FormatError{Off: raw.Off, Field: fmt.Sprintf("inode %d: link target", raw.NID), Got: got, Why: why}
	}
	if raw.Size > maxTarget {
		return bad(raw.Size, "longer than 4095 bytes")
	}
	b := make([]byte, raw.Size)
	if err := img.ReadAt(raw, b, 0); err != nil {
		return "", err
	}
	if s := string(b); !strings.Contains(s, "\x00") {
		return s, nil
	}
	return bad(b, "has a NUL")
}

// Xattrs returns the extended attributes with their full names, sorted by name. Attributes that Linux
// does not list, those without a prefix or with an unknown one, are left out. At most 17 MiB.
func (i *Inode) Xattrs() ([]tree.Xattr, error) {
	var list []tree.Xattr
	for x, err := range i.im.img.Xattrs(&i.raw) {
		if err != nil {
			return nil, err
		}
		if !x.Listed {
			continue
		}
		if err := nameable(&x); err != nil {
			return nil, err
		}
		list = append(list, tree.Xattr{Name: x.Prefix + string(x.Rest), Value: string(x.Value)})
	}
	return unique(list), nil
}

// Fingerprint returns what the image says identifies the bytes of the inode, for Linux to share the page cache
// with equal files of other images (format section 5.6): mkfs writes "sha256:" and the 32 bytes of the digest. nil
// if there is none. Nothing checks it.
func (i *Inode) Fingerprint() ([]byte, error) {
	s := &i.im.img.Super
	if s.Compat&disk.HasIshareXattrs == 0 || !i.IsRegular() {
		return nil, nil
	}
	for x, err := range i.im.img.Xattrs(&i.raw) {
		if err != nil {
			return nil, err
		}
		if x.Index == disk.XattrLongPrefix|s.IshareXattrPrefixID && len(x.Rest) == 0 {
			return bytes.Clone(x.Value), nil
		}
	}
	return nil, nil
}

// nameable refuses names with a NUL, which no system call can return.
func nameable(x *image.Xattr) error {
	if bytes.IndexByte(x.Rest, 0) < 0 && strings.IndexByte(x.Infix, 0) < 0 {
		return nil
	}
	return &FormatError{Off: x.Off, Field: "xattr entry: name", Got: x.Infix + string(x.Rest), Why: "has a NUL"}
}

// unique sorts attributes by name; of those with the same name the first stays, as in getxattr(2).
func unique(list []tree.Xattr) []tree.Xattr {
	slices.SortStableFunc(list, func(a, b tree.Xattr) int { return cmp.Compare(a.Name, b.Name) })
	return slices.CompactFunc(list, func(a, b tree.Xattr) bool { return a.Name == b.Name })
}

// Extent is a run of bytes of a file that is stored in one piece. Only if neither Hole, Encoded nor Packed is
// set, its bytes are on the device as they are in the file.
type Extent struct {
	Logical   int64  // offset in the file
	Physical  int64  // offset on the device, 0 for a hole; if Packed, in the packed inode
	Length    int64  // in the file
	Stored    int64  // on the device; 0 for a hole and if Packed
	Device    int    // 0 is the image itself, n the n-th extra device, MetaboxDevice the decoded metabox
	Algorithm string // "lz4", "lzma", "deflate", "zstd"; empty if the bytes are not compressed
	Hole      bool
	Encoded   bool // an index describes it: compressed, or stored in a way of its own
	Inline    bool // behind the inode
	Packed    bool // a fragment: the inode PackedNID of the superblock has the bytes
}

// MetaboxDevice is Extent.Device of bytes in the decoded data of the metabox.
const MetaboxDevice = image.MetaboxDevice

// Extents returns where the data of the inode is: ascending, without gaps from 0 to Size. Adjacent pieces are
// joined unless they are encoded or packed.
func (i *Inode) Extents() ([]Extent, error) { return extents(i.im.img, &i.raw) }

func extents(img *image.Image, raw *image.Inode) ([]Extent, error) {
	var list []Extent
	for e, err := range img.Extents(raw) {
		if err != nil {
			return nil, err
		}
		x := Extent{
			Logical: e.Logical, Physical: e.Pos, Length: e.Len, Stored: e.Stored, Device: e.Device,
			Hole: e.Kind == image.Hole, Encoded: e.Kind == image.Encoded, Packed: e.Kind == image.Packed, Inline: e.Kind == image.Inline,
		}
		if x.Encoded && !e.Plain {
			x.Algorithm = e.Algorithm.String()
		}
		list = append(list, x)
	}
	return list, nil
}

// Content returns the data of the inode, read from the image when it is asked for. It has the method Extents of
// Inode, and ChunkSize.
func (i *Inode) Content() tree.Content { return &content{i.im.img, i.NID} }

// content finds its inode anew for every read, which the cache makes cheap: a tree has one for every
// file, so it is small.
type content struct {
	img *image.Image
	nid uint64
}

// Extents returns where the data is, as Inode.Extents does.
func (c *content) Extents() ([]Extent, error) {
	raw, err := c.img.Inode(c.nid)
	if err != nil {
		return nil, err
	}
	return extents(c.img, &raw)
}

// ChunkSize returns the size of the chunks of a chunk-based file, 0 for others.
func (c *content) ChunkSize() (int64, error) {
	raw, err := c.img.Inode(c.nid)
	if err != nil || raw.Layout() != ChunkBased {
		return 0, err
	}
	return 1 << c.img.ChunkBits(&raw), nil
}

// ReadAt implements io.ReaderAt.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	raw, err := c.img.Inode(c.nid)
	if err != nil {
		return 0, err
	}
	return readAt(c.img, &raw, p, off)
}

func readAt(img *image.Image, raw *image.Inode, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("erofs: inode %d: read at %d: negative offset", raw.NID, off)
	}
	if off >= raw.Size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), raw.Size-off))
	if err := img.ReadAt(raw, p[:n], off); err != nil {
		return 0, err
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Data implements tree.Content. What cannot be mapped counts as data, so that reading it fails.
func (c *content) Data() []tree.Extent {
	raw, err := c.img.Inode(c.nid)
	if err != nil {
		return nil
	}
	data, holes := []tree.Extent{}, false
	for e, err := range c.img.Extents(&raw) {
		switch last := len(data) - 1; {
		case err != nil:
			return nil
		case e.Kind == image.Hole:
			holes = true
		case last >= 0 && data[last].Off+data[last].Len == e.Logical:
			data[last].Len += e.Len
		default:
			data = append(data, tree.Extent{Off: e.Logical, Len: e.Len})
		}
	}
	if !holes {
		return nil
	}
	return data
}
