package mkfs

import (
	"crypto/sha256"
	"hash"
	"io"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// fingerprint is the SHA-256 of the bytes of a file.
type fingerprint [sha256.Size]byte

// fingerprinter computes them while the bytes stream by.
type fingerprinter struct {
	h hash.Hash
}

// of returns r, and what to call when all of it has been read. It computes one at a time.
func (p *fingerprinter) of(r io.Reader) (tee io.Reader, sum func() *fingerprint) {
	if p.h == nil {
		p.h = sha256.New()
	}
	p.h.Reset()
	return io.TeeReader(r, p.h), func() *fingerprint {
		var f fingerprint
		p.h.Sum(f[:0])
		return &f
	}
}

// prefixes returns the table of long xattr prefixes; that of fingerprints is the last.
func (w *Writer) prefixes() []disk.LongPrefix {
	list := parsePrefixes(w.o.XattrPrefixes)
	if w.o.Fingerprints {
		list = append(list, disk.LongPrefix{BaseIndex: disk.XattrIndexNone, Infix: disk.FingerprintName})
	}
	return list
}

// attributes returns what the xattr area of an inode holds.
func (w *Writer) attributes(n *tree.Node) (list []tree.Xattr, f *fingerprint) {
	if !w.o.DropXattrs {
		list = n.Xattrs
	}
	if c, ok := n.Content.(*place); ok && n.IsRegular() {
		f = c.print
	}
	return list, f
}

// appendFingerprint appends an entry of the last prefix without a name.
func (x *xattrs) appendFingerprint(b []byte, f *fingerprint) []byte {
	value := append([]byte(disk.FingerprintSHA256), f[:]...)
	e := disk.XattrEntry{NameIndex: disk.XattrLongPrefix | uint8(len(x.prefixes)-1), ValueSize: uint16(len(value))}
	start := len(b)
	b = append(b, make([]byte, e.Size())...)
	e.Encode((*[disk.XattrEntrySize]byte)(b[start:]))
	copy(b[start+disk.XattrEntrySize:], value)
	return b
}
