package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"

	"github.com/laminafs/lamina/internal/durable"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// addTar reads a tar and returns its diffID. File data of a plain tar stays where it is; that of a
// compressed one goes to a temporary file, so that what higher layers hide is not copied to the image.
// The tree is kept as it was read: which directories are only implied matters to the merge.
func (m *merger) addTar(name string, in io.Reader, at io.ReaderAt, o tartree.Options) (string, error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("%s: %w", name, err) }
	sum := sha256.New()
	d, compression, err := tartree.DecompressTap(m.e.reader(m.p.reader(in)), sum)
	if err != nil {
		return fail(err)
	}
	spool := &spoolFile{at: at}
	if at == nil || compression != tartree.None {
		tmp, err := durable.Create(filepath.Join(m.tempDir, durable.TempPrefix+"layer")) // never committed
		if err != nil {
			return fail(errors.Join(err, d.Close()))
		}
		m.open = append(m.open, tmp)
		spool = &spoolFile{at: tmp, out: io.NewOffsetWriter(tmp, 0)}
	}
	t, err := tartree.Read(d, spool, o)
	if err == nil {
		_, err = io.Copy(io.Discard, d) // the digest covers what is behind the end of the archive, too
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return fail(err)
	}
	m.layers = append(m.layers, t)
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
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
