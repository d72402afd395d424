package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/schollz/progressbar/v3"

	"github.com/laminafs/lamina/internal/engine"
)

// transferView shows how a transfer goes, layer by layer.
type transferView interface {
	engine.Watcher
	close() // ends the display and leaves the line free
}

// startTransfer shows transfers on stderr as --progress says. It returns nil to show nothing.
func (e *env) startTransfer(f progressFlag) (transferView, error) {
	switch {
	case f.mode == "json":
		return startLines(e.stderr), nil
	case f.mode == "", f.mode == "none":
		return silent{}, nil
	case f.mode == "auto":
		if s := newScreen(e.stderr); s != nil {
			return startBars(s), nil
		}
		return silent{}, nil
	}
	return nil, usagef("--progress: %q: not one of auto, json, none", f.mode)
}

// silent shows nothing.
type silent struct{}

func (silent) Layers([]v1.Descriptor) {}
func (silent) Moved(int, int64)       {}
func (silent) Done(int, string)       {}
func (silent) close()                 {}

// layerLine is the state of a layer.
type layerLine struct {
	Layer  digest.Digest `json:"layer"`
	Status string        `json:"status"` // "waiting", "running", or how it ended
	Bytes  int64         `json:"bytes"`
	Total  int64         `json:"total,omitempty"`
}

// board is what views know of the layers.
type board struct {
	mu    sync.Mutex // guards all below
	lines []layerLine
	dirty bool

	stop, done chan struct{}
}

// follow calls show now and then, under the lock, and once at the end.
func (b *board) follow(every time.Duration, show func(last bool)) {
	b.stop, b.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(b.done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			last := false
			select {
			case <-tick.C:
			case <-b.stop:
				last = true
			}
			b.mu.Lock()
			if b.dirty || last {
				show(last)
				b.dirty = false
			}
			b.mu.Unlock()
			if last {
				return
			}
		}
	}()
}

func (b *board) close() {
	close(b.stop)
	<-b.done
}

// Layers implements engine.Watcher.
func (b *board) Layers(list []v1.Descriptor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines, b.dirty = nil, true
	for _, d := range list {
		b.lines = append(b.lines, layerLine{Layer: d.Digest, Status: "waiting", Total: d.Size})
	}
}

// Moved implements engine.Watcher.
func (b *board) Moved(i int, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i < len(b.lines) {
		b.lines[i].Bytes += n
		b.lines[i].Status, b.dirty = "running", true
	}
}

// Done implements engine.Watcher.
func (b *board) Done(i int, how string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i < len(b.lines) {
		b.lines[i].Status, b.dirty = how, true
	}
}

// jsonLines is a view for programs: a line for every layer that changed.
type jsonLines struct {
	board
	enc   *json.Encoder
	shown []layerLine
}

func startLines(w io.Writer) *jsonLines {
	j := &jsonLines{enc: json.NewEncoder(w)}
	j.follow(jsonEvery, func(bool) { j.show() })
	return j
}

func (j *jsonLines) show() {
	for i, l := range j.lines {
		if i >= len(j.shown) || j.shown[i] != l {
			_ = j.enc.Encode(l) // decoration
		}
	}
	j.shown = append(j.shown[:0], j.lines...)
}

// bars is a view for people: a line for every layer, a bar for those that are under way.
type bars struct {
	board
	screen *screen
	bar    []*progressbar.ProgressBar
}

// maxRows is how many layers are shown at once, if the terminal has room for them: more nobody follows.
const maxRows = 20

func startBars(s *screen) *bars {
	b := &bars{screen: s}
	b.follow(barEvery, b.show)
	return b
}

// show draws all lines anew; at the end it takes them away.
func (b *bars) show(last bool) {
	var lines []string
	if !last {
		_, rows := b.screen.size()
		for _, i := range b.visible(min(maxRows, rows-1)) {
			lines = append(lines, b.line(i))
		}
	}
	b.screen.draw(lines)
}

// visible chooses the layers that are shown: all, or those that are not finished first.
func (b *bars) visible(room int) []int {
	var open, finished []int
	for i, l := range b.lines {
		if l.Status == "waiting" || l.Status == "running" {
			open = append(open, i)
		} else {
			finished = append(finished, i)
		}
	}
	if len(b.lines) <= room {
		open = open[:0]
		for i := range b.lines {
			open = append(open, i)
		}
		return open
	}
	return append(open, finished...)[:max(0, room)]
}

func (b *bars) line(i int) string {
	l := b.lines[i]
	name := l.Layer.Encoded()
	if len(name) > 12 {
		name = name[:12]
	}
	if l.Status != "running" {
		return fmt.Sprintf("%s  %s", name, l.Status)
	}
	for len(b.bar) <= i {
		b.bar = append(b.bar, nil)
	}
	if b.bar[i] == nil {
		b.bar[i] = newText(l.Total)
	}
	return name + "  " + barText(b.bar[i], min(l.Bytes, l.Total))
}
