package mkfs

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// longest is find without a tree: how many bytes b shares with the end of any of all.
func longest(all [][]byte, b []byte) (n int) {
	for _, a := range all {
		l := min(len(a), len(b))
		n = max(n, commonSuffix(a[len(a)-l:], b[len(b)-l:]))
	}
	return n
}

// put does what packed.at does, and compares it with a look at all that was put before.
func put(t *testing.T, e *ends, packed []byte, all [][]byte, b []byte) []byte {
	t.Helper()
	c, err := e.find(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := longest(all, b); c.n != want {
		t.Fatalf("%q: %d bytes are the end of an earlier one, want %d", b, c.n, want)
	}
	if c.n > 0 {
		end := e.known[c.of].end
		if got := packed[end-int64(c.n) : end]; !bytes.Equal(got, b[len(b)-c.n:]) {
			t.Fatalf("%q: refers to %q", b, got)
		}
	}
	if c.n == len(b) {
		return packed
	}
	packed = append(packed, b...)
	if err := e.add(b, int64(len(packed)), c); err != nil {
		t.Fatal(err)
	}
	return packed
}

func FuzzEnds(f *testing.F) {
	f.Add([]byte("abc bc c xabc xab yab ab"), byte(' '))
	f.Add([]byte("a aa aaa aaaa aaa aa a"), byte(' '))
	f.Add([]byte{1, 0, 2, 1, 0, 1, 1, 0, 128, 1}, byte(0))
	f.Fuzz(func(t *testing.T, b []byte, sep byte) {
		var e ends
		var packed []byte
		var all [][]byte
		for _, part := range bytes.Split(b[:min(len(b), 4096)], []byte{sep}) {
			if len(part) > 0 {
				packed = put(t, &e, packed, all, part)
				all = append(all, part)
			}
		}
	})
}

// The longest common end is found among fragments of few different bytes, which share many ends of all lengths.
func TestTheLongestEndIsFound(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var e ends
	var packed []byte
	var all [][]byte
	for i := range 2000 {
		b := make([]byte, 1+rnd.IntN(40))
		for i := range b {
			b[i] = byte(rnd.IntN(2)) << rnd.IntN(2)
		}
		if i%5 == 0 && len(all) > 0 {
			b = append(b, all[rnd.IntN(len(all))]...)
		}
		packed = put(t, &e, packed, all, b)
		all = append(all, b)
	}
}

// Files that end each other are one fragment, and what makes a tree deep costs no more than its bytes.
func TestDegenerateEnds(t *testing.T) {
	const n = 10000
	noise := make([]byte, n)
	rnd := rand.New(rand.NewPCG(2, 2))
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	zeros := make([]byte, n)
	one := func(i int) []byte { return append([]byte{1}, zeros[:i/8]...) }
	for _, c := range []struct {
		name       string
		of         func(i int) []byte
		fragments  int
		leastBytes int64 // of the spool
	}{
		{"ends, growing", func(i int) []byte { return noise[n-1-i:] }, 1, n * (n + 1) / 2},
		{"ends, shrinking", func(i int) []byte { return noise[i:] }, 1, n},
		{"zeros, growing", func(i int) []byte { return zeros[:i+1] }, 1, n * (n + 1) / 2},
		{"equal", func(int) []byte { return noise }, 1, n},
		{"a one before zeros", one, n / 8, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := ends{bytes: tails{dir: t.TempDir()}}
			defer e.bytes.close()
			end := int64(0)
			for i := range n {
				b := c.of(i)
				found, err := e.find(b)
				if err != nil {
					t.Fatal(err)
				}
				if found.n == len(b) {
					continue
				}
				end += int64(len(b))
				if err := e.add(b, end, found); err != nil {
					t.Fatal(err)
				}
			}
			if len(e.known) != c.fragments || c.leastBytes > 0 && end != c.leastBytes {
				t.Errorf("%d fragments of %d bytes, want %d of %d", len(e.known), end, c.fragments, c.leastBytes)
			}
		})
	}
}
