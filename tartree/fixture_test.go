package tartree

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// The functions of this file make archives byte by byte: what no writer would write, too.

// field is a header field that a fixture sets.
type field func(h []byte)

// hdr returns a ustar header with mode 0644, mtime 1000 and owner 0:0 unless the fields say otherwise.
func hdr(name string, typ byte, fields ...field) string {
	h := make([]byte, blockSize)
	copy(h[:100], name)
	octal(h[100:108], 0o644)
	octal(h[108:116], 0)
	octal(h[116:124], 0)
	octal(h[124:136], 0)
	octal(h[136:148], 1000)
	h[156] = typ
	copy(h[257:], "ustar\x0000")
	octal(h[329:337], 0)
	octal(h[337:345], 0)
	for _, f := range fields {
		f(h)
	}
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return string(h)
}

func at(off int, s string) field { return func(h []byte) { copy(h[off:], s) } }
func mode(n int64) field         { return func(h []byte) { octal(h[100:108], n) } }
func owner(u, g int64) field {
	return func(h []byte) { octal(h[108:116], u); octal(h[116:124], g) }
}
func size(n int) field      { return func(h []byte) { octal(h[124:136], int64(n)) } }
func mtime(n int64) field   { return func(h []byte) { octal(h[136:148], n) } }
func to(link string) field  { return at(157, link) }
func prefix(s string) field { return at(345, s) }
func device(major, minor int64) field {
	return func(h []byte) { octal(h[329:337], major); octal(h[337:345], minor) }
}
func gnu(h []byte) { copy(h[257:], "ustar  \x00") }
func v7(h []byte)  { clear(h[257:]) }

// big fills a field in base-256.
func big(off, width int, n int64) field {
	return func(h []byte) {
		for i := off + width - 1; i >= off; i-- {
			h[i] = byte(n)
			n >>= 8
		}
		h[off] |= 0x80
	}
}

func pad(s string) string { return s + strings.Repeat("\x00", -len(s)&(blockSize-1)) }

func file(name, data string, fields ...field) string {
	return hdr(name, '0', append([]field{size(len(data))}, fields...)...) + pad(data)
}
func dir(name string, fields ...field) string {
	return hdr(name, '5', append([]field{mode(0o755)}, fields...)...)
}
func sym(name, target string, fields ...field) string {
	return hdr(name, '2', append([]field{mode(0o777), to(target)}, fields...)...)
}
func link(name, target string, fields ...field) string {
	return hdr(name, '1', append([]field{to(target)}, fields...)...)
}

// pax returns an x header with records, given as key, value, key, value.
func pax(kv ...string) string { return extended('x', records(kv...)) }

func global(kv ...string) string { return extended('g', records(kv...)) }

func extended(typ byte, body string) string {
	return hdr("PaxHeaders/x", typ, size(len(body))) + pad(body)
}

func records(kv ...string) string {
	var b strings.Builder
	for i := 0; i < len(kv); i += 2 {
		n := len(kv[i]) + len(kv[i+1]) + 3
		for n != len(fmt.Sprint(n))+len(kv[i])+len(kv[i+1])+3 {
			n++
		}
		fmt.Fprintf(&b, "%d %s=%s\n", n, kv[i], kv[i+1])
	}
	return b.String()
}

// long returns a GNU L or K header.
func long(typ byte, s string) string {
	return hdr("././@LongLink", typ, gnu, size(len(s)+1)) + pad(s+"\x00")
}

var end = strings.Repeat("\x00", 2*blockSize)

// content is what the test spools return: the bytes of the stream and the ranges they belong to.
type content struct {
	stream string
	data   []tree.Extent
	size   int64
	pos    int64
}

func (c *content) Data() []tree.Extent { return c.data }

func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off >= c.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), c.size-off))
	clear(p[:n])
	at, data := int64(0), c.data
	if data == nil {
		data = []tree.Extent{{Off: 0, Len: c.size}}
	}
	for _, e := range data {
		lo, hi := max(e.Off, off), min(e.Off+e.Len, off+int64(n))
		if lo < hi {
			copy(p[lo-off:hi-off], c.stream[at+lo-e.Off:])
		}
		at += e.Len
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// spool keeps everything in memory. how says how it reads.
type spool struct {
	how int // 0 io.ReadAll, 1 NextWindow, 2 WriteTo, 3 reads half
}

func (s spool) Put(f tree.File, r io.Reader) (tree.Content, error) {
	var b bytes.Buffer
	var err error
	switch s.how {
	case 0:
		_, err = io.Copy(&b, struct{ io.Reader }{r})
	case 1:
		for err == nil {
			var w []byte
			w, err = r.(Windower).NextWindow()
			b.Write(w)
		}
		if err == io.EOF {
			err = nil
		}
	case 2:
		_, err = r.(io.WriterTo).WriteTo(&b)
	case 3:
		_, err = io.CopyN(&b, r, f.DataLen()/2)
		return tree.Bytes(""), err
	}
	if err == nil && int64(b.Len()) != f.DataLen() {
		err = fmt.Errorf("got %d bytes, want %d", b.Len(), f.DataLen())
	}
	return &content{b.String(), f.Data, f.Size, f.Pos}, err
}

// read reads an archive that must be good.
func read(t testing.TB, archive string, o Options) *tree.Tree {
	t.Helper()
	tr, err := Read(strings.NewReader(archive), spool{}, o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// dump returns the lines of tree.Dump.
func dump(t testing.TB, tr *tree.Tree) string {
	t.Helper()
	var b strings.Builder
	if err := tree.Dump(&b, tr); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// list returns one line for each name but the root: what the test of an archive compares. Contents are
// shown as they are.
func list(t testing.TB, tr *tree.Tree) string {
	t.Helper()
	tr.Inodes()
	var b strings.Builder
	first := make(map[*tree.Node]string)
	err := tr.Walk(func(path string, n *tree.Node) error {
		if path == "" {
			return nil
		}
		if f, ok := first[n]; ok {
			fmt.Fprintf(&b, "%s = %s\n", path, f)
			return nil
		}
		if !n.IsDir() {
			first[n] = path
		}
		fmt.Fprintf(&b, "%s %o", path, n.Mode)
		if n.Implied() {
			b.WriteString(" implied")
		}
		if n.UID|n.GID != 0 {
			fmt.Fprintf(&b, " %d:%d", n.UID, n.GID)
		}
		if n.Rdev != 0 {
			major, minor := tree.DevMajorMinor(n.Rdev)
			fmt.Fprintf(&b, " dev %d:%d", major, minor)
		}
		if n.Mtime != 1000 || n.Nsec != 0 {
			fmt.Fprintf(&b, " @%d.%d", n.Mtime, n.Nsec)
		}
		if n.Target != "" {
			fmt.Fprintf(&b, " -> %s", n.Target)
		}
		for _, x := range n.Xattrs {
			fmt.Fprintf(&b, " %s=%q", x.Name, x.Value)
		}
		if n.IsRegular() {
			data := make([]byte, n.Size)
			if _, err := n.Content.ReadAt(data, 0); err != nil && n.Size > 0 {
				return err
			}
			fmt.Fprintf(&b, " %q", data)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// lines joins the lines of an expected list.
func lines(l ...string) string {
	if len(l) == 0 {
		return ""
	}
	return strings.Join(l, "\n") + "\n"
}
