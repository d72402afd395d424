package mkfs

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// A base whose index says that a complete pcluster holds fewer bytes than it does is not referred to there, as Linux refuses
// to decode it; nor does it help that it says otherwise of the same place elsewhere.
func TestPclustersOfBasesHaveTheirLength(t *testing.T) {
	var text []byte
	for i := range 30_000 {
		text = fmt.Appendf(text, "%d lines and %x, ", i%977, i*i)
	}
	for a := disk.LZ4; a.Known(); a++ {
		method := Method{Algorithm: map[disk.Algorithm]Algorithm{disk.LZ4: LZ4, disk.LZMA: LZMA, disk.Deflate: Deflate, disk.ZSTD: ZSTD}[a]}
		o := Options{Compression: &Compression{Method: method, PclusterSize: 16 << 10}}
		var base growing
		w, err := New(&base, o)
		if err == nil {
			source := tree.New()
			source.Root.Add("a", &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(text)), Content: tree.Bytes(text)})
			_, err = w.Finish(source)
		}
		if err != nil {
			t.Fatal(err)
		}
		if o.Bases, err = NewFileBases(0, Base{Data: &base, Size: int64(len(base.b))}); err != nil {
			t.Fatal(err)
		}
		var from *origin
		for _, c := range o.Bases.files.chunks {
			from = c.from
		}
		if w, err = New(&growing{}, o); err != nil {
			t.Fatal(err)
		}
		for _, p := range from.pclusters[:4] {
			for _, c := range []struct {
				less    int64
				partial bool
				want    bool
			}{{0, false, true}, {100, false, false}, {100, true, true}} {
				q := p
				q.len, q.partial = p.len-c.less, c.partial
				b, err := w.comp.refs.decoded(&q, q.len)
				if err != nil || (b != nil) != c.want || b != nil && !bytes.Equal(b, text[q.off:q.off+q.len]) {
					t.Errorf("%v: %+v: %d bytes, %v", a, q, len(b), err)
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}
