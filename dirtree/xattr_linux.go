package dirtree

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/tree"
)

// maxXattr bounds both a value and the list of names: XATTR_SIZE_MAX and XATTR_LIST_MAX of Linux.
const maxXattr = 64 << 10

// xattrSource is what has extended attributes: an open file, or the path of one that is not opened.
type xattrSource interface {
	listXattr(b []byte) (int, error)
	getXattr(name string, b []byte) (int, error)
}

// xattrTarget is the same for setting them.
type xattrTarget interface {
	setXattr(name string, value []byte) error
}

func (f file) listXattr(b []byte) (int, error) { return unix.Flistxattr(int(f), b) }

func (f file) getXattr(name string, b []byte) (int, error) { return unix.Fgetxattr(int(f), name, b) }

func (f file) setXattr(name string, value []byte) error {
	return unix.Fsetxattr(int(f), name, value, 0)
}

func (p procPath) listXattr(b []byte) (int, error) { return unix.Llistxattr(string(p), b) }

func (p procPath) getXattr(name string, b []byte) (int, error) {
	return unix.Lgetxattr(string(p), name, b)
}

func (p procPath) setXattr(name string, value []byte) error {
	return unix.Lsetxattr(string(p), name, value, 0)
}

// xattrReader reads extended attributes. Names and short values come again and again (labels of security
// modules), so it keeps each once, up to a bound.
type xattrReader struct {
	names, value []byte
	known        map[string]string
}

const (
	maxKnown      = 4096 // strings that xattrReader keeps
	maxKnownValue = 128  // their length
)

// read returns the extended attributes of src that a tree has, nil if the file system has none.
func (x *xattrReader) read(src xattrSource) ([]tree.Xattr, error) {
	if x.names == nil {
		x.names, x.value, x.known = make([]byte, maxXattr), make([]byte, maxXattr), map[string]string{}
	}
	n, err := src.listXattr(x.names)
	if n == 0 || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	var list []tree.Xattr
	for b := x.names[:n]; len(b) > 0; {
		name := b
		if i := indexNUL(b); i < len(b) {
			name, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if !kept(string(name)) {
			continue
		}
		n, err := src.getXattr(string(name), x.value)
		if errors.Is(err, unix.ENODATA) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("extended attribute %q: %w", name, err)
		}
		list = append(list, tree.Xattr{Name: x.intern(name), Value: x.intern(x.value[:n])})
	}
	var node tree.Node
	node.SetXattrs(list)
	return node.Xattrs, nil
}

func indexNUL(b []byte) int {
	for i, c := range b {
		if c == 0 {
			return i
		}
	}
	return len(b)
}

// kept tells whether a tree has the attribute: EROFS stores these namespaces (section 5.2 of the format).
func kept(name string) bool {
	switch namespace, rest, _ := strings.Cut(name, "."); namespace {
	case "user", "trusted", "security":
		return true
	case "system":
		return rest == "posix_acl_access" || rest == "posix_acl_default"
	}
	return false
}

func (x *xattrReader) intern(b []byte) string {
	if s, ok := x.known[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(b) <= maxKnownValue && len(x.known) < maxKnown {
		x.known[s] = s
	}
	return s
}
