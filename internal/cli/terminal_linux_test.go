package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

// terminal is a pseudo terminal with a program behind it that knows what bars need: text that goes on in the next row,
// CR, LF, CUU, ED and EL. Anything else is an error.
type terminal struct {
	t             *testing.T
	slave, master *os.File

	mu            sync.Mutex // guards all below
	columns, rows int
	text          []string // of the rows, without blanks at the end
	row, column   int
	all           bytes.Buffer
	half          string // of a control sequence
}

func newTerminal(t *testing.T, columns, rows int) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &terminal{t: t, slave: slave, master: master, columns: columns, rows: rows, text: make([]string, 1)}
	s.resize(columns, rows)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			s.take(string(b[:n]))
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = slave.Close()
		<-done // EIO: nobody has the other side any more
		_ = master.Close()
	})
	return s
}

// resize is what a window does.
func (s *terminal) resize(columns, rows int) {
	s.t.Helper()
	if err := unix.IoctlSetWinsize(int(s.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(columns)}); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var again []string // rows that have become too long go on in the next
	for _, l := range s.text[:s.row] {
		for len([]rune(l)) > columns {
			again, l = append(again, string([]rune(l)[:columns])), string([]rune(l)[columns:])
		}
		again = append(again, l)
	}
	s.columns, s.rows, s.row, s.text = columns, rows, len(again), append(again, "")
}

// take draws.
func (s *terminal) take(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.WriteString(text)
	text, s.half = s.half+text, ""
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\r':
			s.column, i = 0, i+1
		case c == '\n':
			s.down()
			i++
		case c == 0x1b:
			end := strings.IndexAny(text[i:], "ABCDHJKhlmsu")
			if end < 0 {
				s.half = text[i:]
				return
			}
			s.control(text[i+1 : i+end+1])
			i += end + 1
		default:
			r := []rune(text[i:])[0]
			s.put(r)
			i += len(string(r))
		}
	}
}

func (s *terminal) down() {
	s.row++
	if s.row == len(s.text) {
		s.text = append(s.text, "")
	}
}

func (s *terminal) put(r rune) {
	if s.column == s.columns {
		s.column = 0
		s.down()
	}
	line := []rune(s.text[s.row])
	for len(line) <= s.column {
		line = append(line, ' ')
	}
	line[s.column] = r
	s.text[s.row] = strings.TrimRight(string(line), " ")
	s.column++
}

func (s *terminal) control(seq string) {
	var n int
	switch {
	case seq == "[J":
		s.text = s.text[:s.row+1]
		s.text[s.row] = string([]rune(s.text[s.row])[:min(s.column, len([]rune(s.text[s.row])))])
	case len(seq) > 1 && seq[len(seq)-1] == 'A':
		_, _ = fmt.Sscanf(seq, "[%dA", &n)
		if n > s.row || n > s.rows {
			s.t.Errorf("up %d rows from row %d of %d", n, s.row, s.rows)
		}
		s.row = max(0, s.row-n)
	default:
		s.t.Errorf("control sequence %q", seq)
	}
}

// shown is the text that is on the terminal.
func (s *terminal) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimRight(strings.Join(s.text, "\n"), "\n")
}

func (s *terminal) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// layersOf are descriptors of n layers of a mebibyte.
func layersOf(n int) (list []v1.Descriptor) {
	for i := range n {
		list = append(list, v1.Descriptor{Digest: digest.FromString(fmt.Sprint(i)), Size: 1 << 20})
	}
	return list
}

func TestBarsOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	for _, size := range [][2]int{{80, 24}, {40, 24}, {20, 10}, {8, 4}, {1, 2}} {
		s := newTerminal(t, size[0], size[1])
		if _, err := fmt.Fprint(s.slave, "$ lamina\r\n"); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the prompt", func() bool { return strings.HasSuffix(s.written(), "\n") })
		before := len(s.written())
		view := startBars(newScreen(s.slave))
		view.Layers(layersOf(5))
		view.Moved(1, 1<<19)
		view.Done(2, "there")
		waitFor(t, "a drawing", func() bool { return len(s.written()) > before })
		waitFor(t, "a bar", func() bool {
			return size[0] < 40 || strings.Contains(s.shown(), layersOf(2)[1].Digest.Encoded()[:12]+"    50%") && strings.Contains(s.shown(), "there") && strings.Contains(s.shown(), "waiting")
		})
		waitFor(t, fmt.Sprintf("all rows on %v", size), func() bool {
			return size[0] < 20 || strings.Count(s.shown(), "\n") == min(5, size[1]-1)
		})
		if size[0] > 2 && !strings.HasPrefix(s.shown(), "$ lamina"[:min(8, size[0])]) {
			t.Errorf("%v: what was there before is gone:\n%s", size, s.shown())
		}
		view.Moved(1, 1<<19)
		view.Done(1, "fetched")
		view.close()
		waitFor(t, "the end", func() bool { return size[0] < 20 || s.shown() == "$ lamina" })
	}
}

// A terminal that becomes narrower breaks the lines that are there; one that becomes wider does nothing.
func TestBarsOnATerminalThatIsResized(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s := newTerminal(t, 80, 24)
	view := startBars(newScreen(s.slave))
	view.Layers(layersOf(3))
	for i := range 3 {
		view.Moved(i, 1<<18)
	}
	for _, columns := range []int{80, 33, 120, 20} {
		s.resize(columns, 24)
		before := len(s.written())
		view.Moved(0, 1)
		// The first one may have been begun for the old width: the next puts that right.
		waitFor(t, fmt.Sprintf("three rows of %d columns", columns), func() bool {
			return len(s.written()) > before && strings.Count(s.shown(), "\n") == 2
		})
	}
	view.close()
	waitFor(t, "the end", func() bool { return s.shown() == "" })
}

func TestOneBarOnATerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	for _, total := range []int64{1 << 20, -1, 0} {
		s := newTerminal(t, 30, 24)
		p := follow(newBar(newScreen(s.slave), "layer.tar", total), barEvery)
		for i := range 5 {
			p.set(int64(i) << 18)
			time.Sleep(barEvery)
		}
		waitFor(t, fmt.Sprintf("one row, of %d bytes", total), func() bool {
			return strings.Count(s.shown(), "\n") == 0 && (total <= 0 || strings.Contains(s.shown(), "layer.tar"))
		})
		p.close()
		waitFor(t, "the end", func() bool { return s.shown() == "" })
	}
}

// The whole program: bars on a terminal, nothing but the result on one that is dumb, and nothing in a file.
func TestTransfersShowBarsOnTerminalsOnly(t *testing.T) {
	oracle.NeedRoot(t)
	dir := t.TempDir()
	image := boxImage(t)
	tar := filepath.Join(dir, "image.tar")
	if out, err := exec.Command("tar", "-C", image, "-cf", tar, "index.json", "oci-layout", "blobs").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct {
		env  string
		bars bool
	}{{"TERM=xterm-256color", true}, {"TERM=dumb", false}, {"TERM=", false}} {
		s := newTerminal(t, 60, 24)
		cmd := lamina(t, dir, "import", "--root", "r"+c.env, "--name", "box:v1", tar)
		cmd.Env = append(os.Environ(), c.env)
		cmd.Stderr = s.slave
		out, err := cmd.Output()
		if err != nil || !strings.HasPrefix(string(out), "docker.io/library/box:v1@sha256:") {
			t.Errorf("%s: %v: %s\n%s", c.env, err, out, s.shown())
		}
		waitFor(t, "the end", func() bool { return s.shown() == "" })
		if got := s.written(); !c.bars && got != "" {
			t.Errorf("%s: %q", c.env, got)
		}
	}
	cmd := lamina(t, dir, "import", "--root", "file", "--name", "box:v1", tar)
	cmd.Env = append(os.Environ(), "TERM=xterm")
	var stderr bytes.Buffer
	cmd.Stderr, cmd.Stdout = &stderr, io.Discard
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v: %q", err, stderr.String())
	}
}
