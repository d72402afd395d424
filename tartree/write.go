package tartree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/laminafs/lamina/tree"
)

// WriteOptions of Write; the zero value works.
type WriteOptions struct {
	// Whiteouts says what becomes of whiteouts and opaque directories, which a tree has in the form of
	// overlayfs: Overlay writes them as the .wh. entries of an OCI layer, Keep as the devices and
	// attributes that they are, Strip leaves them out.
	Whiteouts Whiteouts
	// Dense writes the holes of sparse files as zeros.
	Dense bool
	// Warn, if set, is told what a tar archive cannot hold and Write leaves out: sockets. Off is -1.
	Warn func(Warning)
}

// Write writes t as a tar archive that depends on nothing but the tree and the options.
//
// The root comes first, as "./", unless it is Implied, then for each directory its opaque marker, its whiteouts, and its other
// entries, each with what is below it; all in the order of the bytes of the names. Headers are ustar;
// what does not fit there is in PAX records: long and non-ASCII names, large numbers, times with
// fractions or before 1970, extended attributes (SCHILY.xattr). Sparse files have the GNU form 1.0. The
// first name of a hard-linked node has the content, the others link to it. Directories that are Implied
// have no entry of their own. Two blocks of zeros end it.
//
// Read of the result, with the same Whiteouts, gives an equal tree, except that each name of a hard-linked
// whiteout comes back as a whiteout of its own. Errors: *Error with Off -1 for what an archive cannot
// express, what w or a Content returned otherwise, wrapped. Write renumbers the tree (tree.Tree.Inodes).
func Write(w io.Writer, t *tree.Tree, o WriteOptions) error {
	t.Inodes()
	x := &writer{o: o, w: w, root: t.Root, buf: make([]byte, 0, bufferSize), first: make(map[*tree.Node]string)}
	if !x.implied(t.Root) {
		if err := x.entry("./", t.Root); err != nil {
			return err
		}
	}
	if err := x.directory("", t.Root); err != nil {
		return err
	}
	if err := x.bytes(make([]byte, 2*blockSize)); err != nil {
		return err
	}
	return x.flush()
}

// writer is the state of one Write.
type writer struct {
	o     WriteOptions
	w     io.Writer
	root  *tree.Node
	buf   []byte
	first map[*tree.Node]string // of nodes with several names: the first one written

	pax    []byte // scratch: records of one entry
	binary bool   // pax says that it has names that are not UTF-8
}

func refuse(path, why string) error {
	return &Error{Off: -1, Name: path, Why: why, Kind: ErrArchive}
}

// directory writes what is in d; prefix is its path with a slash, empty for the root.
func (x *writer) directory(prefix string, d *tree.Node) error {
	if x.o.Whiteouts == Overlay {
		if err := x.whiteouts(prefix, d); err != nil {
			return err
		}
	}
	for _, c := range d.Entries() {
		path := prefix + c.Name
		if !isName(c.Name) {
			return refuse(path, "no name of a file")
		}
		if x.o.Whiteouts != Keep {
			if c.Node.IsWhiteout() {
				continue
			}
			if strings.HasPrefix(c.Name, whiteoutPrefix) {
				return refuse(path, "the name means a whiteout in an OCI layer")
			}
		}
		if !c.Node.IsDir() {
			if err := x.entry(path, c.Node); err != nil {
				return err
			}
			continue
		}
		path += "/"
		if !x.implied(c.Node) {
			if err := x.entry(path, c.Node); err != nil {
				return err
			}
		}
		if err := x.directory(path, c.Node); err != nil {
			return err
		}
	}
	return nil
}

// implied reports whether a directory needs no entry, because something below it has one: an entry would
// replace the metadata of a lower layer.
func (x *writer) implied(d *tree.Node) bool {
	if !d.Implied() || d.Mode != tree.TypeDir|0o755 || d.UID|d.GID|d.Nsec != 0 || d.Mtime != 0 || len(x.xattrs(d)) > 0 {
		return false
	}
	if x.o.Whiteouts == Overlay && isOpaque(d) {
		return true
	}
	for _, c := range d.Entries() {
		if c.Node.Type() != tree.TypeSocket && (x.o.Whiteouts != Strip || !c.Node.IsWhiteout()) {
			return true
		}
	}
	return d == x.root
}

// whiteouts writes the opaque marker and the whiteouts of d.
func (x *writer) whiteouts(prefix string, d *tree.Node) error {
	if isOpaque(d) {
		if err := x.emit(prefix+whiteoutOpaque, typeFile, &tree.Node{}, nil, 0); err != nil {
			return err
		}
	}
	for _, c := range d.Entries() {
		if !c.Node.IsWhiteout() {
			continue
		}
		name := whiteoutPrefix + c.Name
		if !isName(c.Name) || name == whiteoutOpaque || isMeta([]byte(name)) {
			return refuse(prefix+c.Name, "an OCI layer has no whiteout of this name")
		}
		if err := x.emit(prefix+name, typeFile, c.Node, c.Node.Xattrs, 0); err != nil {
			return err
		}
	}
	return nil
}

func isName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= maxName && !strings.ContainsAny(s, "/\x00")
}

func isOpaque(d *tree.Node) bool {
	v, _ := d.Xattr(xattrOpaque)
	return v == "y"
}

// xattrs returns those that are written: without what whiteouts express, or Read adds for them.
func (x *writer) xattrs(n *tree.Node) []tree.Xattr {
	if !n.IsDir() || x.o.Whiteouts == Keep || len(n.Xattrs) == 0 {
		return n.Xattrs
	}
	var out []tree.Xattr
	for _, a := range n.Xattrs {
		switch {
		case a.Name == xattrOpaque && (a.Value == "y" || x.o.Whiteouts == Strip):
		case a.Name == xattrOrigin && a.Value == "" && hasWhiteouts(n):
		default:
			out = append(out, a)
		}
	}
	return out
}

func hasWhiteouts(d *tree.Node) bool {
	for _, c := range d.Entries() {
		if c.Node.IsWhiteout() {
			return true
		}
	}
	return false
}

// entry writes one name of a node, with its data if it is the first.
func (x *writer) entry(path string, n *tree.Node) error {
	if !n.IsDir() && n.Links() > 1 {
		if first, ok := x.first[n]; ok {
			return x.link(path, first, n)
		}
		x.first[n] = path
	}
	switch n.Type() {
	case tree.TypeDir:
		return x.emit(path, typeDir, n, x.xattrs(n), 0)
	case tree.TypeRegular:
		return x.file(path, n)
	case tree.TypeSymlink:
		if len(n.Target) == 0 || len(n.Target) > maxTarget || strings.IndexByte(n.Target, 0) >= 0 {
			return refuse(path, "target of the symbolic link is empty, has a NUL or is longer than 4095 bytes")
		}
		return x.emit(path, typeSymlink, n, n.Xattrs, 0)
	case tree.TypeChar:
		return x.emit(path, typeChar, n, n.Xattrs, 0)
	case tree.TypeBlock:
		return x.emit(path, typeBlock, n, n.Xattrs, 0)
	case tree.TypeFifo:
		return x.emit(path, typeFifo, n, n.Xattrs, 0)
	case tree.TypeSocket:
		if x.o.Warn != nil {
			x.o.Warn(Warning{Off: -1, Name: path, Text: "socket left out"})
		}
		return nil
	}
	return refuse(path, "file of an unknown type")
}

// link writes a hard link. Its header repeats the metadata: containerd applies that of the last name.
func (x *writer) link(path, first string, n *tree.Node) error {
	if n.Type() == tree.TypeSocket {
		return nil
	}
	h := &tree.Node{Mode: n.Mode, UID: n.UID, GID: n.GID, Mtime: n.Mtime, Nsec: n.Nsec, Target: first}
	return x.emit(path, typeLink, h, nil, 0)
}

func (x *writer) file(path string, n *tree.Node) error {
	if n.Size < 0 || n.Size > maxSize || n.Content == nil && n.Size > 0 {
		return refuse(path, "size is out of range, or there is no content")
	}
	var data []tree.Extent
	if n.Content != nil && !x.o.Dense {
		data = n.Content.Data()
	}
	if data == nil {
		if err := x.emit(path, typeFile, n, n.Xattrs, n.Size); err != nil {
			return err
		}
		if err := x.content(path, n, tree.Extent{Len: n.Size}); err != nil {
			return err
		}
		return x.pad(n.Size)
	}
	return x.sparse(path, n, data)
}

// sparse writes a file in the form 1.0 of GNU tar: the map at the head of the payload. An empty extent at
// the end gives the size to readers that know it from the map only.
func (x *writer) sparse(path string, n *tree.Node, data []tree.Extent) error {
	var end, sum int64
	for _, e := range data {
		if e.Off < end || e.Len <= 0 || e.Len > n.Size-e.Off {
			return refuse(path, "extents of the content overlap, descend or leave the file")
		}
		end = e.Off + e.Len
		sum += e.Len
	}
	all := data
	if end < n.Size {
		all = append(data[:len(data):len(data)], tree.Extent{Off: n.Size})
	}
	if len(all) > maxExtents {
		return refuse(path, "more than 1048576 extents of data")
	}
	var m bytes.Buffer
	fmt.Fprintf(&m, "%d\n", len(all))
	for _, e := range all {
		fmt.Fprintf(&m, "%d\n%d\n", e.Off, e.Len)
	}
	m.Write(zeros[:-m.Len()&(blockSize-1)])
	if err := x.emitSparse(path, n, int64(m.Len())+sum); err != nil {
		return err
	}
	if err := x.bytes(m.Bytes()); err != nil {
		return err
	}
	for _, e := range data {
		if err := x.content(path, n, e); err != nil {
			return err
		}
	}
	return x.pad(sum)
}

// content writes a range of the content of a file.
func (x *writer) content(path string, n *tree.Node, e tree.Extent) error {
	for off, end := e.Off, e.Off+e.Len; off < end; {
		if len(x.buf) == cap(x.buf) {
			if err := x.flush(); err != nil {
				return err
			}
		}
		b := x.buf[len(x.buf):cap(x.buf)]
		b = b[:min(int64(len(b)), end-off)]
		got, err := n.Content.ReadAt(b, off)
		if got < len(b) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("tartree: %q: %w", path, err)
		}
		x.buf = x.buf[:len(x.buf)+got]
		off += int64(got)
	}
	return nil
}

// pad completes the last block of a payload of n bytes.
func (x *writer) pad(n int64) error { return x.bytes(zeros[:-n&(blockSize-1)]) }

// bytes writes b through the buffer.
func (x *writer) bytes(b []byte) error {
	for len(b) > 0 {
		if len(x.buf) == cap(x.buf) {
			if err := x.flush(); err != nil {
				return err
			}
		}
		c := copy(x.buf[len(x.buf):cap(x.buf)], b)
		x.buf = x.buf[:len(x.buf)+c]
		b = b[c:]
	}
	return nil
}

func (x *writer) flush() error {
	_, err := x.w.Write(x.buf)
	x.buf = x.buf[:0]
	if err != nil {
		return fmt.Errorf("tartree: write: %w", err)
	}
	return nil
}
