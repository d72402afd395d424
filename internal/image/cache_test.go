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
				if key.pos < 3 {
					size = zmap.MaxDecoded
				}
				inner := pclusterKey{pos: 100 + rng.Int64N(100)} // as data behind an index in the metabox
				src := func() ([]byte, error) {
					p, err := c.get(inner, 4096, 4096, noBytes, stamp(inner))
					if err == nil {
						c.put(p)
					}
					return nil, err
				}
				p, err := c.get(key, size, size, src, stamp(key))
				if err != nil {
					t.Error(err)
					return
				}
				for _, k := range []int{0, size / 2, size - 1} {
					if p.data[k] != byte(key.pos)+byte(k>>10) {
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
		p, err := c.get(key, n, 60_000, noBytes, func(dst, src []byte) error {
			decoded.Add(1)
			return stamp(key)(dst, src)
		})
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
	want := errors.New("storage")
	for range 3 {
		if _, err := c.get(key, 10, 10, func() ([]byte, error) { return nil, want }, stamp(key)); !errors.Is(err, want) {
			t.Error(err)
		}
		if _, err := c.get(key, 10, 10, noBytes, func([]byte, []byte) error { return want }); !errors.Is(err, want) {
			t.Error(err)
		}
	}
	if p, err := c.get(key, 10, 10, noBytes, stamp(key)); err != nil || c.size != 1<<minBuffer || len(c.byKey) != 1 {
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
				p, err := c.get(key, 1<<20, 1<<20, noBytes, func(dst, src []byte) error {
					decoded++
					return stamp(key)(dst, src)
				})
				if err != nil {
					t.Fatal(err)
				}
				c.put(p)
			}
		}
		if want := 2 * MinCache >> 20; bound == 0 && decoded != 2*want || bound > 0 && decoded != want {
			t.Errorf("bound %d: decoded %d times", bound, decoded)
		}
	}
}
