package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/tree"
)

// inodeInfo is the JSON of an inode.
type inodeInfo struct {
	Path   jsonBytes `json:"path"`
	NID    uint64    `json:"nid"`
	Type   string    `json:"type"`
	Mode   string    `json:"mode"` // octal permission bits
	UID    uint32    `json:"uid"`
	GID    uint32    `json:"gid"`
	Size   int64     `json:"size"`
	Nlink  uint32    `json:"nlink"`
	Mtime  time.Time `json:"mtime"`
	Rdev   string    `json:"rdev,omitempty"` // major:minor
	Target jsonBytes `json:"target,omitempty"`
	Layout string    `json:"layout,omitempty"`
	Xattrs []xattr   `json:"xattrs,omitempty"`

	Fingerprint string `json:"fingerprint,omitempty"` // for sharing the page cache
}

type xattr struct {
	Name  jsonBytes `json:"name"`
	Value jsonBytes `json:"value"`
}

// jsonBytes is a byte string: JSON text if it is UTF-8, else {"base64": ...}.
type jsonBytes string

// MarshalJSON implements json.Marshaler.
func (b jsonBytes) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(b)) {
		return json.Marshal(string(b))
	}
	return []byte(`{"base64":"` + base64.StdEncoding.EncodeToString([]byte(b)) + `"}`), nil
}

var typeNames = map[uint32]string{
	tree.TypeRegular: "file", tree.TypeDir: "directory", tree.TypeSymlink: "symlink", tree.TypeChar: "char device",
	tree.TypeBlock: "block device", tree.TypeFifo: "fifo", tree.TypeSocket: "socket",
}

// fingerprintText is the digest in hexadecimal digits, if it is one.
func fingerprintText(f []byte) string {
	if kind, sum, ok := bytes.Cut(f, []byte(":")); ok && len(sum) == 32 {
		return fmt.Sprintf("%s:%x", kind, sum)
	}
	return fmt.Sprintf("%x", f)
}

// describe reads what there is to say about an inode; long adds layout and extended attributes.
func describe(path string, i *erofs.Inode, long bool) (info inodeInfo, err error) {
	info = inodeInfo{
		Path: jsonBytes(path), NID: i.NID, Type: typeNames[i.Mode&tree.TypeMask], Mode: fmt.Sprintf("%04o", i.Mode&tree.PermMask),
		UID: i.UID, GID: i.GID, Size: i.Size, Nlink: i.Nlink, Mtime: time.Unix(i.Mtime, int64(i.Nsec)).UTC(),
	}
	if isDevice(i.Mode) {
		major, minor := tree.DevMajorMinor(i.Rdev)
		info.Rdev = fmt.Sprintf("%d:%d", major, minor)
	}
	if i.IsSymlink() {
		target, err := i.ReadLink()
		if err != nil {
			return info, err
		}
		info.Target = jsonBytes(target)
	}
	if !long {
		return info, nil
	}
	info.Layout = i.Layout.String()
	list, err := i.Xattrs()
	for _, x := range list {
		info.Xattrs = append(info.Xattrs, xattr{jsonBytes(x.Name), jsonBytes(x.Value)})
	}
	if err == nil {
		var f []byte
		f, err = i.Fingerprint()
		info.Fingerprint = fingerprintText(f)
	}
	return info, err
}

func isDevice(mode uint32) bool {
	t := mode & tree.TypeMask
	return t == tree.TypeChar || t == tree.TypeBlock
}

// timeText is a modification time for people: nanoseconds only if there are some.
func timeText(t time.Time) string {
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02 15:04:05")
	}
	return t.Format("2006-01-02 15:04:05.000000000")
}

// longLine is a line of ls -l.
func (n *inodeInfo) longLine(mode uint32) string {
	size := fmt.Sprint(n.Size)
	if n.Rdev != "" {
		size = strings.Replace(n.Rdev, ":", ",", 1)
	}
	line := fmt.Sprintf("%s %3d %5d %5d %10s %s %s", modeText(mode), n.Nlink, n.UID, n.GID, size, timeText(n.Mtime), printable(string(n.Path)))
	if n.Type == "symlink" {
		line += " -> " + printable(string(n.Target))
	}
	return line
}

// modeText is the mode as ls -l has it.
func modeText(mode uint32) string {
	b := []byte("?rwxrwxrwx")
	for t, c := range map[uint32]byte{
		tree.TypeRegular: '-', tree.TypeDir: 'd', tree.TypeSymlink: 'l', tree.TypeChar: 'c', tree.TypeBlock: 'b',
		tree.TypeFifo: 'p', tree.TypeSocket: 's',
	} {
		if mode&tree.TypeMask == t {
			b[0] = c
		}
	}
	perm := fs.FileMode(mode).Perm()
	for i := range 9 {
		if perm&(1<<(8-i)) == 0 {
			b[1+i] = '-'
		}
	}
	for _, s := range []struct {
		bit uint32
		at  int
		set byte
	}{{0o4000, 3, 's'}, {0o2000, 6, 's'}, {0o1000, 9, 't'}} {
		if mode&s.bit == 0 {
			continue
		}
		if b[s.at] == '-' {
			s.set = upper(s.set)
		}
		b[s.at] = s.set
	}
	return string(b)
}

// printable escapes what would disturb a terminal or a line: control characters, bytes that are not UTF-8,
// and the backslash that starts the escapes.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError && n == 1, r < 0x80 && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}
