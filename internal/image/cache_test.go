package image

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/laminafs/lamina/internal/zmap"
)

// stamp fills a decoded pcluster so that every byte tells which one it is.
func stamp(key pclusterKey) func(dst, src []byte) error {
	return func(dst, _ []byte) error {
		for k := range dst {
			dst[k] = byte(key.pos) + byte(k>>10)
		}
		return nil
	}
}

func noBytes() ([]byte, error) { return nil, nil }

func TestDecodedPclustersStayWithinTheirMemory(t *testing.T) {
	c := newPclusters(0)
	var wait sync.WaitGroup
	for g := range 16 {
		wait.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(g)))
			for range 100 {
				key := pclusterKey{pos: rng.Int64N(60)}
				size := 1 + rng.IntN(100_000)
				from := rng.IntN(2) * rng.IntN(size)
				if key.pos < 3 {
					size = zmap.MaxDecoded
				}
				inner := pclusterKey{pos: 100 + rng.Int64N(100)} // as data behind an index in the metabox
				src := func() ([]byte, error) {
					p, err := c.get(&want{key: inner, end: 4096, full: 4096, src: noBytes, decode: stamp(inner)})
					if err == nil {
						c.put(p)
					}
					return nil, err
				}
				p, err := c.get(&want{key: key, from: from, end: size, full: size, src: src, decode: stamp(key)})
				if err != nil {
					t.Error(err)
					return
				}
				for _, k := range []int{from, (from + size) / 2, size - 1} {
					if p.data[k-p.base] != byte(key.pos)+byte(k>>10) {
						t.Errorf("pcluster %d has the bytes of another one", key.pos)
					}
				}
				c.put(p)
			}
		})
	}
	wait.Wait()
	if c.peak > MinCache || c.peak < zmap.MaxDecoded {
		t.Errorf("%d bytes at once, the bound is %d", c.peak, MinCache)
	}
}

func TestPclusterIsDecodedOnceForAll(t *testing.T) {
	c := newPclusters(0)
	key := pclusterKey{pos: 1}
	var decoded atomic.Int64
	get := func(n int) {
		p, err := c.get(&want{key: key, end: n, full: 300_000, src: noBytes, decode: func(dst, src []byte) error {
			decoded.Add(1)
			return stamp(key)(dst, src)
		}})
		if err != nil || len(p.data) < n {
			t.Errorf("%d bytes, %v", len(p.data), err)
			return
		}
		c.put(p)
	}
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() { get(50_000) })
	}
	wait.Wait()
	if decoded.Load() != 1 {
		t.Errorf("decoded %d times", decoded.Load())
	}
	get(10)
	get(60_000) // another extent uses more of it
	get(50_000)
	if decoded.Load() != 2 {
		t.Errorf("decoded %d times, want 2", decoded.Load())
	}
}

func TestPclusterThatFailsIsTriedAgain(t *testing.T) {
	c := newPclusters(0)
	key := pclusterKey{pos: 1}
	failure := errors.New("storage")
	for range 3 {
		if _, err := c.get(&want{key: key, end: 10, full: 10, src: func() ([]byte, error) { return nil, failure }, decode: stamp(key)}); !errors.Is(err, failure) {
			t.Error(err)
		}
		if _, err := c.get(&want{key: key, end: 10, full: 10, src: noBytes, decode: func([]byte, []byte) error { return failure }}); !errors.Is(err, failure) {
			t.Error(err)
		}
	}
	if p, err := c.get(&want{key: key, end: 10, full: 10, src: noBytes, decode: stamp(key)}); err != nil || c.size != 1<<minBuffer || len(c.byKey) != 1 {
		t.Errorf("%v, %v, %d bytes", p, err, c.size)
	}
}

func TestBuffersWasteAFifthAtMost(t *testing.T) {
	last := 0
	for n := 1; n <= zmap.MaxDecoded; n += 1 + n/1000 {
		class, size := bufferClass(n)
		if size < n || n > 1<<minBuffer && n*5 <= size*4-5 {
			t.Fatalf("%d bytes for %d", size, n)
		}
		if again, same := bufferClass(size); again != class || same != size {
			t.Fatalf("a buffer of %d bytes goes to class %d, not to %d", size, again, class)
		}
		if class < last || class > last+1 || class >= bufferSizes {
			t.Fatalf("class %d for %d bytes follows on %d", class, n, last)
		}
		last = class
	}
}

func TestCacheKeepsWhatItMay(t *testing.T) {
	for _, bound := range []int{0, 3 * MinCache} {
		c, decoded := newPclusters(bound), 0
		for range 2 {
			for pos := range int64(2 * MinCache >> 20) {
				key := pclusterKey{pos: pos}
				p, err := c.get(&want{key: key, end: 1 << 20, full: 1 << 20, src: noBytes, decode: func(dst, src []byte) error {
					decoded++
					return stamp(key)(dst, src)
				}})
				if err != nil {
					t.Fatal(err)
				}
				c.put(p)
			}
		}
		if n := 2 * MinCache >> 20; bound == 0 && decoded != 2*n || bound > 0 && decoded != n {
			t.Errorf("bound %d: decoded %d times", bound, decoded)
		}
	}
}

// decodedFor reads bytes of the pcluster at pos and counts how many of its bytes were decoded for that.
func decodedFor(t *testing.T, c *pclusters, pos int64, from, end, full int) (decoded int) {
	t.Helper()
	key := pclusterKey{pos: pos}
	p, err := c.get(&want{key: key, from: from, end: end, full: full, src: noBytes, decode: func(dst, src []byte) error {
		decoded = len(dst)
		return stamp(key)(dst, src)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{from, end - 1} {
		if p.data[k-p.base] != byte(pos)+byte(k>>10) {
			t.Errorf("pcluster %d: byte %d is another one", pos, k)
		}
	}
	c.put(p)
	return decoded
}

func TestRandomPlacesStayInTheCache(t *testing.T) {
	const full = 256 << 10
	c, rng := newPclusters(0), rand.New(rand.NewPCG(7, 8))
	type place struct {
		pos  int64
		from int
	}
	var places []place
	for pos := range int64(3000) { // 750 MiB of content
		places = append(places, place{pos, rng.IntN(full - 4096)})
	}
	for _, p := range places {
		if n := decodedFor(t, c, p.pos, p.from, p.from+4096, full); n != p.from+4096 && n != full {
			t.Fatalf("%d bytes decoded for those up to %d", n, p.from+4096)
		}
	}
	for _, p := range places {
		if n := decodedFor(t, c, p.pos, p.from, p.from+4096, full); n != 0 {
			t.Fatalf("place %d of pcluster %d is decoded again", p.from, p.pos)
		}
	}
}

func TestReadingOnDecodesAll(t *testing.T) {
	const full = 1 << 20
	for _, step := range []int{100, 4096, 32 << 10} {
		c := newPclusters(0)
		for pos := range int64(100) { // no room for more
			decodedFor(t, c, pos, 0, full, full)
		}
		times := 0
		for from := 300_000; from+step <= full; from += step {
			if decodedFor(t, c, 1000, from, from+step, full) > 0 {
				times++
			}
		}
		if times > 2 {
			t.Errorf("steps of %d bytes: decoded %d times", step, times)
		}
	}
}

func TestOtherPlacesOfAPclusterAreKept(t *testing.T) {
	const full = 1 << 20
	c := newPclusters(0)
	decodedFor(t, c, 1, 500_000, 504_096, full)
	if n := decodedFor(t, c, 1, 100_000, 104_096, full); n != full {
		t.Errorf("with room, %d bytes are decoded for the second place", n)
	}
	if n := decodedFor(t, c, 1, 900_000, 904_096, full); n != 0 {
		t.Errorf("then %d for the third", n)
	}
	for pos := range int64(100) {
		decodedFor(t, c, pos, 0, full, full)
	}
	decodedFor(t, c, 1000, 500_000, 504_096, full)
	if n := decodedFor(t, c, 1000, 100_000, 104_096, full); n != 104_096 {
		t.Errorf("without room, %d bytes are decoded for the second place", n)
	}
	if len(c.parts) != 1 {
		t.Errorf("%d pclusters have parts", len(c.parts))
	}
}
