package e2e

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/laminafs/lamina/internal/durable"
	"github.com/laminafs/lamina/internal/oracle"
)

// grownForms are images that --incremental adds to.
var grownForms = []sourceForm{
	{name: "theirs-blocks", tool: "mkfs.erofs", flags: "-Enoinline_data", theirs: true},
	{name: "theirs-tails", tool: "mkfs.erofs", theirs: true},
	{name: "theirs-chunks", tool: "mkfs.erofs", flags: "--chunksize=4096", theirs: true},
	{name: "theirs-lz4", tool: "mkfs.erofs", flags: "-zlz4"}, // it dies of those
	{name: "ours-tails"},
	{name: "ours-chunks", flags: "--chunksize=16384 -Ededupe"},
	{name: "ours-512", flags: "-b512"},
	{name: "ours-zstd", flags: "-zzstd -Efragments"},
	{name: "ours-dense", flags: "-zlz4 -E48bit"},
}

// An image that grows is the old one and the new layer together, and its blocks stay as they were.
func TestKernelShowsAnImageThatGrew(t *testing.T) {
	mine := front(t, "mkfs.erofs")
	lower, upper := filepath.Join(corpus(t), "small-base.tar"), filepath.Join(corpus(t), "small-node.tar")
	for _, s := range grownForms {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			root, judged := func(l listing) listing { return l }, checked
			if s.name == "theirs-chunks" { // what our checker has to say of their sharing it says before, too
				judged = func(t testing.TB, image string, _ ...string) {
					oracle.Run(t, oracle.Need(t, "fsck.erofs"), "--extract", image)
				}
			}
			if s.tool != "" {
				root = func(l listing) listing { return rootless(t, l) }
			}
			want := root(expected(t, variant{}, lower, upper))
			image := s.image(t, lower)
			before, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"--tar=f", "--aufs", "--ovlfs-strip=1", "--incremental=data", image, upper}
			made(t, mine, args...)
			after, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before[4096:], after[4096:len(before)]) {
				t.Error("what was there has changed")
			}
			same(t, "tar", root(walked(t, oracle.MountImage(t, image))), want)
			judged(t, image)
			made(t, mine, "--incremental", image, unpacked(t, upper))
			same(t, "directory, again", rootless(t, walked(t, oracle.MountImage(t, image))), rootless(t, want))
			judged(t, image)
			if !s.theirs {
				return
			}
			if err := os.WriteFile(image, before, 0o644); err != nil {
				t.Fatal(err)
			}
			made(t, oracle.Need(t, "mkfs.erofs"), args...)
			same(t, "theirs", root(walked(t, oracle.MountImage(t, image))), want)
		})
	}
}

// Killed at any time, --incremental leaves the old image or the new one, and nothing beside it.
func TestAnImageThatGrowsIsTheOldOrTheNewOneWhenKilled(t *testing.T) {
	mine, s := front(t, "mkfs.erofs"), sourceForm{}
	old := s.image(t, filepath.Join(corpus(t), "small-base.tar"))
	before, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "image")
	args := []string{"--quiet", "--tar=f", "--incremental", image, filepath.Join(corpus(t), "small-node.tar")}
	reset := func() {
		if err := os.WriteFile(image, before, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	reset()
	start := time.Now()
	oracle.Run(t, mine, args...)
	whole := time.Since(start)
	after, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for range 25 {
		reset()
		cmd := exec.Command(mine, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(whole * 5 / 4))))
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); err != nil {
			killed++
		}
		got, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, before) && !bytes.Equal(got, after) {
			t.Fatal("neither the old image nor the new one")
		}
		entries, err := os.ReadDir(filepath.Dir(image))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "image" && !strings.HasPrefix(e.Name(), durable.TempPrefix) { // named while it is synced
				t.Errorf("%s is left", e.Name())
			}
		}
	}
	if killed == 0 {
		t.Error("nothing was killed")
	}
}
