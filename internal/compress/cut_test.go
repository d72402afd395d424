package compress

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/laminafs/lamina/internal/codec/lz4"
)

// Whatever a piece is cut into, its bytes come back, in pclusters that an index can describe.
func TestCutPiecesComeBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, l := range []Layout{{BlockBits: 12}, {BlockBits: 9}, {BlockBits: 12, MaxExtent: 20000}, {BlockBits: 12, Dense: true}, {BlockBits: 12, Interlaced: true}} {
		for _, pcluster := range []int{1, 2, 16} {
			for _, tail := range []Tail{TailPad, TailInline, TailRest} {
				for size := range 40 {
					src := mixture(rnd, size*size*97%150_000)
					name := fmt.Sprintf("%+v, %d blocks, tail %d, %d bytes", l, pcluster, tail, len(src))
					p := Piece{Src: src, Pcluster: pcluster << l.BlockBits, Tail: tail}
					run(t, l, &p)
					if got := uncut(t, name, l, &p); !bytes.Equal(got, src) {
						t.Errorf("%s: %d other bytes", name, len(got))
					}
				}
			}
		}
	}
}

func run(t *testing.T, l Layout, p *Piece) {
	t.Helper()
	pool := NewPool(1, l, []Method{{}})
	j := &Job{Pieces: []Piece{*p}}
	pool.Start(j)
	if err := j.Wait(); err != nil {
		t.Fatal(err)
	}
	pool.Close()
	*p = j.Pieces[0]
}

func uncut(t *testing.T, name string, l Layout, p *Piece) (got []byte) {
	t.Helper()
	out, bs := p.Out, l.block()
	for i, e := range append(p.Extents, p.Inline) {
		if e.Len == 0 {
			continue
		}
		b := p.InlineOut
		if i < len(p.Extents) {
			b, out = out[:e.PLen], out[e.PLen:]
			last := i == len(p.Extents)-1 && p.Inline.Len == 0 && len(p.Rest) == 0
			if !l.Dense && (e.PLen%bs != 0 || e.Len < bs && !last || !e.Stored && e.Len <= e.PLen) || e.Stored && e.PLen > MaxPcluster {
				t.Errorf("%s: extent %d of %d: %+v", name, i, len(p.Extents), e)
			}
		}
		if e.Len > MaxExtent || l.MaxExtent > 0 && !e.Stored && e.Len > l.MaxExtent && i < len(p.Extents) {
			t.Errorf("%s: extent of %d bytes", name, e.Len)
		}
		if e.Stored {
			if from := len(got) % bs; l.Interlaced && i < len(p.Extents) {
				b = append(bytes.Clone(b[from:]), b[:from]...)
			}
			got = append(got, b[:e.Len]...)
			continue
		}
		d := make([]byte, e.Len)
		if err := lz4.Decode(d, bytes.TrimLeft(b, "\x00")); err != nil {
			t.Fatalf("%s: extent %d: %v", name, i, err)
		}
		got = append(got, d...)
	}
	if len(out) > 0 {
		t.Errorf("%s: %d bytes in no extent", name, len(out))
	}
	return append(got, p.Rest...)
}

// mixture has stretches of what compresses well, badly and not at all.
func mixture(rnd *rand.Rand, n int) []byte {
	b := make([]byte, 0, n)
	for len(b) < n {
		l, kinds := rnd.IntN(20_000), 1+rnd.IntN(256)
		for range min(l, n-len(b)) {
			b = append(b, byte(rnd.IntN(kinds)))
		}
	}
	return b
}

// Equal stretches of two files are cut alike behind their first common cut.
func TestChunksFollowContent(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	c := NewChunker(2048)
	common := mixture(rnd, 100_000)
	cuts := func(prefix int) map[uint64]bool {
		b := append(mixture(rnd, prefix), common...)
		all := map[uint64]bool{}
		for len(b) > 0 {
			n, hash := c.Next(b)
			if n < 1 || n > 8*2048 || n < 512 && n < len(b) {
				t.Fatalf("chunk of %d bytes", n)
			}
			all[hash] = true
			b = b[n:]
		}
		return all
	}
	a, b := cuts(0), cuts(12345)
	both := 0
	for h := range a {
		if b[h] {
			both++
		}
	}
	if both < len(a)*3/4 {
		t.Errorf("%d of %d chunks are found again", both, len(a))
	}
}
