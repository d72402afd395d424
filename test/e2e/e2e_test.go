// Package e2e asks outside judges about whole images: first of all the running kernel, whose mounted
// tree is compared with what an independent model says that the tar means.
package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// program is bin/lamina, built for this run.
func program(t testing.TB) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var scratch string

var buildOnce = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "lamina")
	cmd := exec.Command("go", "build", "-o", path, "github.com/laminafs/lamina/cmd/lamina")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == launch {
		os.Exit(launched(os.Args[2:]))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "lamina-e2e-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

// corpus returns the directory of the small corpora, which it makes once per version of their maker.
// LAMINA_CORPUS names another one. Tests run in parallel: the first one makes them, the others wait.
func corpus(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("LAMINA_CORPUS"); dir != "" {
		return dir
	}
	making.Lock()
	defer making.Unlock()
	root := oracle.Root(t)
	maker := filepath.Join(root, "test/corpus/make-corpus.sh")
	hash := sha256.New()
	for _, f := range []string{maker, filepath.Join(root, "test/corpus/torture.py")} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		hash.Write(b)
	}
	dir := filepath.Join(root, ".cache", "small-"+hex.EncodeToString(hash.Sum(nil)[:6]))
	if _, err := os.Stat(filepath.Join(dir, "SHA256SUMS")); err == nil {
		return dir
	}
	oracle.NeedRoot(t) // the owners of the Debian packages
	for _, tool := range []string{"bash", "python3", "tar", "bsdtar", "gzip", "zstd", "apt-get", "dpkg-deb"} {
		oracle.Need(t, tool)
	}
	cmd := exec.Command(maker, dir, "torture", "small-base", "small-node", "small-golang")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", maker, err, out)
	}
	return dir
}

var making sync.Mutex // held while the small corpora are looked for or made

// corpora are the archives that every kind of image is made from.
var corpora = []string{"torture", "small-base", "small-node", "small-golang"}

// cases returns the torture archives of one property each; with refused also those whose name begins
// with "x-", on which readers of tar disagree or which are broken.
func cases(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(corpus(t), "cases", "*.tar"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no torture cases: %v", err)
	}
	return all
}

// listing is what both sides print: one JSON object per name.
type listing []byte

// walked returns the listing of a mounted or extracted tree, made by treewalk.py.
func walked(t testing.TB, dir string) listing {
	t.Helper()
	return oracle.Run(t, oracle.Need(t, "python3"), script(t, "treewalk.py"), dir)
}

var (
	modelMu sync.Mutex
	models  = map[string]listing{} // by the paths of the archives; guarded by modelMu
)

// modelled returns the listing that archives mean, made by tarmodel.py; ok is false if it refuses them.
func modelled(t testing.TB, tars ...string) (l listing, ok bool) {
	t.Helper()
	modelMu.Lock()
	defer modelMu.Unlock()
	key := strings.Join(tars, "\x00")
	if l, ok := models[key]; ok {
		return l, l != nil
	}
	cmd := exec.Command(oracle.Need(t, "python3"), append([]string{script(t, "tarmodel.py")}, tars...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil && cmd.ProcessState.ExitCode() != 3 {
		t.Fatalf("tarmodel.py: %v\n%s", err, stderr.Bytes())
	}
	if err == nil {
		models[key] = stdout.Bytes()
	} else {
		models[key] = nil
	}
	return models[key], err == nil
}

func script(t testing.TB, name string) string {
	return filepath.Join(oracle.Root(t), "test/e2e", name)
}

// edited applies fn to every record.
func (l listing) edited(t testing.TB, fn func(r map[string]any)) listing {
	t.Helper()
	var out bytes.Buffer
	for line := range bytes.Lines(l) {
		r := map[string]any{}
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		fn(r)
		if r["path"] == nil {
			continue
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(b, '\n'))
	}
	return out.Bytes()
}

// same compares two listings and reports the first differences.
func same(t testing.TB, what string, got, want listing) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	got, want = got.edited(t, func(map[string]any) {}), want.edited(t, func(map[string]any) {}) // one spelling of JSON
	g, w := slices.Collect(bytes.Lines(got)), slices.Collect(bytes.Lines(want))
	index := map[string]bool{}
	for _, l := range w {
		index[string(l)] = true
	}
	const most = 10
	differences := 0
	show := func(sign string, l []byte) {
		if differences++; differences <= most {
			t.Errorf("%s: %s %.500s", what, sign, bytes.TrimSpace(l))
		}
	}
	for _, l := range g {
		if !index[string(l)] {
			show("has  ", l)
		}
		delete(index, string(l))
	}
	for _, l := range w {
		if index[string(l)] {
			show("lacks", l)
		}
	}
	if differences > most {
		t.Errorf("%s: %d differing lines", what, differences)
	}
}
