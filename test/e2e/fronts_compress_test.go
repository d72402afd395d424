package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/oracle"
)

// compressLines are options about compression that people write, and wrong ones.
var compressLines = []string{
	"-zlz4", "-zlz4,1", "-zlz4hc", "-zlz4hc,0", "-zlz4hc,12", "-zlz4hc,13", "-zlz4hc,level=9", "-z lz4hc,9", "-z lz4",
	"-zlzma", "-zlzma,0", "-zlzma,9", "-zlzma,10", "-zlzma,109", "-zlzma,110", "-zlzma,level=6,dictsize=65536", "-zlzma,6,dictsize=1000",
	"-zlzma,level=6,lc=3,lp=0,pb=2", "-zlzma,level=6,lc=0,lp=2,pb=1", "-zdeflate", "-zdeflate,0", "-zdeflate,9", "-zdeflate,10", "-zdeflate,9,dictsize=32768",
	"-zdeflate,9,dictsize=65536", "-zlibdeflate,12", "-zzstd", "-zzstd,0", "-zzstd,22", "-zzstd,23", "-zzstd,level=15,dictsize=131072", "-zzstd,dictsize=100",
	"-zzstd,foo=1", "-zbrotli", "-z", "-zlz4:zstd", "-zlz4:lz4hc", "-zlz4hc,12:deflate,9", "-zlz4,level=", "-zzstd,-1",
	"-zlz4 -C4096", "-zlz4 -C65536", "-zlz4 -C 1048576", "-zlz4 -C2097152", "-zlz4 -C5000", "-zlz4 -C0", "-C65536", "-zlz4 -C64K",
	"-zlz4 -Eztailpacking", "-zlz4 -E^ztailpacking", "-zlz4 -Efragments", "-zlz4 -Efragments=65536", "-zlz4 -C65536 -Eall-fragments=1048576", "-zlz4 -Efragments=5",
	"-zlz4 -Efragments,^fragments", "-zlz4 -Ededupe", "-zlz4 -Ededupe,^dedupe", "-zlz4 -Efragdedupe", "-zlz4 -Efragments,fragdedupe=inode", "-zlz4 -Efragments,fragdedupe=full",
	"-zlz4 -Efragments,fragdedupe=foo", "-zlz4 -Efragments,^fragdedupe", "-zlz4 -Elegacy-compress", "-zlz4 -E48bit", "-zlz4 -E^48bit", "-zlz4 -E48bit,dot-omitted", "-zlz4 -E48bit,ztailpacking",
	"-zlz4 -Eztailpacking,fragments,dedupe", "-zlz4 -Eztailpacking -Efragments", "-zlz4 -Eall", "-zlz4 -Efoo", "-zlz4 -Eforce-inode-blockmap",
	"-Eztailpacking", "-Efragments", "-Eall-fragments", "-Ededupe", "-Elegacy-compress", "-zlz4 -Enoinline_data", "-zlz4 -E^inline_data",
	"-zlz4 --max-extent-bytes=65536", "-zlz4 --max-extent-bytes=65537", "-zlz4 --max-extent-bytes=1", "-zlz4 --workers=1", "-zlz4 --workers=0", "-zlz4 --workers=x",
	"-zlz4 --async-queue-limit=10", "-zlz4 -m4096", "-m4096", "-m4096:zstd", "-zlz4 --MZ", "-zlz4 --MZ=i", "-zlz4 --MZ=0", "-zlz4 --zD", "-zlz4 --zD=0", "-zlz4 --zD=1", "-zlz4 --zD=2",
	"-zlz4 --zfeature-bits=0", "-zlz4 --chunksize=4096", "-zlz4 -b512", "-zlz4 -b1024 -C4096", "-zlz4 --dsunit=16", "-zlz4 --clean", "-zlz4 --clean=data", "-zlz4 --incremental",
	"-zlz4 --hard-dereference", "-zlz4 -T0 --all-root -x-1", "-zlz4 --random-pclusterblks", "-zlz4 --compress-hints=/does/not/exist",
}

// Where ours and the original disagree on purpose, and why.
var (
	looser = map[string]string{ // the original refuses them
		"-zdeflate,0":                           "its help offers level 0, its encoder refuses it",
		"-zlz4 -Efragments=65536":               "the packed inode may have larger pclusters than the files",
		"-zlz4 -C65536 -Eall-fragments=1048576": "the same",
		"-zlz4 --async-queue-limit=10":          "there is no queue whose length could matter",
		"-zlz4 -Eztailpacking,fragments,dedupe": "the end of every file is a fragment: no tail is left to inline",
		"-zlz4 -Eztailpacking -Efragments":      "the same",
		"-zlz4 -Ededupe":                        "whole copies need no feature",
	}
	stricter = map[string]string{ // the original takes them
		"-zlzma,6,dictsize=1000":     "no kernel mounts such a dictionary",
		"-zdeflate,9,dictsize=65536": "DEFLATE has no such distance",
		"-zlibdeflate,12":            "deflate is the name",
		"-zlz4:lz4hc":                "one algorithm twice",
		"-Eztailpacking":             "without -z it would do nothing",
		"-Efragments":                "the same",
		"-Eall-fragments":            "the same",
		"-zlz4 --chunksize=4096":     "a file is compressed or has chunks",
		"-m4096":                     "nothing would compress it",
	}
	// inverted lines are those that mean the opposite of what the documentation of the original says, in it.
	inverted = map[string]bool{"-zlz4 --zD=0": true, "-zlz4 --zD=1": true}
)

// Every option is taken as the original takes it, or refused with a line: none is ignored. Features of an image that
// the original makes are in ours.
func TestFrontEndTakesOrRefusesEveryOptionOfCompression(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	text := bytes.Repeat([]byte("text that every method compresses, in words that come again. "), 3000)
	for name, b := range map[string][]byte{"a/text": text, "a/copy": text, "b/tail": text[:5000], "b/tiny": text[:70], "one": text[:4096]} {
		path := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mine, original := front(t, "mkfs.erofs"), oracle.Need(t, "mkfs.erofs")
	for _, line := range compressLines {
		t.Run(line, func(t *testing.T) {
			a, b := filepath.Join(t.TempDir(), "ours"), filepath.Join(t.TempDir(), "theirs")
			made := func(tool, image string) (string, bool) {
				out, err := exec.Command(tool, append(strings.Fields("--quiet "+line), image, src)...).CombinedOutput()
				return string(out), err == nil
			}
			theySay, theyCan := made(original, b)
			weSay, weCan := made(mine, a)
			switch {
			case looser[line] != "" && weCan:
			case weCan && !theyCan:
				t.Errorf("taken; mkfs.erofs says %q", theySay)
			case weCan && !inverted[line]:
				features(t, a, b)
			case weCan:
			case strings.Count(weSay, "\n") != 1 || strings.Contains(weSay, "panic"):
				t.Errorf("refused with %q, want a line", weSay)
			case theyCan && stricter[line] == "" && !strings.Contains(weSay, "not supported"):
				t.Errorf("refused with %q; mkfs.erofs takes it", weSay)
			case !theyCan && stricter[line] != "":
				t.Errorf("mkfs.erofs does not take it: %q", theySay)
			}
		})
	}
}

// features wants in our image what the other one has.
func features(t *testing.T, ours, theirs string) {
	t.Helper()
	sb := func(image string) *disk.Superblock {
		f, err := os.Open(image)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		im, err := erofs.Open(f)
		if err != nil {
			t.Fatal(err)
		}
		s := im.Superblock()
		return &s
	}
	a, b := sb(ours), sb(theirs)
	if x, y := uint16(a.Algorithms()), uint16(b.Algorithms()); x&^y != 0 || x == 0 && y != 0 { // ours has those that are used
		t.Errorf("algorithms %#x, mkfs.erofs has %#x", x, y)
	}
	var lacks []string
	for _, f := range []struct {
		name string
		bit  uint32
	}{{"ztailpacking", uint32(disk.HasZtailpacking)}, {"fragments", uint32(disk.HasFragments)}, {"48bit", uint32(disk.Has48Bit)}, {"configurations", uint32(disk.HasComprCfgs)}} {
		if uint32(b.Incompat)&f.bit != 0 && uint32(a.Incompat)&f.bit == 0 {
			lacks = append(lacks, f.name)
		}
	}
	slices.Sort(lacks)
	if len(lacks) > 0 {
		t.Errorf("without %q, which mkfs.erofs has (incompatible features %#x and %#x)", lacks, a.Incompat, b.Incompat)
	}
}
