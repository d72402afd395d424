package tree

import (
	"io"
	"runtime"
	"sync"
)

const (
	// AheadMemory is how many bytes of files ReadAhead keeps at most.
	AheadMemory = 32 << 20
	// aheadFile is the longest file that is read ahead; a longer one is worth a read of its own.
	aheadFile = 1 << 20
)

// ReadAhead makes a tree faster to read for somebody who reads its files in the order of Walk, each from
// the beginning to the end: goroutines, one for each processor, read the small files that come next, up to
// AheadMemory bytes. It is for contents that take time to produce, as compressed ones do. Other orders
// work, and gain nothing. The contents of the nodes are replaced; stop ends the goroutines and waits for
// them, and the tree remains readable.
func ReadAhead(t *Tree) (stop func()) {
	a := &ahead{}
	a.changed.L = &a.mu
	seen := make(map[*Node]bool)
	_ = t.Walk(func(_ string, n *Node) error { // fn never fails
		if n.Content != nil && n.Size > 0 && n.Size <= aheadFile && !seen[n] {
			seen[n] = true
			f := &aheadContent{Content: n.Content, a: a, at: len(a.files), size: n.Size}
			a.files = append(a.files, f)
			n.Content = f
		}
		return nil
	})
	for range runtime.GOMAXPROCS(0) {
		a.workers.Go(a.work)
	}
	return a.stop
}

// ahead is a queue of files that one reader goes through and workers fill in front of it.
type ahead struct {
	workers sync.WaitGroup

	mu      sync.Mutex // guards what follows and the state of all files
	changed sync.Cond  // of anything
	files   []*aheadContent
	reader  int // the file that is being read
	next    int // the file that a worker takes next
	held    int64
	peak    int64
	stopped bool
}

// aheadState is how far a file is.
type aheadState uint8

const (
	waiting aheadState = iota
	loading
	loaded
	passed // not read ahead, or not any more
)

// aheadContent is a file in the queue.
type aheadContent struct {
	Content
	a     *ahead
	at    int // in files
	size  int64
	state aheadState
	data  []byte
}

func (a *ahead) work() {
	for {
		f := a.take()
		if f == nil {
			return
		}
		b := make([]byte, f.size)
		n, err := f.Content.ReadAt(b, 0)
		a.mu.Lock()
		if n < len(b) && err != nil || f.at < a.reader {
			a.drop(f) // who reads it meets the error
		} else {
			f.state, f.data = loaded, b
		}
		a.changed.Broadcast()
		a.mu.Unlock()
	}
}

// take waits for a file that there is room for; nil is the end.
func (a *ahead) take() *aheadContent {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		for a.next < len(a.files) && (a.next < a.reader || a.files[a.next].state != waiting) {
			a.next++
		}
		if a.stopped || a.next == len(a.files) {
			return nil
		}
		if f := a.files[a.next]; a.held+f.size <= AheadMemory {
			a.next++
			a.held += f.size
			a.peak = max(a.peak, a.held)
			f.state = loading
			return f
		}
		a.changed.Wait()
	}
}

// drop gives back the memory of a file.
func (a *ahead) drop(f *aheadContent) {
	if f.state == loading || f.state == loaded {
		a.held -= f.size
		a.changed.Broadcast()
	}
	f.state, f.data = passed, nil
}

func (a *ahead) stop() {
	a.mu.Lock()
	a.stopped = true
	a.changed.Broadcast()
	a.mu.Unlock()
	a.workers.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.files {
		a.drop(f)
	}
}

// ReadAt implements io.ReaderAt.
func (f *aheadContent) ReadAt(p []byte, off int64) (int, error) {
	b := f.ready()
	if b == nil || off < 0 {
		return f.Content.ReadAt(p, off)
	}
	if off >= f.size {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if off+int64(n) == f.size {
		f.a.mu.Lock()
		f.a.drop(f)
		f.a.mu.Unlock()
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ready returns the file if it was read ahead, and tells the workers where the reader is.
func (f *aheadContent) ready() []byte {
	a := f.a
	a.mu.Lock()
	defer a.mu.Unlock()
	for ; a.reader < f.at; a.reader++ {
		if old := a.files[a.reader]; old.state != loading {
			a.drop(old)
		}
	}
	for f.state == loading && !a.stopped {
		a.changed.Wait()
	}
	if f.state == waiting {
		f.state = passed
	}
	return f.data
}
