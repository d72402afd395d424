// Package compress turns the bytes of files into pclusters of EROFS (sections 7.1 to 7.8 of the format) and
// writes the indexes that lead to them.
//
//	bytes of files ─► Job of Pieces ─► Pool of workers ─► Extents and their bytes, job by job in order
//	                                   (cutter: FitDst, store, tail)
//	all Extents of a file with their places ─► Map ─► compact, full or extent index
//
// What becomes of a Piece depends on the Piece alone, so images do not depend on the number of workers or on
// which of them was faster. A job holds a few MiB, and the Pool as many jobs as its caller has not waited for:
// that bounds the memory.
package compress

import "sync"

// Job is what one worker does in one go. It can be used again after Reset.
type Job struct {
	Pieces []Piece

	out     []byte // what the results of the pieces are parts of
	extents []Extent
	done    chan struct{}
	err     error
}

// Reset takes the pieces out of a job; their results are of no meaning from then on.
func (j *Job) Reset() { clear(j.Pieces); j.Pieces = j.Pieces[:0] }

// Wait returns when the results of the pieces are there, or the error of a worker.
func (j *Job) Wait() error {
	<-j.done
	return j.err
}

// Pool compresses jobs on several goroutines.
type Pool struct {
	layout  Layout
	methods []Method
	work    chan *Job
	wait    sync.WaitGroup
}

// NewPool starts the workers; Close ends them. The methods have passed Check.
func NewPool(workers int, l Layout, methods []Method) *Pool {
	p := &Pool{layout: l, methods: methods, work: make(chan *Job, workers)}
	p.wait.Add(workers)
	for range workers {
		go p.run()
	}
	return p
}

// Start hands a job to a worker; it waits while as many jobs as there are workers have not begun. The job must
// not be touched before Wait.
func (p *Pool) Start(j *Job) {
	j.done, j.err = make(chan struct{}), nil
	p.work <- j
}

// Close waits for the workers to end. It may be called once; no Start after it.
func (p *Pool) Close() {
	close(p.work)
	p.wait.Wait()
}

// run is a worker. It makes its encoders when it first needs them.
func (p *Pool) run() {
	defer p.wait.Done()
	cut := cutter{Layout: p.layout}
	encoders := make([]Encoder, len(p.methods))
	for j := range p.work {
		cut.out, cut.extents = j.out[:0], j.extents[:0]
		for i := range j.Pieces {
			piece := &j.Pieces[i]
			if piece.Method == Store {
				continue
			}
			if encoders[piece.Method] == nil {
				if encoders[piece.Method], j.err = p.methods[piece.Method].NewEncoder(); j.err != nil {
					break
				}
			}
			if p.layout.Dense {
				piece.Pcluster = min(piece.Pcluster, MaxDense)
			}
			if len(cut.scratch) < piece.Pcluster {
				cut.scratch = make([]byte, piece.Pcluster)
			}
			cut.enc = encoders[piece.Method]
			cut.cut(piece)
		}
		j.out, j.extents = cut.out, cut.extents
		close(j.done)
	}
}
