package cli

import (
	"fmt"
	"io"
	"sort"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/durable"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// addTar reads a tar. File data of a plain tar stays where it is, in at if that is not nil; other data
// goes to a temporary file, so that what higher layers hide is not copied to the image.
// The tree is kept as it was read: which directories are only implied matters to the merge.
func (m *merger) addTar(name string, in io.Reader, at io.ReaderAt, o convert.Options) error {
	o.Tar.Warn = func(w tartree.Warning) {
		if m.warn != nil {
			m.warn(name + ": " + w.String())
		}
	}
	_, t, err := convert.Tree(m.e.reader(m.p.reader(in)), func(c tartree.Compression) (tree.Spool, error) {
		if at != nil && c == tartree.None {
			return &spoolFile{at: at}, nil
		}
		tmp, err := durable.Temp(m.tempDir)
		if err != nil {
			return nil, err
		}
		m.open = append(m.open, tmp)
		return &spoolFile{at: tmp, out: io.NewOffsetWriter(tmp, 0)}, nil
	}, o)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	m.layers = append(m.layers, t)
	return nil
}

// spoolFile is a tree.Spool: it leaves data in a plain tar, or appends it to a file.
type spoolFile struct {
	at  io.ReaderAt
	out io.Writer // nil: the data is in at already
	end int64
}

// Put implements tree.Spool.
func (s *spoolFile) Put(f tree.File, r io.Reader) (tree.Content, error) {
	c := &spooled{at: s.at, pos: f.Pos, size: f.Size, data: f.Data, start: make([]int64, len(f.Data))}
	for i := 1; i < len(f.Data); i++ {
		c.start[i] = c.start[i-1] + f.Data[i-1].Len
	}
	if f.DataLen() == 0 || s.out == nil {
		return c, nil
	}
	c.pos = s.end
	n, err := io.Copy(s.out, r)
	s.end += n
	if err == nil && n != f.DataLen() {
		err = io.ErrUnexpectedEOF
	}
	return c, err
}

// spooled is the content of a file whose extents lie back to back from pos on.
type spooled struct {
	at    io.ReaderAt
	pos   int64
	size  int64
	data  []tree.Extent
	start []int64 // where the extents begin, from pos on
}

// Data implements tree.Content.
func (c *spooled) Data() []tree.Extent { return c.data }

// ReadAt implements io.ReaderAt.
func (c *spooled) ReadAt(p []byte, off int64) (n int, err error) {
	if off >= c.size {
		return 0, io.EOF
	}
	if int64(len(p)) > c.size-off {
		p, err = p[:c.size-off], io.EOF
	}
	if c.data == nil {
		n, rerr := c.at.ReadAt(p, c.pos+off)
		if n < len(p) {
			err = rerr
		}
		return n, err
	}
	clear(p)
	i := sort.Search(len(c.data), func(i int) bool { return c.data[i].Off+c.data[i].Len > off })
	for ; i < len(c.data); i++ {
		x := c.data[i]
		start, end := max(x.Off, off), min(x.Off+x.Len, off+int64(len(p)))
		if start >= end {
			break
		}
		if n, rerr := c.at.ReadAt(p[start-off:end-off], c.pos+c.start[i]+start-x.Off); int64(n) < end-start {
			return int(start - off), rerr
		}
	}
	return len(p), err
}
