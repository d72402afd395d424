package fsck

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
)

// meteredReader counts the bytes that are read.
type meteredReader struct {
	r io.ReaderAt
	n atomic.Int64
}

func (m *meteredReader) ReadAt(p []byte, off int64) (int, error) {
	m.n.Add(int64(len(p)))
	return m.r.ReadAt(p, off)
}

// To decode everything takes no more reading of data than there is: what is read to be decoded is not read as data again.
func TestWhatIsDecodedIsReadOnce(t *testing.T) {
	for _, name := range compressedImages {
		b := golden(t, name)
		var read [2]int64
		var data int64
		for i, all := range []bool{false, true} {
			m := &meteredReader{r: bytes.NewReader(b)}
			rep, err := Check(m, int64(len(b)), Options{ReadData: all})
			if err != nil || rep.Errors > 0 {
				t.Fatalf("%s: %v, %d errors", name, err, rep.Errors)
			}
			if read[i] = m.n.Load(); all && rep.Stats.BytesRead != rep.Stats.Stored {
				t.Errorf("%s: BytesRead is %d, stored are %d", name, rep.Stats.BytesRead, rep.Stats.Stored)
			}
			data = rep.Stats.Stored
		}
		// Pclusters that lie inline are metadata for Stored, and unused bytes are all read, too.
		if more := read[1] - read[0]; more > data+32<<10 {
			t.Errorf("%s: %d bytes more are read for %d bytes of data", name, more, data)
		}
	}
}

func TestUnreadIsWhatWasNotDecoded(t *testing.T) {
	ranges := [][2]int64{{10, 20}, {30, 60}, {70, 80}}
	each := func(yield func(lo, hi int64) bool) {
		for _, r := range ranges {
			if !yield(r[0], r[1]) {
				return
			}
		}
	}
	for _, c := range []struct{ read, want [][2]int64 }{
		{nil, ranges},
		{[][2]int64{{0, 100}}, nil},
		{[][2]int64{{10, 20}, {30, 40}, {40, 50}, {50, 60}, {70, 80}}, nil},
		{[][2]int64{{0, 5}, {12, 14}, {14, 16}, {20, 30}, {90, 95}}, [][2]int64{{10, 12}, {16, 20}, {30, 60}, {70, 80}}},
		{[][2]int64{{15, 75}}, [][2]int64{{10, 15}, {75, 80}}},
		{[][2]int64{{30, 55}, {32, 40}, {45, 58}}, [][2]int64{{10, 20}, {58, 60}, {70, 80}}},
		{[][2]int64{{40, 50}, {40, 50}}, [][2]int64{{10, 20}, {30, 40}, {50, 60}, {70, 80}}},
	} {
		q := decodes{read: map[int]*extentSet{}}
		if c.read != nil {
			q.read[3] = new(extentSet)
		}
		for _, r := range c.read {
			q.read[3].add(r[0], r[1])
		}
		var got [][2]int64
		for lo, hi := range q.unread(3, each) {
			got = append(got, [2]int64{lo, hi})
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("read %v: %v is left, not %v", c.read, got, c.want)
		}
		if again := maps.Collect(q.unread(4, each)); len(again) != len(ranges) {
			t.Errorf("another device: %v", again)
		}
	}
}
