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

// pclusterKey is what a decoded pcluster is known by, or a part of it.
type pclusterKey struct {
	w         *Window
	pos, plen int64
	algorithm disk.Algorithm
	part      int // 0 is the beginning of the content, else 1 + the page of 1<<minBuffer bytes in which a part begins
}

// pcluster is a decoded pcluster. Who gets one from the cache has to give it back.
type pcluster struct {
	key   pclusterKey
	ready sync.WaitGroup // until then data, buf and err belong to who decodes it
	base  int            // where data begin in the content
	data  []byte
	buf   *buffer // of data
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
	parts map[pclusterKey]int // how many parts of a pcluster there are, by its key
	lru   pcluster            // head of the ring of those without refs, the next to go first
	bound int                 // of size
	size  int                 // bytes of all buffers
	peak  int
	pool  [bufferSizes]sync.Pool // of buffers, by the class of their length
}

type buffer struct{ b []byte }

func newPclusters(bound int) *pclusters {
	c := &pclusters{byKey: make(map[pclusterKey]*pcluster), parts: make(map[pclusterKey]int), bound: max(bound, MinCache)}
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

// want is what somebody wants of a pcluster: bytes from to end of its content. He may come back for others, up to full.
//
// src returns what decode takes. There may be no room for the result until others give back theirs, so src comes before,
// because it may read other pclusters of the same cache.
type want struct {
	key             pclusterKey
	from, end, full int
	src             func() ([]byte, error)
	decode          func(dst, src []byte) error
	again           bool // what there was is too short
}

// get returns a pcluster with the bytes that are wanted. It must be given back to put.
//
// Who reads in random places does not come back soon, so no more is decoded than he wants, and no more of it kept: a
// megabyte of places takes a megabyte. All of the content is decoded and kept when somebody goes on where a part ends, or
// has so many that it hardly takes more, or comes back to another place while half of the memory is unused.
func (c *pclusters) get(w *want) (*pcluster, error) {
	for {
		p, mine := c.claim(w)
		if mine {
			return c.fill(p, w)
		}
		p.ready.Wait()
		if p.err == nil && p.base <= w.from && w.end <= p.base+len(p.data) {
			return p, nil
		}
		err := p.err
		w.again = true
		c.drop(p) // too short for this one
		c.put(p)
		if err != nil {
			return nil, err
		}
	}
}

// claim returns a pcluster with a reference; mine if the caller has to fill it.
func (c *pclusters) claim(w *want) (p *pcluster, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key, part := w.key, w.part(w.from)
	if p = c.byKey[key]; p == nil && !w.again {
		p = c.byKey[part]
	}
	if p != nil {
		if p.refs++; p.refs == 1 {
			p.prev.next, p.next.prev = p.next, p.prev
		}
		return p, false
	}
	p = &pcluster{key: key, refs: 1, held: true}
	if !c.keepsAll(w) {
		p.key, p.base = part, (part.part-1)<<minBuffer
		c.parts[key]++
	}
	p.ready.Add(1)
	c.byKey[p.key] = p
	return p, true
}

// part is the key of a part that begins at a byte.
func (w *want) part(from int) pclusterKey {
	key := w.key
	key.part = max(from, 0)>>minBuffer + 1
	return key
}

// keepsAll decides between all of a pcluster and a part. See get.
func (c *pclusters) keepsAll(w *want) bool {
	n, parts := w.end-w.from, c.parts[w.key]
	if w.again || 4*n >= w.full || parts > 0 && 4*n*(parts+1) >= w.full {
		return true
	}
	if parts == 0 {
		return false
	}
	_, size := bufferClass(w.full)
	return c.size <= c.bound/2-size || c.byKey[w.part(w.from-n)] != nil || c.byKey[w.part(w.from-1)] != nil
}

func (c *pclusters) fill(p *pcluster, w *want) (*pcluster, error) {
	n := w.end
	if p.key.part == 0 {
		n = w.full
	}
	b, err := w.src()
	if err == nil {
		p.buf = c.reserve(n)
		p.data = p.buf.b[:n]
		if err = w.decode(p.data, b); err == nil && p.base > 0 {
			c.shrink(p)
		}
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

// shrink lets go what lies before the base of a part, if that makes its buffer shorter.
func (c *pclusters) shrink(p *pcluster) {
	class, size := bufferClass(len(p.data) - p.base)
	if size == len(p.buf.b) {
		p.base = 0
		return
	}
	old := p.buf
	p.buf = c.buffer(class, size)
	p.data = p.buf.b[:copy(p.buf.b, p.data[p.base:])]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size += size
	c.release(old)
	c.room.Signal()
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
	return c.buffer(class, size)
}

// buffer returns a buffer of a class, which has this size.
func (c *pclusters) buffer(class, size int) *buffer {
	if b, ok := c.pool[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, size)}
}

// release takes back a buffer.
func (c *pclusters) release(b *buffer) {
	c.size -= len(b.b)
	class, _ := bufferClass(len(b.b))
	c.pool[class].Put(b)
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
		if key := p.key; key.part > 0 {
			if key.part = 0; c.parts[key] > 1 {
				c.parts[key]--
			} else {
				delete(c.parts, key)
			}
		}
	}
}

// free takes back the buffer of a pcluster that nobody refers to any more.
func (c *pclusters) free(p *pcluster) {
	if p.buf == nil {
		return
	}
	c.release(p.buf)
	p.buf, p.data = nil, nil
}
