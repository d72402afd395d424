package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
)

// childEnv makes the test binary a process that works on a store: root, name, how many rounds.
const childEnv = "LAMINA_STORE_CHILD"

func TestMain(m *testing.M) {
	if args := os.Getenv(childEnv); args != "" {
		if err := child(strings.Split(args, "|")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child publishes blobs, each linked to a snapshot that it makes and some of which it removes, and writes a line
// for each that has been published.
func child(args []string) (err error) {
	root, name := args[0], args[1]
	rounds, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	ctx := context.Background()
	s, err := Open(ctx, Config{Root: root})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	fmt.Println("open")
	for i := range rounds {
		text := fmt.Sprintf("%s-%d", name, i)
		remove := i%3 == 2
		if err := childRound(ctx, s, text, remove); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		if !remove {
			fmt.Println("done", text)
		}
	}
	return nil
}

func childRound(ctx context.Context, s *Store, text string, remove bool) error {
	id := ""
	if err := s.Update(ctx, func(ctx context.Context, _ *Tx) error {
		snap, err := storage.CreateSnapshot(ctx, snapshots.KindActive, text, "")
		if err != nil {
			return err
		}
		id = snap.ID
		return makeSnapshot(ctx, s, id)
	}); err != nil {
		return err
	}
	st, err := s.Stage(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Discard() }()
	if _, err := st.File().Write(childImage(text)); err != nil {
		return err
	}
	if _, err := st.Publish(ctx, keyOf(text), id); err != nil {
		return err
	}
	if !remove {
		return nil
	}
	if err := s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		if _, _, err := storage.Remove(ctx, text); err != nil {
			return err
		}
		return tx.Unlink(id)
	}); err != nil {
		return err
	}
	if err := s.DropSnapshot(ctx, id); err != nil {
		return err
	}
	_, err = s.Collect(ctx)
	return err
}

// childImage is an image whose length depends on text and is some megabytes now and then: there is something to
// be written back when it is cut.
func childImage(text string) []byte {
	image := imageOf(&testing.T{}, text)
	n := len(image) + int(text[len(text)-1])*4096
	return append(slices.Clip(image), bytes.Repeat([]byte(text), n/len(text)+1)[:n]...)
}

// process is a child at work.
type process struct {
	*exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

func start(t *testing.T, root, name string, rounds int) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(must(os.Executable())(t))}
	p.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%d", childEnv, root, name, rounds))
	p.Stderr = &p.stderr
	out := must(p.StdoutPipe())(t)
	p.lines = bufio.NewScanner(out)
	check(t, p.Start())
	t.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// finish reads to the end of the child and returns what it has published.
func (p *process) finish() (done []string, err error) {
	for p.lines.Scan() {
		if text, ok := strings.CutPrefix(p.lines.Text(), "done "); ok {
			done = append(done, text)
		}
	}
	if err := p.Wait(); err != nil {
		return done, fmt.Errorf("%w: %s", err, p.stderr.String())
	}
	return done, nil
}

// intact fails the test unless everything that was published is there, byte for byte.
func intact(t *testing.T, s *Store, published []string) {
	t.Helper()
	for _, text := range published {
		b, err := lookup(t, s, keyOf(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := os.ReadFile(s.Path(b)); err != nil || !bytes.Equal(got, childImage(text)) {
			t.Errorf("%s: %d bytes, %v", text, len(got), err)
		}
		check(t, s.View(t.Context(), func(_ context.Context, tx *Tx) error {
			if ids := tx.LinksTo(keyOf(text)); len(ids) != 1 {
				t.Errorf("%s: links %q", text, ids)
			}
			return nil
		}))
	}
}

// clean fails the test if Collect, called once, leaves anything that no record has.
func clean(t *testing.T, s *Store) {
	t.Helper()
	must(s.Collect(t.Context()))(t)
	if f := must(s.Collect(t.Context()))(t); f != (Freed{}) {
		t.Errorf("left by the first Collect: %+v", f)
	}
	st := must(s.Status(t.Context()))(t)
	if files := tree(t, s.blobs()); len(files) != len(st.Blobs) {
		t.Errorf("%d files of %d blobs", len(files), len(st.Blobs))
	}
	if left := must(os.ReadDir(s.staging()))(t); len(left) > 0 || st.Damaged > 0 {
		t.Errorf("staging: %v; %d damaged", left, st.Damaged)
	}
}

func TestTwoProcessesUseOneStore(t *testing.T) {
	t.Parallel()
	s := newStore(t) // a third one
	rounds := 30
	a, b := start(t, s.Root, "a", rounds), start(t, s.Root, "b", rounds)
	var published []string
	for i := range 10 {
		text := fmt.Sprint("ours-", i)
		check(t, childRound(t.Context(), s, text, false))
		published = append(published, text)
		must(s.Collect(t.Context()))(t)
	}
	for _, p := range []*process{a, b} {
		done, err := p.finish()
		check(t, err)
		if len(done) != rounds-rounds/3 {
			t.Errorf("%d published", len(done))
		}
		published = append(published, done...)
	}
	intact(t, s, published)
	clean(t, s)
}

// kills is how often the test is to kill: LAMINA_KILLS, or a quick number.
func kills(t *testing.T, quick int) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("LAMINA_KILLS"))
	if err != nil {
		return quick
	}
	return n
}

// Whenever a process is killed, what it has published is there, and nothing is left of the rest. Another process
// works on the store all the time, in every second round.
func TestKilledProcessLosesNothingThatWasPublished(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "store")
	var published []string
	for i := range kills(t, 24) {
		p := start(t, root, fmt.Sprint("k", i), 1000)
		if i%4 > 0 && !p.lines.Scan() { // wait until it has opened the store; else it is killed while it does, too
			t.Fatal(p.stderr.String())
		}
		var company *process
		if i%2 == 1 {
			company = start(t, root, fmt.Sprint("c", i), 3)
		}
		time.AfterFunc(time.Duration(rand.IntN(120))*time.Millisecond, func() { _ = p.Process.Kill() })
		done, _ := p.finish()
		published = append(published, done...)
		if company != nil {
			done, err := company.finish()
			check(t, err)
			published = append(published, done...)
		}
		s := must(Open(t.Context(), Config{Root: root}))(t)
		intact(t, s, published)
		clean(t, s)
		check(t, s.Close())
	}
	t.Logf("%d blobs published", len(published))
}

// Goroutines of two stores in one process, which exclude each other as processes do, do everything at once.
func TestParallelUse(t *testing.T) {
	t.Parallel()
	a := newStore(t)
	b := openAt(t, a.Root)
	const goroutines, texts = 200, 40
	var wg sync.WaitGroup
	for i := range goroutines {
		s, text := []*Store{a, b}[i%2], fmt.Sprint("p-", i%texts)
		wg.Go(func() {
			switch i % 10 {
			case 0:
				if _, err := s.Collect(t.Context()); err != nil {
					t.Error(err)
				}
			case 1:
				if _, err := s.Status(t.Context()); err != nil {
					t.Error(err)
				}
			default:
				if err := parallelRound(t, s, fmt.Sprint("snap-", i), text, i%3 == 0); err != nil {
					t.Errorf("%s: %v", text, err)
				}
			}
		})
	}
	wg.Wait()
	clean(t, a)
	st := must(b.Status(t.Context()))(t)
	for _, x := range st.Blobs {
		if len(x.Links) == 0 {
			t.Errorf("%s: no links", x.Key)
		}
		if err := b.check(&x.Blob); err != nil {
			t.Error(err)
		}
	}
}

// parallelRound makes a snapshot, publishes a blob for it, finds it, and removes all that again if told so.
func parallelRound(t *testing.T, s *Store, name, text string, remove bool) error {
	ctx, id := t.Context(), ""
	if err := s.Update(ctx, func(ctx context.Context, _ *Tx) error {
		snap, err := storage.CreateSnapshot(ctx, snapshots.KindActive, name, "")
		id = snap.ID
		return err
	}); err != nil {
		return err
	}
	st, err := s.Stage(ctx)
	if err != nil {
		return err
	}
	if _, err := st.File().Write(imageOf(t, text)); err != nil {
		return err
	}
	if _, err := st.Publish(ctx, keyOf(text), id); err != nil {
		return errors.Join(err, st.Discard())
	}
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.Blob(keyOf(text)); err != nil {
			return err
		}
		if k, ok := tx.LinkOf(id); !ok || k != keyOf(text) {
			return fmt.Errorf("link %v %v", k, ok)
		}
		if !remove {
			return nil
		}
		if _, _, err := storage.Remove(ctx, name); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
		return tx.Unlink(id)
	})
}

// A process that is in transactions all the time, each beginning before the other ends, lets others in.
func TestProcessesTakeTurns(t *testing.T) {
	t.Parallel()
	hog := openAt(t, filepath.Join(quickDir(t), "store"))
	other := openAt(t, hog.Root)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				_ = hog.View(ctx, func(context.Context, *Tx) error { time.Sleep(2 * time.Millisecond); return nil })
			}
		})
	}
	const turns = 20
	limit, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	began := time.Now()
	for range turns {
		if err := other.Update(limit, func(context.Context, *Tx) error { return nil }); err != nil {
			t.Errorf("starved: %v", err)
			break
		}
	}
	t.Logf("%v each", time.Since(began)/turns)
	cancel()
	wg.Wait()
}
