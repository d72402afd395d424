package deflate

import (
	"errors"
	"io"
	"sync"
)

// Stream decodes gzip data as a Reader does, and gives the same bytes and the same error, but members on several
// goroutines:
//
//	source   |member member member me|mber member member|member mem|...   cut into pieces before what looks like a header
//	runs      decode ------------->    decode ------->    decode ->       each from the start of its piece, at once
//	                                                                      into buffers of its own
//	Next      windows of the first, then of the second if the first has ended where the second began, ...
//
// A run whose turn has come and which is within a member at the end of its piece goes on in the next piece, whose start
// was none, and the run that began there is dropped. So what Next returns depends on the data only, not on guesses. Any
// run may decode runOutput bytes before its turn, then it waits.
//
// Until the first member has ended, and for ever if no other one follows, a Reader decodes, on the goroutine of Next.
//
// Of pieces there are one more than workers; each has pieceMax bytes of input and runOutput of output at most.
type Stream struct {
	z       *Reader // decodes alone; nil once there are pieces
	workers int
	limits  limits

	pieces splitter
	trust  trust
	tokens chan struct{} // one for each piece that there may be more
	cur    *run          // whose turn it is
	begin  int64         // where its output begins
	out    int64         // bytes so far
	err    error

	buffers pool
	quit    chan struct{} // closed by Cancel
	once    sync.Once
	done    sync.WaitGroup
}

// limits are those of pieces and of their runs. Tests have smaller ones.
type limits struct{ least, most, output int }

const (
	// pieceMin is what a piece has at least: much more than what a goroutine costs, however small the members are.
	pieceMin = 128 << 10
	// pieceMax is where a piece ends at the latest, but for what is read at a time. eStargz has members of 4 MiB of output.
	pieceMax  = 2 << 20
	runOutput = 4 << 20
	// maxWorkers bounds the memory, to 58 MiB. What reads the output does not go faster than some cores decode.
	maxWorkers = 8
	// margin is what a run sees of the piece behind its own: more than a Reader has read and not decoded when it reads
	// more. So a run that reads beyond is beyond the end of its piece.
	margin = 64
)

var errCancelled = errors.New("deflate: cancelled")

// NewStream returns a Stream of r that decodes up to so many members at a time; with one worker it is a Reader.
func NewStream(r io.Reader, workers int) *Stream {
	s := &Stream{workers: min(workers, maxWorkers), limits: limits{pieceMin, pieceMax, runOutput}, quit: make(chan struct{})}
	s.z = NewReader(&stoppable{r, s.quit})
	if s.workers > 1 {
		s.z.stop = anyEnd
	}
	return s
}

// Next decodes into buf, of MinBuffer bytes or more and always as many, or takes what was decoded into another buffer.
// It returns the next bytes of the stream and the buffer that holds them. That one is now the caller's, who must not
// change it before the next call of Next has returned; buf is the Stream's if it is not the same. At the end err is
// io.EOF, otherwise as of a Reader. Close must be called, whatever the end is.
func (s *Stream) Next(buf []byte) (data, buffer []byte, err error) {
	if s.z == nil {
		return s.nextOfRuns(buf)
	}
	data, err = s.z.Next(buf)
	s.out += int64(len(data))
	if err == nil && s.z.state == between && s.z.stopped() {
		s.z.err = s.z.nextMember()
		s.z.locate()
		if err = s.z.err; err == nil {
			s.split(len(buf))
		}
	}
	return data, buf, err
}

// split begins with pieces, at the header of a member.
func (s *Stream) split(size int) {
	z := s.z
	s.z = nil
	s.pieces = splitter{limits: s.limits, r: z.r, rest: z.in[z.pos:z.end], off: z.base + int64(z.pos), starts: true}
	s.pieces.err = z.srcErr
	s.buffers.size = size
	s.tokens = make(chan struct{}, s.workers+1)
	for range s.workers {
		s.tokens <- struct{}{}
	}
	// what was decoded so far is a run that has ended, and holds the last token
	s.cur = &run{out: make(chan window), linked: make(chan struct{})}
	s.cur.last = s.cur
	close(s.cur.out)
	s.done.Add(1)
	go s.cut(s.cur)
}

// cut makes pieces until the source ends.
func (s *Stream) cut(last *run) {
	defer s.done.Done()
	for {
		select {
		case <-s.tokens:
		case <-s.quit:
			return
		}
		n := s.pieces.next()
		if n != nil && n.starts && s.trust.ask() {
			s.start(n)
		}
		last.next = n
		close(last.linked)
		if n == nil {
			return
		}
		last = n
	}
}

func (s *Stream) start(r *run) {
	r.s = s
	r.out = make(chan window, max(s.limits.output/s.buffers.size-2, 1)) // two more are being filled and read
	r.turn, r.quit = make(chan struct{}), make(chan struct{})
	s.done.Add(1)
	go r.decode()
}

// nextOfRuns is Next once there are pieces.
func (s *Stream) nextOfRuns(buf []byte) (data, buffer []byte, err error) {
	for s.err == nil {
		select {
		case w, ok := <-s.cur.out:
			if ok {
				s.buffers.put(buf)
				s.out += int64(len(w.data))
				return w.data, w.buffer, nil
			}
			s.err = s.turn()
		case <-s.quit:
			s.err = errCancelled
		}
	}
	return nil, buf, s.err
}

// turn goes to the next run, if the current one has ended where its piece does.
func (s *Stream) turn() error {
	if err := s.cur.err; err != nil {
		if e, ok := err.(*DataError); ok {
			err = &DataError{In: e.In, Out: e.Out + s.begin, Why: e.Why}
		}
		return err
	}
	last := s.cur.last
	select {
	case <-last.linked:
	case <-s.quit:
		return errCancelled
	}
	s.pieces.done(s.cur)
	s.tokens <- struct{}{}
	n := last.next
	if n == nil {
		return s.pieces.err
	}
	if n.out == nil {
		s.start(n)
	} else {
		s.trust.tell(true)
	}
	close(n.turn)
	s.cur, s.begin = n, s.out
	return nil
}

// stoppable is a source that ends when quit is closed: there are endless ones that decode to nothing.
type stoppable struct {
	r    io.Reader
	quit chan struct{}
}

func (s *stoppable) Read(p []byte) (int, error) {
	select {
	case <-s.quit:
		return 0, errCancelled
	default:
		return s.r.Read(p)
	}
}

// Cancel ends the goroutines, and makes a Next return that waits for them, or goes on reading the source.
func (s *Stream) Cancel() { s.once.Do(func() { close(s.quit) }) }

// Close is Cancel, and waits for them: for the read of the source that is under way. Next must not be running.
func (s *Stream) Close() {
	s.Cancel()
	s.done.Wait()
}

// pool holds buffers of one size.
type pool struct {
	mu   sync.Mutex
	free [][]byte
	size int
}

func (p *pool) get() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return make([]byte, p.size)
}

func (p *pool) put(b []byte) {
	if len(b) != p.size {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, b)
}

// trust says whether what looks like a start is worth a run. After a false one, pieces wait for their turn: one, then 3,
// 7, ... and 63, less again with each start that is right. So data full of headers cost a 64th more.
type trust struct {
	mu         sync.Mutex
	hold, left int
}

func (t *trust) ask() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left > 0 {
		t.left--
		return false
	}
	return true
}

func (t *trust) tell(right bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if right {
		t.hold /= 2
		return
	}
	t.hold = min(2*t.hold+1, 63)
	t.left = t.hold
}
