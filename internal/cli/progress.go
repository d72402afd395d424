package cli

import (
	"encoding/json"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// progress shows how far a command is, on stderr. A nil progress shows nothing.
type progress struct {
	pos  atomic.Int64
	stop chan struct{}
	done chan struct{}
}

// view is how a progress is shown: show is called now and then, finish once.
type view interface {
	show(pos int64)
	finish(pos int64)
}

// progressFlag is --progress.
type progressFlag struct{ mode string }

func (f *progressFlag) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.mode, "progress", "auto", "progress on stderr: auto (a bar on a terminal), json (a line a second), none")
}

const (
	barEvery  = 100 * time.Millisecond
	jsonEvery = time.Second
)

// startProgress shows the progress of an operation on total bytes, negative if nobody knows how many.
func (e *env) startProgress(f progressFlag, what string, total int64) (*progress, error) {
	switch {
	case f.mode == "json":
		return follow(&jsonView{json.NewEncoder(e.stderr), what, total}, jsonEvery), nil
	case f.mode == "", f.mode == "none", f.mode == "auto" && !isTerminal(e.stderr):
		return nil, nil
	case f.mode == "auto":
		return follow(newBar(e.stderr, what, total), barEvery), nil
	}
	return nil, usagef("--progress: %q: not one of auto, json, none", f.mode)
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func follow(v view, every time.Duration) *progress {
	p := &progress{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				v.show(p.pos.Load())
			case <-p.stop:
				v.finish(p.pos.Load())
				return
			}
		}
	}()
	return p
}

// set says that n bytes are done.
func (p *progress) set(n int64) {
	if p != nil {
		p.pos.Store(n)
	}
}

// close ends the display and leaves the line free.
func (p *progress) close() {
	if p != nil {
		close(p.stop)
		<-p.done
	}
}

// reader counts what is read.
func (p *progress) reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return &countReader{r, p}
}

type countReader struct {
	r io.Reader
	p *progress
}

func (c *countReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.p.pos.Add(int64(n))
	return n, err
}

// bar is a view for people.
type bar struct{ *progressbar.ProgressBar }

func newBar(w io.Writer, what string, total int64) bar {
	return bar{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
	)}
}

// The bar is decoration: a terminal that cannot be written to is no reason to fail.
func (b bar) show(pos int64) { _ = b.Set64(pos) }
func (b bar) finish(int64)   { _ = b.Clear() }

// jsonView is a view for programs.
type jsonView struct {
	enc   *json.Encoder
	what  string
	total int64
}

type progressLine struct {
	Progress string `json:"progress"`
	Bytes    int64  `json:"bytes"`
	Total    int64  `json:"total,omitempty"`
}

func (v *jsonView) show(pos int64) {
	_ = v.enc.Encode(progressLine{v.what, pos, max(0, v.total)}) // as with the bar
}

func (v *jsonView) finish(pos int64) { v.show(pos) }
