package tartree

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/laminafs/lamina/tree"
)

// emit writes the header of an entry, before it a PAX header if need be. size is that of the payload.
func (x *writer) emit(path string, typ byte, n *tree.Node, xattrs []tree.Xattr, size int64) error {
	x.pax, x.binary = x.pax[:0], false
	var h [blockSize]byte
	if !putName(&h, path) {
		x.textRecord("path", path)
	}
	return x.finish(&h, path, typ, n, xattrs, size)
}

// emitSparse is emit for a sparse file: the name is in a record of its own, the path tells readers that do
// not know the form what they got.
func (x *writer) emitSparse(path string, n *tree.Node, size int64) error {
	x.pax, x.binary = x.pax[:0], false
	var h [blockSize]byte
	putName(&h, "GNUSparseFile.0/"+shortName(path))
	x.record("GNU.sparse.major", "1")
	x.record("GNU.sparse.minor", "0")
	x.textRecord("GNU.sparse.name", path)
	x.record("GNU.sparse.realsize", strconv.FormatInt(n.Size, 10))
	return x.finish(&h, path, typeFile, n, n.Xattrs, size)
}

// finish fills the fields behind the name in and writes the headers.
func (x *writer) finish(h *[blockSize]byte, path string, typ byte, n *tree.Node, xattrs []tree.Xattr, size int64) error {
	if typ == typeLink || typ == typeSymlink {
		if len(n.Target) <= 100 && plain(n.Target) {
			copy(h[157:257], n.Target)
		} else {
			x.textRecord("linkpath", n.Target)
		}
	}
	x.number(h[124:136], "size", size)
	x.number(h[108:116], "uid", int64(n.UID))
	x.number(h[116:124], "gid", int64(n.GID))
	x.mtime(h[136:148], n)
	for _, a := range xattrs {
		if len(a.Name) == 0 || len(a.Name) > maxXattrName || strings.IndexByte(a.Name, 0) >= 0 || len(a.Value) > maxXattrValue {
			return refuse(path, "extended attribute has a name or a value of a length that Linux does not have")
		}
		x.xattr(a)
	}
	octal(h[100:108], int64(n.Mode&tree.PermMask))
	if typ == typeSymlink {
		octal(h[100:108], 0o777)
	}
	if typ == typeChar || typ == typeBlock {
		major, minor := tree.DevMajorMinor(n.Rdev)
		octal(h[329:337], int64(major))
		octal(h[337:345], int64(minor))
	}
	if len(x.pax) > maxExtended {
		return refuse(path, "name and extended attributes take more than 1 MiB")
	}
	if len(x.pax) > 0 {
		if err := x.paxHeader(path); err != nil {
			return err
		}
	}
	seal(h, typ)
	return x.bytes(h[:])
}

// paxHeader writes the records collected in x.pax.
func (x *writer) paxHeader(path string) error {
	var h [blockSize]byte
	putName(&h, "PaxHeaders/"+shortName(path))
	octal(h[100:108], 0o644)
	octal(h[108:116], 0)
	octal(h[116:124], 0)
	octal(h[124:136], int64(len(x.pax)))
	octal(h[136:148], 0)
	seal(&h, typePax)
	if err := x.bytes(h[:]); err != nil {
		return err
	}
	if err := x.bytes(x.pax); err != nil {
		return err
	}
	return x.pad(int64(len(x.pax)))
}

// seal completes a header: type, magic, checksum.
func seal(h *[blockSize]byte, typ byte) {
	h[156] = typ
	copy(h[257:], "ustar\x0000")
	copy(h[148:156], "        ")
	octal(h[148:155], sumBytes(h)) // six digits, NUL, space
}

// octal fills a field with digits and a NUL; n fits.
func octal(b []byte, n int64) {
	for i := len(b) - 2; i >= 0; i-- {
		b[i] = '0' + byte(n&7)
		n >>= 3
	}
	b[len(b)-1] = 0
}

// number fills a field, or leaves it 0 and adds a record.
func (x *writer) number(b []byte, key string, n int64) {
	if n >= 0 && n < 1<<(3*(len(b)-1)) {
		octal(b, n)
		return
	}
	octal(b, 0)
	x.record(key, strconv.FormatInt(n, 10))
}

// mtime fills the field or adds a record, for fractions and for times that octal digits cannot express.
func (x *writer) mtime(b []byte, n *tree.Node) {
	if n.Nsec == 0 {
		x.number(b, "mtime", n.Mtime)
		return
	}
	octal(b, 0)
	sec, nsec, sign := n.Mtime, int64(n.Nsec), ""
	if sec < 0 { // -2 s + 0.25 s is written as -1.75
		sec, nsec, sign = -(sec + 1), 1e9-nsec, "-"
	}
	frac := strconv.FormatInt(1e9+nsec, 10)[1:]
	x.record("mtime", sign+strconv.FormatInt(sec, 10)+"."+strings.TrimRight(frac, "0"))
}

// textRecord adds a record with a name in it, which says so if it is not UTF-8.
func (x *writer) textRecord(key, value string) {
	if !utf8.ValidString(value) && !x.binary {
		x.binary = true
		x.record("hdrcharset", "BINARY")
	}
	x.record(key, value)
}

// xattr adds an attribute. A name with "=" cannot be part of a key; libarchive's form escapes it.
func (x *writer) xattr(a tree.Xattr) {
	if !strings.Contains(a.Name, "=") {
		x.record("SCHILY.xattr."+a.Name, a.Value)
		return
	}
	name := strings.NewReplacer("%", "%25", "=", "%3D").Replace(a.Name)
	x.record("LIBARCHIVE.xattr."+name, base64.RawStdEncoding.EncodeToString([]byte(a.Value)))
}

// record appends "LENGTH KEY=VALUE\n", where LENGTH counts itself.
func (x *writer) record(key, value string) {
	n := len(key) + len(value) + 3
	size := n + digits(n)
	size = n + digits(size)
	x.pax = strconv.AppendInt(x.pax, int64(size), 10)
	x.pax = append(x.pax, ' ')
	x.pax = append(x.pax, key...)
	x.pax = append(x.pax, '=')
	x.pax = append(x.pax, value...)
	x.pax = append(x.pax, '\n')
}

func digits(n int) int { return len(strconv.Itoa(n)) }

// plain reports whether a name can stand in a ustar field: ASCII, or no UTF-8, which PAX records must be.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return !utf8.ValidString(s)
		}
	}
	return true
}

// putName puts a path into name and prefix and reports whether it fits.
func putName(h *[blockSize]byte, path string) bool {
	if !plain(path) {
		return false
	}
	if len(path) <= 100 {
		copy(h[:100], path)
		return true
	}
	// the split is at the last slash that leaves a prefix of 155 bytes at most, and a name
	head := path[:min(156, len(path)-1)]
	i := strings.LastIndexByte(head, '/')
	if i <= 0 || len(path)-i-1 > 100 {
		return false
	}
	copy(h[345:500], path[:i])
	copy(h[:100], path[i+1:])
	return true
}

// shortName returns the last component of a path, cut to what fits in a field behind a directory name.
func shortName(path string) string {
	path = strings.TrimRight(path, "/")
	path = path[strings.LastIndexByte(path, '/')+1:]
	var b []byte
	for i := 0; i < min(len(path), 80); i++ {
		if c := path[i]; c > ' ' && c < 0x7F {
			b = append(b, c)
		} else {
			b = append(b, '_')
		}
	}
	return string(b)
}
