package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/laminafs/lamina/fsck"
	"github.com/laminafs/lamina/internal/oracle"
)

// hostileMemory is what the program may have resident while it reads any image as small as those here: 32 MiB of
// decoded pclusters, for each of two processors a pcluster being decoded and its source (12 + 12 MiB), the garbage
// before the first collection (44 MiB), and itself.
const hostileMemory = 160 << 20

// hostileTime is what one run may take on a busy machine.
const hostileTime = 60 * time.Second

// verbs are the runs that every hostile image has to survive: $I is the image, $D a new directory.
var verbs = []string{
	"ls -lR $I", "stat $I /text", "cat $I text tiny zeros mixed", "extract $I $D", "tar -o $D.tar $I", "check $I", "check --read-data $I",
	"inspect $I", "inspect --extents zeros $I", "inspect --map $I",
	"dump.erofs -s -S $I", "dump.erofs -e --path=/mixed $I", "dump.erofs --cat --path=/zeros $I", "fsck.erofs --extract $I", "build -o $D.erofs $I",
}

// survives runs one verb: it ends by itself, without a panic, within the bounds. A failure is exit code 1 (for the
// front ends), 3, 4 or 5 and a line that says why.
func survives(t *testing.T, what, verb, image string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	line := strings.NewReplacer("$I", image, "$D", dir).Replace(verb)
	ctx, cancel := context.WithTimeout(t.Context(), hostileTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t), strings.Fields(line)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	rss, err := measured(t, cmd)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Errorf("%s: %s: not done after %v", what, verb, hostileTime)
	case err != nil && !errors.As(err, &exit):
		t.Fatal(err)
	case exit != nil && (exit.ExitCode() < 1 || exit.ExitCode() == 2 || exit.ExitCode() > 5), strings.Contains(stderr.String(), "goroutine "):
		t.Errorf("%s: %s: %v\n%.2000s", what, verb, err, stderr.Bytes())
	case exit != nil && stderr.Len() == 0 && !strings.Contains(verb, "check") && !strings.Contains(verb, "erofs"):
		t.Errorf("%s: %s: %v, and no word why", what, verb, err)
	}
	if rss > hostileMemory {
		t.Errorf("%s: %s: %d MiB resident, bound %d", what, verb, rss>>20, hostileMemory>>20)
	}
	if err := os.RemoveAll(filepath.Dir(dir)); err != nil { // outputs add up
		t.Error(err)
	}
}

// hostileSource is a small tree with every kind of data, 13 MiB of zeros among it: more than one extent holds.
func hostileSource(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "src")
	rnd := rand.New(rand.NewPCG(3, 3))
	noise := make([]byte, 9000)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	text := bytes.Repeat([]byte("what a layer has most of is text, and text is what it has. "), 900)
	for i := range text {
		if rnd.IntN(12) == 0 {
			text[i] = byte('a' + rnd.IntN(26))
		}
	}
	mixed := append(append(bytes.Clone(text[:20000]), noise...), text[5000:50000]...)
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"text": text, "tiny": text[:100], "noise": noise, "mixed": mixed, "zeros": make([]byte, 13<<20), "sub/copy": text, "sub/tail": text[:5000]} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("text", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// hostileKinds are the images that are damaged, by the arguments of mkfs.erofs.
var hostileKinds = []string{
	"-zlz4", "-zlz4hc -C16384 -Elegacy-compress", "-zlzma -C65536 -Efragments", "-zdeflate -Eztailpacking,fragments,dedupe",
	"-zzstd -C65536 -Eall-fragments", "-zzstd -E48bit", "-zzstd -C16384 -m4096", "-zlz4 -E48bit,dedupe", "-zlz4 --MZ -E48bit --zD=0",
}

// Every verb on damaged images, ours and those of mkfs.erofs: bits flipped and bytes replaced in metadata and data, cut
// off anywhere. LAMINA_HOSTILE is how many of each there are of an image, 1 if it is not set.
func TestDamagedCompressedImagesSurviveEveryVerb(t *testing.T) {
	rounds := 1
	if n, err := strconv.Atoi(os.Getenv("LAMINA_HOSTILE")); err == nil {
		rounds = n
	}
	src := hostileSource(t)
	for maker, tool := range map[string]string{"ours": front(t, "mkfs.erofs"), "theirs": oracle.Need(t, "mkfs.erofs")} {
		for _, kind := range hostileKinds {
			t.Run(maker+kind, func(t *testing.T) {
				t.Parallel()
				image := filepath.Join(t.TempDir(), "image")
				out, err := exec.Command(tool, append(strings.Fields("--quiet -T0 "+kind), image, src)...).CombinedOutput()
				if err != nil && strings.Contains(string(out), "not supported") {
					t.Skipf("%s", out)
				}
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				whole, err := os.ReadFile(image)
				if err != nil {
					t.Fatal(err)
				}
				ranges := metadata(t, whole)
				rnd := rand.New(rand.NewPCG(1, uint64(len(whole))))
				for round := range 3 * rounds {
					b := bytes.Clone(whole)
					what := damage(b, ranges, rnd, round)
					if round%3 == 2 {
						b = b[:rnd.IntN(len(b))]
						what = fmt.Sprintf("cut to %d bytes", len(b))
					}
					bad := filepath.Join(t.TempDir(), "bad")
					if err := os.WriteFile(bad, b, 0o600); err != nil {
						t.Fatal(err)
					}
					failed := t.Failed()
					for _, verb := range verbs {
						survives(t, what, verb, bad)
					}
					if dir := os.Getenv("LAMINA_KEEP"); dir != "" && t.Failed() && !failed {
						_ = os.WriteFile(filepath.Join(dir, fmt.Sprintf("bad-%s-%d", strings.ReplaceAll(maker+kind, " ", ""), round)), b, 0o600)
					}
				}
			})
		}
	}
}

// metadata returns the ranges of an image that are no data: where damage does most.
func metadata(t *testing.T, image []byte) (list []fsck.Range) {
	t.Helper()
	all, err := fsck.Map(bytes.NewReader(image), int64(len(image)), fsck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Kind != fsck.KindUnused && r.Kind != fsck.KindUnread && r.Kind != fsck.KindData {
			list = append(list, r)
		}
	}
	return list
}

// damage changes one to three places and says which.
func damage(b []byte, ranges []fsck.Range, rnd *rand.Rand, round int) (what string) {
	for range 1 + rnd.IntN(3) {
		at := rnd.IntN(len(b))
		if rnd.IntN(4) > 0 {
			r := ranges[rnd.IntN(len(ranges))]
			at = int(r.Off + rnd.Int64N(r.Len))
		}
		if round%3 == 0 {
			b[at] ^= 1 << rnd.IntN(8)
		} else {
			b[at] = []byte{0, 0xff, 0x80, b[at] + 1}[rnd.IntN(4)]
		}
		what += fmt.Sprintf("byte %d is %#x, ", at, b[at])
	}
	return what
}

// Every byte of the configurations of algorithms and of the first map headers, replaced by 0xff and by another value, one at a time: LAMINA_HOSTILE.
func TestEveryByteOfConfigurationsSurvives(t *testing.T) {
	step := 25
	if os.Getenv("LAMINA_HOSTILE") != "" {
		step = 1
	}
	src := hostileSource(t)
	for _, kind := range hostileKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(t.TempDir(), "image")
			oracle.Run(t, oracle.Need(t, "mkfs.erofs"), append(strings.Fields("--quiet -T0 "+kind), image, src)...)
			whole, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			var places []int64
			for _, r := range metadata(t, whole) {
				n := int64(0)
				switch r.Kind {
				case fsck.KindCompression:
					n = r.Len
				case fsck.KindIndex:
					n = min(r.Len, 24) // map header and first entries
				}
				for k := range n {
					places = append(places, r.Off+k)
				}
			}
			for k := 0; k < len(places); k += step {
				at := places[k]
				was := whole[at]
				for _, v := range []byte{0xff, was ^ 1} {
					whole[at] = v
					if err := os.WriteFile(image, whole, 0o600); err != nil {
						t.Fatal(err)
					}
					survives(t, fmt.Sprintf("byte %d is %#x", at, v), "check --read-data $I", image)
					survives(t, fmt.Sprintf("byte %d is %#x", at, v), "dump.erofs -S $I", image)
				}
				whole[at] = was
			}
		})
	}
}

// Images of a few KiB for each 12 MiB of content: what they decode to is never in memory at once.
func TestBombsSurviveEveryVerbInBoundedMemory(t *testing.T) {
	const files = 12
	dir := filepath.Join(t.TempDir(), "src")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 12<<20)
	for i := range files {
		name := fmt.Sprintf("z%d", i)
		switch i {
		case 0:
			name = "zeros"
		case 1:
			name = "mixed"
		case 2:
			name = "text"
		case 3:
			name = "tiny"
		}
		if err := os.WriteFile(filepath.Join(dir, name), zeros, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kinds := []string{"-zzstd -C1048576 -E48bit", "-zlz4 -C65536", "-zlzma -C1048576", "-zdeflate", "-zzstd -Eall-fragments"}
	if os.Getenv("LAMINA_HOSTILE") == "" {
		kinds = kinds[:1]
	}
	for _, kind := range kinds {
		for maker, tool := range map[string]string{"ours": front(t, "mkfs.erofs"), "theirs": oracle.Need(t, "mkfs.erofs")} {
			t.Run(maker+kind, func(t *testing.T) {
				image := filepath.Join(t.TempDir(), "image")
				oracle.Run(t, tool, append(strings.Fields("--quiet -T0 "+kind), image, dir)...)
				if info, err := os.Stat(image); err != nil || info.Size() > files<<20 {
					t.Fatalf("%d bytes (%v): no bomb", info.Size(), err)
				}
				for _, verb := range verbs {
					survives(t, "bomb", verb, image)
				}
			})
		}
	}
}
