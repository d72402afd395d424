package cli

import (
	"encoding/json"
	"io"
	"os"
	"strings"
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
	case f.mode == "", f.mode == "none":
		return nil, nil
	case f.mode == "auto":
		if s := newScreen(e.stderr); s != nil {
			return follow(newBar(s, what, total), barEvery), nil
		}
		return nil, nil
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
type bar struct {
	screen *screen
	text   *progressbar.ProgressBar
}

func newBar(s *screen, what string, total int64) bar {
	return bar{s, newText(total, progressbar.OptionSetDescription(what))}
}

// newText is a bar that is drawn by a screen: see barText. Without an interval, which would have the library draw, too, on a
// goroutine of its own.
func newText(total int64, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, append([]progressbar.Option{
		progressbar.OptionSetWriter(io.Discard), progressbar.OptionShowBytes(true), progressbar.OptionShowCount(),
		progressbar.OptionUseIECUnits(true), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(0),
		progressbar.OptionSetSpinnerChangeInterval(0),
	}, more...)...)
}

// barText is a bar as text, without the carriage return with which the library starts it.
func barText(b *progressbar.ProgressBar, pos int64) string {
	_ = b.Set64(pos) // an error is a position behind the end, where the bar stays as it was
	return strings.TrimLeft(b.String(), "\r")
}

func (b bar) show(pos int64) { b.screen.draw([]string{barText(b.text, pos)}) }

func (b bar) finish(int64) { b.screen.draw(nil) }

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
