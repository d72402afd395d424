package image

import (
	"math/bits"
	"sync"

	"github.com/laminafs/lamina/internal/disk"
)

// MinCache bounds the decoded pclusters of an image, in bytes, unless Options allow more: those kept for the next read
// together with those that goroutines are decoding or reading from. It is more than twice the largest pcluster.
const MinCache = 32 << 20

// Buffers have lengths of four steps for each power of two, so no more than a fifth of one is unused; minBuffer, the log2
// of the smallest, bounds the number of pclusters.
const (
	minBuffer   = 12
	bufferSteps = 2 // log2
	bufferSizes = (24-minBuffer)<<bufferSteps + 1
)

// pclusterKey is what a pcluster is known by.
type pclusterKey struct {
	w         *Window
	pos, plen int64
	algorithm disk.Algorithm
}

// pcluster is a decoded pcluster. Who gets one from the cache has to give it back.
type pcluster struct {
	key   pclusterKey
	ready sync.WaitGroup // until then data, buf and err belong to who decodes it
	data  []byte         // the beginning of its content: as much as was asked for
	buf   *buffer        // of data
	err   error

	refs       int  // of goroutines; what has any stays
	held       bool // by the cache: data is counted, and whoever asks for key gets it
	prev, next *pcluster
}

// pclusters is a cache of decoded pclusters, least recently used first out. One goroutine decodes a pcluster,
// others that want it wait for it.
type pclusters struct {
	mu    sync.Mutex // guards what follows, and the last part of every pcluster
	room  sync.Cond  // something was given back
	byKey map[pclusterKey]*pcluster
	lru   pcluster // head of the ring of those without refs, the next to go first
	bound int      // of size
	size  int      // bytes of all buffers
	peak  int
	pool  [bufferSizes]sync.Pool // of buffers, by the class of their length
}

type buffer struct{ b []byte }

func newPclusters(bound int) *pclusters {
	c := &pclusters{byKey: make(map[pclusterKey]*pcluster), bound: max(bound, MinCache)}
	c.room.L = &c.mu
	c.lru.prev, c.lru.next = &c.lru, &c.lru
	return c
}

// has tells whether a pcluster is there with n bytes.
func (c *pclusters) has(key pclusterKey, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.byKey[key]
	return p != nil && p.refs == 0 && len(p.data) >= n
}

// get returns a pcluster with at least n of the full bytes that somebody may want; if it is not there, decode
// makes them. What src returns decode takes; there may be no room for the result until others give back
// theirs, so src comes before, because it may read other pclusters of the same cache. The result must be given
// back to put.
//
// Who reads in random places does not come back soon, so at first no more than n bytes are decoded; all of
// them are when somebody comes back for more.
func (c *pclusters) get(key pclusterKey, n, full int, src func() ([]byte, error), decode func(dst, src []byte) error) (*pcluster, error) {
	want := n
	for {
		p, mine := c.claim(key)
		if mine {
			return c.fill(p, want, src, decode)
		}
		p.ready.Wait()
		if p.err == nil && len(p.data) >= n {
			return p, nil
		}
		err := p.err
		want = full
		c.drop(p) // too short for this one
		c.put(p)
		if err != nil {
			return nil, err
		}
	}
}

// claim returns the pcluster of key with a reference; mine if the caller has to fill it.
func (c *pclusters) claim(key pclusterKey) (p *pcluster, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p = c.byKey[key]; p != nil {
		if p.refs++; p.refs == 1 {
			p.prev.next, p.next.prev = p.next, p.prev
		}
		return p, false
	}
	p = &pcluster{key: key, refs: 1, held: true}
	p.ready.Add(1)
	c.byKey[key] = p
	return p, true
}

func (c *pclusters) fill(p *pcluster, n int, src func() ([]byte, error), decode func(dst, src []byte) error) (*pcluster, error) {
	b, err := src()
	if err == nil {
		p.buf = c.reserve(n)
		p.data = p.buf.b[:n]
		err = decode(p.data, b)
	}
	p.err = err
	p.ready.Done()
	if err != nil {
		c.drop(p)
		c.put(p)
		return nil, err
	}
	return p, nil
}

// reserve returns a buffer of n bytes as soon as there is room for it.
func (c *pclusters) reserve(n int) *buffer {
	class, size := bufferClass(n)
	c.mu.Lock()
	for c.size > c.bound-size {
		if p := c.lru.next; p != &c.lru {
			p.prev.next, p.next.prev = p.next, p.prev
			c.forget(p)
			c.free(p)
			continue
		}
		c.room.Wait()
	}
	c.size += size
	c.peak = max(c.peak, c.size)
	c.mu.Unlock()
	if b, ok := c.pool[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, size)}
}

// bufferClass returns the length that a buffer for n bytes has, 1 <= n <= zmap.MaxDecoded, and the number of it.
func bufferClass(n int) (class, size int) {
	n = max(n, 1<<minBuffer) - 1
	shift := bits.Len(uint(n)) - 1 - bufferSteps // of the steps between the powers of two around n
	steps := n>>shift + 1                        // from 5 to 8
	return (shift+bufferSteps+1-minBuffer)<<bufferSteps + steps - 2<<bufferSteps, steps << shift
}

// put gives back a pcluster.
func (c *pclusters) put(p *pcluster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.refs--; p.refs > 0 {
		return
	}
	if !p.held {
		c.free(p)
	} else {
		p.prev, p.next = c.lru.prev, &c.lru
		p.prev.next, p.next.prev = p, p
	}
	c.room.Signal()
}

// drop makes the cache forget a pcluster that the caller has a reference to.
func (c *pclusters) drop(p *pcluster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(p)
}

func (c *pclusters) forget(p *pcluster) {
	if p.held {
		p.held = false
		delete(c.byKey, p.key)
	}
}

// free takes back the buffer of a pcluster that nobody refers to any more.
func (c *pclusters) free(p *pcluster) {
	if p.buf == nil {
		return
	}
	c.size -= len(p.buf.b)
	class, _ := bufferClass(len(p.buf.b))
	c.pool[class].Put(p.buf)
	p.buf, p.data = nil, nil
}
