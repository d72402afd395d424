package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

// testDisk is a file system in a file.
type testDisk struct {
	file, dir string
	options   string
}

// format are the file systems, with the size that they need.
var format = map[string]struct {
	tool, options string
	args          []string
	size          int64
}{
	"ext4": {"mkfs.ext4", "loop,commit=600", []string{"-q", "-F", "-E", "nodiscard"}, 64 << 20},
	"xfs":  {"mkfs.xfs", "loop,nouuid", []string{"-q", "-f"}, 320 << 20},
}

// newDisk makes a file system and mounts it until the test ends.
func newDisk(t *testing.T, fstype string) *testDisk {
	t.Helper()
	oracle.NeedRoot(t)
	f := format[fstype]
	tool := oracle.Need(t, f.tool)
	dir := oracle.Scratch(t)
	d := &testDisk{filepath.Join(dir, "disk"), filepath.Join(dir, "mnt"), f.options}
	check(t, os.WriteFile(d.file, nil, 0o600))
	check(t, os.Truncate(d.file, f.size))
	oracle.Run(t, tool, append(f.args, d.file)...)
	d.mount(t)
	return d
}

func (d *testDisk) mount(t *testing.T) {
	t.Helper()
	check(t, os.MkdirAll(d.dir, 0o700))
	oracle.Run(t, oracle.Need(t, "mount"), "-o", d.options, d.file, d.dir)
	t.Cleanup(d.umount)
}

// umount may be called twice.
func (d *testDisk) umount() { _ = unix.Unmount(d.dir, unix.MNT_DETACH) }

// cut copies the file as the disk holds it now, without what the kernel has not written to it: the disk after a
// power cut.
func (d *testDisk) cut(t *testing.T) *testDisk {
	t.Helper()
	dir := oracle.Scratch(t)
	c := &testDisk{filepath.Join(dir, "disk"), filepath.Join(dir, "mnt"), d.options}
	oracle.Run(t, "cp", "--sparse=always", d.file, c.file)
	return c
}

// cuts is how many power cuts the test makes: LAMINA_CUTS, or a quick number.
func cuts(quick int) int {
	if n, err := strconv.Atoi(os.Getenv("LAMINA_CUTS")); err == nil {
		return n
	}
	return quick
}

// The power fails at some moment while two processes publish: all that Publish has returned for is there.
func TestPowerCutLosesNothingThatWasPublished(t *testing.T) {
	for fstype := range format {
		t.Run(fstype, func(t *testing.T) {
			t.Parallel()
			d := newDisk(t, fstype)
			root := filepath.Join(d.dir, "store")
			total := 0
			for i := range cuts(3) {
				a, b := start(t, root, fmt.Sprint("a", i), 6), start(t, root, fmt.Sprint("b", i), 6)
				var mu sync.Mutex // guards published
				var published []string
				var wg sync.WaitGroup
				enough := make(chan bool, 100)
				for _, p := range []*process{a, b} {
					wg.Go(func() {
						for p.lines.Scan() {
							if text, ok := strings.CutPrefix(p.lines.Text(), "done "); ok {
								mu.Lock()
								published = append(published, text)
								mu.Unlock()
								enough <- true
							}
						}
						if err := p.Wait(); err != nil {
							t.Errorf("%v: %s", err, p.stderr.String())
						}
					})
				}
				for range 1 + rand.IntN(6) {
					<-enough
				}
				mu.Lock()
				before := append([]string(nil), published...)
				mu.Unlock()
				// The copy takes a while; what is written meanwhile would be in it without what it builds on.
				for _, p := range []*process{a, b} {
					stopped(t, p)
				}
				c := d.cut(t)
				for _, p := range []*process{a, b} {
					signal(t, p, syscall.SIGCONT)
				}
				wg.Wait()
				total += len(before)
				c.mount(t)
				after := must(Open(t.Context(), Config{Root: filepath.Join(c.dir, "store")}))(t)
				intact(t, after, before)
				clean(t, after)
				check(t, after.Close())
				c.umount()
				check(t, os.Remove(c.file))
				empty(t, root)
			}
			t.Logf("%d blobs published before the cuts", total)
		})
	}
}

// signal may find that the process has ended.
func signal(t *testing.T, p *process, sig os.Signal) {
	t.Helper()
	if err := p.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

// stopped stops a process and waits until it has left the kernel; one that has ended is left alone.
func stopped(t *testing.T, p *process) {
	t.Helper()
	signal(t, p, syscall.SIGSTOP)
	for {
		tasks := must(filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Process.Pid)))(t)
		still := 0
		for _, task := range tasks {
			b, _ := os.ReadFile(task)
			_, state, _ := strings.Cut(string(b), ") ")
			if state != "" && !strings.Contains("TZX", state[:1]) {
				still++
			}
		}
		if still == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// empty makes room for the next round.
func empty(t *testing.T, root string) {
	t.Helper()
	check(t, os.RemoveAll(root))
}

// A disk that fills up, at any moment, makes clear errors and no half blobs, and everything goes on when there is room.
func TestFullDisk(t *testing.T) {
	for fstype := range format {
		t.Run(fstype, func(t *testing.T) {
			t.Parallel()
			d := newDisk(t, fstype)
			root := filepath.Join(d.dir, "store")
			s := must(Open(t.Context(), Config{Root: root}))(t)
			published := []string{}
			for round := range 3 {
				full(t, d.dir, int64(round)*300<<10)
				for i := 0; ; i++ {
					text := fmt.Sprint("full-", round, "-", i)
					err := childRound(t.Context(), s, text, false)
					if err == nil {
						published = append(published, text)
						continue
					}
					if !errors.Is(err, syscall.ENOSPC) {
						t.Fatalf("%v", err)
					}
					break
				}
				intact(t, s, published)
				check(t, os.Remove(filepath.Join(d.dir, "ballast")))
				if err := childRound(t.Context(), s, fmt.Sprint("room-", round), false); err != nil {
					t.Fatalf("with room again: %v", err)
				}
				published = append(published, fmt.Sprint("room-", round))
				check(t, s.Close())
				full(t, d.dir, 0)
				s = must(Open(t.Context(), Config{Root: root}))(t) // recovery needs no room
				check(t, os.Remove(filepath.Join(d.dir, "ballast")))
				intact(t, s, published)
				clean(t, s)
			}
			check(t, s.Close())
		})
	}
}

// full fills the file system but for some bytes.
func full(t *testing.T, dir string, room int64) {
	t.Helper()
	f := must(os.Create(filepath.Join(dir, "ballast")))(t)
	var size int64
	for step := int64(16 << 20); step >= 4096; step /= 2 {
		for unix.Fallocate(int(f.Fd()), 0, size, step) == nil {
			size += step
		}
	}
	check(t, f.Truncate(max(0, size-room)))
	check(t, f.Close())
}
