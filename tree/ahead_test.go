package tree

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// slow counts how many goroutines read at the same time.
type slow struct {
	Bytes
	now, most *atomic.Int64
}

func (s slow) ReadAt(p []byte, off int64) (int, error) {
	s.most.Store(max(s.most.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	return s.Bytes.ReadAt(p, off)
}

// broken fails after half of its bytes.
type broken struct{ Bytes }

func (b broken) ReadAt([]byte, int64) (int, error) {
	return 0, fmt.Errorf("broken: %w", io.ErrNoProgress)
}

func aheadTree(files int) (*Tree, map[string]string) {
	t, want := New(), map[string]string{}
	rng := rand.New(rand.NewPCG(1, 1))
	var now, most atomic.Int64
	for d := range 10 {
		dir := NewDir(0o755)
		t.Root.Add(fmt.Sprintf("d%d", d), dir)
		for k := range files / 10 {
			b := bytes.Repeat([]byte{byte(k), byte(d)}, rng.IntN(40_000))
			if k == 7 {
				b = make([]byte, aheadFile+1)
			}
			name := fmt.Sprintf("f%04d", k)
			dir.Add(name, &Node{Mode: TypeRegular | 0o644, Size: int64(len(b)), Content: slow{Bytes(b), &now, &most}})
			want[fmt.Sprintf("d%d/%s", d, name)] = string(b)
		}
	}
	return t, want
}

func readWhole(n *Node, step int64) (string, error) {
	var out bytes.Buffer
	_, err := io.CopyBuffer(struct{ io.Writer }{&out}, struct{ io.Reader }{io.NewSectionReader(n.Content, 0, n.Size)}, make([]byte, step))
	return out.String(), err
}

func TestReadAheadKeepsOrderContentAndBound(t *testing.T) {
	tr, want := aheadTree(3000)
	stop := ReadAhead(tr)
	var a *ahead
	err := tr.Walk(func(path string, n *Node) error {
		if !n.IsRegular() || n.Size == 0 {
			return nil
		}
		got, err := readWhole(n, 1+n.Size/2)
		if got != want[path] {
			t.Errorf("%s differs", path)
		}
		if f, ok := n.Content.(*aheadContent); ok {
			a = f.a
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if a == nil || a.peak > AheadMemory || a.peak == 0 || a.held != 0 {
		t.Errorf("%+v", a)
	}
}

func TestReadAheadWorksInAnyOrder(t *testing.T) {
	tr, want := aheadTree(300)
	stop := ReadAhead(tr)
	var wait sync.WaitGroup
	err := tr.Walk(func(path string, n *Node) error {
		if n.IsRegular() {
			for range 2 {
				wait.Go(func() {
					if got, err := readWhole(n, 5000); err != nil || got != want[path] {
						t.Errorf("%s: %v, or it differs", path, err)
					}
				})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	stop()
	if got, err := readWhole(tr.Lookup("d3/f0003"), 100); err != nil || got != want["d3/f0003"] {
		t.Errorf("after stop: %v", err)
	}
}

func TestReadAheadEndsEarlyAndPassesErrorsOn(t *testing.T) {
	tr, _ := aheadTree(100)
	tr.Root.Add("a", &Node{Mode: TypeRegular | 0o644, Size: 10, Content: broken{Bytes("0123456789")}})
	stop := ReadAhead(tr)
	if _, err := readWhole(tr.Lookup("a"), 100); err == nil {
		t.Error("no error")
	}
	stop()
}
