package lz4

import (
	"bytes"
	"errors"
	"math/rand"
	"strings"
	"testing"
)

// example is the block of the package comment.
var example = append([]byte{0x1f, 'a', 1, 0, 0, 0x60}, "HELLO!"...)

func TestDecodeExample(t *testing.T) {
	want := strings.Repeat("a", 20) + "HELLO!"
	got := make([]byte, len(want))
	if err := Decode(got, example); err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestDecodeStopsWhereDstEnds(t *testing.T) {
	block := randomBlock(rand.New(rand.NewSource(1)), 3000)
	all, err := parse(block)
	if err != nil {
		t.Fatal(err)
	}
	want := expand(all, 1<<30)
	for n := range len(want) + 1 {
		got := dstArena.Last(n)
		if err := Decode(got, block); err != nil || !bytes.Equal(got, want[:n]) {
			t.Fatalf("%d of %d bytes: %v", n, len(want), err)
		}
	}
	var corrupt *CorruptError
	if err := Decode(dstArena.Last(len(want)+1), block); !errors.As(err, &corrupt) {
		t.Fatalf("one byte more than the block has: %v", err)
	}
}

// Each offset near the widths of the copies, with each length near theirs, between enough content for the fast loop.
func TestDecodeRepeats(t *testing.T) {
	for offset := 1; offset <= 70; offset++ {
		for n := minMatch; n < 300; n++ {
			w := blockWriter{}
			w.sequence([]byte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-*/#%&!"), offset, n)
			w.sequence([]byte("x"), offset+1, n)
			w.last(bytes.Repeat([]byte("the end"), 30))
			all, err := parse(w.b)
			if err != nil {
				t.Fatal(err)
			}
			want := expand(all, 1<<30)
			for _, buffer := range []func(int) []byte{dstArena.First, dstArena.Last} {
				got := buffer(len(want))
				if err := Decode(got, w.b); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("offset %d, length %d: %v", offset, n, err)
				}
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	padding := bytes.Repeat([]byte{0x80, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0}, 20) // so that the fast loop is in it, too
	for _, test := range []struct {
		name  string
		block []byte
		off   int
		why   string
	}{
		{"nothing", nil, 0, "ends after 0 of 1000 bytes"},
		{"offset 0", []byte{0x10, 'a', 0, 0, 0}, 2, "offset 0"},
		{"offset before the start", []byte{0x10, 'a', 2, 0, 0}, 2, "offset 2: behind 1 bytes"},
		{"match first", []byte{0x00, 1, 0, 0}, 1, "offset 1: behind 0 bytes"},
		{"literals cut off", []byte{0x50, 'a', 'b'}, 1, "5 literals: the block has 2 more bytes"},
		{"literals beyond everything", []byte{0xf0, 255, 255, 255}, 4, "780 literals: the block has 0 more bytes"},
		{"offset cut off", []byte{0x10, 'a', 1}, 2, "ends after 1 of 1000 bytes"},
		{"match at the end", []byte{0x14, 'a', 1, 0}, 4, "ends with a match"},
		{"length cut off", []byte{0x1f, 'a', 1, 0, 255, 255}, 6, "ends with a match"},
		{"too short", example, len(example), "ends after 26 of 1000 bytes"},
	} {
		dst := make([]byte, 1000)
		var corrupt *CorruptError
		if err := Decode(dst, test.block); !errors.As(err, &corrupt) {
			t.Errorf("%s: %v", test.name, err)
		} else if corrupt.Off != test.off || !strings.HasPrefix(corrupt.Why, test.why) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err := Decode(dst, append(test.block[:len(test.block):len(test.block)], padding...)); err != nil && !errors.As(err, &corrupt) {
			t.Errorf("%s, padded: %v", test.name, err)
		}
	}
}

// Whatever is in a block, Decode stays in its buffers and agrees with a decoder that goes byte by byte.
func TestDecodeDamaged(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for range 3000 {
		block := randomBlock(r, r.Intn(2000))
		for range 1 + r.Intn(4) {
			block[r.Intn(len(block))] = byte(r.Intn(256) | -r.Intn(2))
		}
		compareDecoders(t, block[:r.Intn(len(block)+1)], r.Intn(6000))
	}
}

// compareDecoders fails if Decode differs from the reference for the first n bytes of block.
func compareDecoders(t *testing.T, block []byte, n int) {
	t.Helper()
	all, _ := parse(block)
	want := expand(all, n)
	for _, b := range [][2]func(int) []byte{{dstArena.First, srcArena.First}, {dstArena.Last, srcArena.Last}} {
		dst, src := b[0](n), b[1](len(block))
		copy(src, block)
		err := Decode(dst, src)
		if ok := len(want) == n; (err == nil) != ok {
			t.Fatalf("%x: %d of %d bytes are there: %v", block, len(want), n, err)
		}
		if err == nil && !bytes.Equal(dst, want) {
			t.Fatalf("%x: content differs", block)
		}
	}
}

// blockWriter writes sequences as they are asked for.
type blockWriter struct{ b []byte }

func (w *blockWriter) sequence(literals []byte, offset, n int) {
	w.token(literals, n-minMatch)
	w.b = append(w.b, literals...)
	w.b = append(w.b, byte(offset), byte(offset>>8))
	w.more(n - minMatch)
}

func (w *blockWriter) last(literals []byte) {
	w.token(literals, 0)
	w.b = append(w.b, literals...)
}

func (w *blockWriter) token(literals []byte, n int) {
	w.b = append(w.b, byte(min(len(literals), 15)<<4|min(n, 15)))
	w.more(len(literals))
}

func (w *blockWriter) more(n int) {
	if n < 15 {
		return
	}
	for n -= 15; n >= 255; n -= 255 {
		w.b = append(w.b, 255)
	}
	w.b = append(w.b, byte(n))
}

// randomBlock returns a correct block of about n bytes with all that a sequence may have.
func randomBlock(r *rand.Rand, n int) []byte {
	var w blockWriter
	length := func() int { return []int{r.Intn(8), r.Intn(32), r.Intn(600)}[min(2, r.Intn(20)/8)] }
	literals := func() []byte {
		b := make([]byte, length())
		r.Read(b)
		return b
	}
	content := 0
	for len(w.b) < n {
		b := literals()
		if content+len(b) == 0 {
			b = []byte{1}
		}
		content += len(b)
		offset := 1 + r.Intn(min(content, []int{8, 40, MaxDistance}[r.Intn(3)]))
		m := minMatch + length()
		w.sequence(b, offset, m)
		content += m
	}
	w.last(append(literals(), "final"...))
	return w.b
}
