package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
)

// A cell is one compressed image: how it is compressed, and of what. Its arguments mean the same to both mkfs.erofs.
type cell struct {
	method   string // of -z
	pcluster int    // in bytes
	features string // a key of featureSets
	corpus   string
}

func (c cell) String() string {
	return fmt.Sprintf("%s/%dK/%s/%s", strings.ReplaceAll(c.method, ",", "-"), c.pcluster>>10, c.features, strings.TrimSuffix(filepath.Base(c.corpus), ".tar"))
}

// featureSets are what an image is made with beside its algorithm and pcluster size.
var featureSets = map[string]string{
	"none":          "",
	"ztailpacking":  "-Eztailpacking",
	"fragments":     "-Efragments",
	"all-fragments": "-Eall-fragments",
	"dedupe":        "-Ededupe",
	"three":         "-Eztailpacking,fragments,dedupe",
	"48bit":         "-E48bit",
	"legacy":        "-Elegacy-compress",
	"hints":         "", // two algorithms, see arguments
	"metabox":       "-m4096",
	"zones":         "--MZ -E48bit,fragments --zD", // directories compressed, metadata apart
	"512":           "-b512",
}

// The axes of the matrix. Every method meets every pcluster size, and every algorithm every feature set; corpora take turns.
var (
	methods = []string{"lz4", "lz4hc,1", "lz4hc", "lz4hc,12", "lzma,1", "lzma", "lzma,109", "deflate,1", "deflate,9", "zstd,1", "zstd", "zstd,19"}
	sizes   = []int{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}
	// usual are the feature sets that go round beside the pcluster sizes.
	usual = []string{"none", "ztailpacking", "fragments", "all-fragments", "dedupe", "three", "48bit", "legacy", "hints"}
	rare  = []string{"metabox", "zones", "512"}
)

// quick are the cells of every run of the tests: each algorithm, each feature set.
var quick = []cell{
	{"lz4", 4 << 10, "none", "small-node"},
	{"lz4", 64 << 10, "legacy", "torture"},
	{"lz4", 16 << 10, "metabox", "torture"},
	{"lz4", 4 << 10, "512", "torture"},
	{"lz4hc", 1 << 20, "48bit", "torture"},
	{"lz4hc", 16 << 10, "ztailpacking", "small-node"},
	{"lzma,1", 64 << 10, "fragments", "torture"},
	{"lzma,1", 4 << 10, "hints", "torture"},
	{"deflate,1", 16 << 10, "three", "small-node"},
	{"deflate,1", 256 << 10, "zones", "torture"},
	{"zstd", 64 << 10, "all-fragments", "small-node"},
	{"zstd", 16 << 10, "dedupe", "small-node"},
}

// cells is the whole matrix with LAMINA_MATRIX, else quick. LAMINA_MATRIX_TARS names more archives, which take
// their turns with the small ones.
func cells() []cell {
	if os.Getenv("LAMINA_MATRIX") == "" {
		return quick
	}
	archives := append(append([]string{}, corpora...), strings.Fields(os.Getenv("LAMINA_MATRIX_TARS"))...)
	var all []cell
	add := func(method string, size int, features string) {
		all = append(all, cell{method, size, features, archives[(len(all)+len(all)/len(archives))%len(archives)]})
	}
	for i, m := range methods {
		for k, size := range sizes {
			add(m, size, usual[(i*len(sizes)+k)%len(usual)])
		}
	}
	for i, m := range []string{"lz4", "lz4hc", "lzma,1", "deflate,1", "zstd"} {
		for k, f := range append(append([]string{}, usual...), rare...) {
			add(m, sizes[(i+k)%len(sizes)], f)
		}
	}
	return all
}

// arguments are those of mkfs.erofs for a cell. The one of erofs-utils 1.9.4 dies of a hint with an algorithm
// (SIGSEGV), so foreign images have two pcluster sizes, but not two algorithms; it dies of some others, too.
func (c cell) arguments(t testing.TB, foreign bool) []string {
	method, args := c.method, strings.Fields(featureSets[c.features])
	if c.features == "hints" {
		second := "zstd"
		if strings.HasPrefix(method, second) {
			second = "deflate"
		}
		method += ":" + second
		hints := filepath.Join(t.TempDir(), "hints")
		text := "# pcluster [algorithm] pattern\n4096 1 \\.(js|go|so)$\n65536 0 ^usr/share\n16384 1 [0-9]\n"
		if foreign {
			text = strings.ReplaceAll(strings.ReplaceAll(text, " 0 ", " "), " 1 ", " ")
		}
		if err := os.WriteFile(hints, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--compress-hints="+hints)
	}
	size := c.pcluster
	if c.features == "512" {
		size = min(size, 512<<10) // a count of blocks has 11 bits
	}
	return append(args, "--quiet", "-z"+method, fmt.Sprintf("-C%d", size))
}

// archive is the tar of a cell.
func (c cell) archive(t testing.TB) string {
	if filepath.IsAbs(c.corpus) {
		return c.corpus
	}
	return filepath.Join(corpus(t), c.corpus+".tar")
}

// made runs a mkfs.erofs for a cell.
func (c cell) made(t testing.TB, tool string, foreign bool, args ...string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image.erofs")
	cmd := exec.Command(tool, append(append(c.arguments(t, foreign), image), args...)...)
	cmd.Env = withoutEpoch()
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "not supported") {
		t.Skipf("%s", out)
	}
	if code := cmd.ProcessState.ExitCode(); foreign && (code < 0 || code == 128+int(syscall.SIGSEGV)) {
		t.Skipf("%v: %v: no image to read", cmd.Args, cmd.ProcessState)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return image
}

// Images that our mkfs.erofs makes: the kernel and our reader show the source, fsck.erofs and our checker find nothing.
func TestCompressionMatrixOfOurImages(t *testing.T) {
	tool := front(t, "mkfs.erofs")
	for _, c := range cells() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			tar := c.archive(t)
			image := c.made(t, tool, false, "--tar=f", "--aufs", tar)
			want := expected(t, variant{}, tar)
			same(t, "the kernel", walked(t, oracle.MountImage(t, image)), want)
			same(t, "our reader", read(t, image), want)
			checked(t, image)
		})
	}
}

// Images that mkfs.erofs of erofs-utils makes: our reader shows what the kernel shows, which is the source.
func TestCompressionMatrixOfForeignImages(t *testing.T) {
	tool := oracle.Need(t, "mkfs.erofs")
	for _, c := range cells() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			src, want := sourceOf(t, c.archive(t))
			image := c.made(t, tool, true, src)
			kernel := walked(t, oracle.MountImage(t, image))
			same(t, "the kernel", kernel.edited(t, contentsOnly), want)
			same(t, "our reader", read(t, image), kernel)
			clean(t, image)
		})
	}
}

// contentsOnly leaves in a record what mkfs.erofs keeps of every source: it drops nanoseconds where inodes are
// compact and adds attributes to directories with whiteouts.
func contentsOnly(r map[string]any) {
	for k := range r {
		switch k {
		case "path", "type", "mode", "uid", "gid", "size", "data", "target", "rdev", "link":
		default:
			delete(r, k)
		}
	}
}

var (
	sourceMu sync.Mutex // guards sources
	sources  = map[string]listing{}
)

// sourceOf returns a directory with what an archive means and its listing. The directory lives as long as the run.
func sourceOf(t testing.TB, tar string) (string, listing) {
	t.Helper()
	oracle.NeedRoot(t)
	sourceMu.Lock()
	defer sourceMu.Unlock()
	dir := filepath.Join(scratch, "source-"+strings.TrimSuffix(filepath.Base(tar), ".tar"))
	if l, ok := sources[tar]; ok {
		return dir, l
	}
	if filepath.Base(tar) == "torture.tar" { // GNU tar cannot unpack all of it
		image := build(t, tar, mkfs.Options{})
		oracle.Run(t, oracle.Need(t, "cp"), "-a", "--sparse=always", oracle.MountImage(t, image), dir)
		originless(t, dir)
	} else {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		oracle.Run(t, oracle.Need(t, "tar"), "-C", dir, "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", tar)
	}
	sources[tar] = walked(t, dir).edited(t, contentsOnly)
	return dir, sources[tar]
}

// matrixSize is how many images each side has to make at least.
const matrixSize = 60

func TestCompressionMatrixIsLargeEnough(t *testing.T) {
	t.Setenv("LAMINA_MATRIX", "1")
	names := map[string]bool{}
	for _, c := range cells() {
		names[c.String()] = true
	}
	if len(names) < matrixSize {
		b, _ := json.Marshal(names)
		t.Errorf("%d different cells, want %d: %s", len(names), matrixSize, b)
	}
}
