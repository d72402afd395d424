package cli

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/laminafs/lamina/internal/oracle"
)

// TestMain makes the test binary stand in for the program under all its names.
func TestMain(m *testing.M) {
	run := func() { os.Exit(Main(os.Args)) }
	testscript.Main(m, map[string]func(){"lamina": run, "mkfs.erofs": run, "fsck.erofs": run, "dump.erofs": run})
}

// unmountBelow takes away the mounts below a directory, on systems that have them.
var unmountBelow = func(string) {}

func runScripts(t *testing.T, dir string, vars map[string]string) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", dir),
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0") // under the race detector every program would sleep a second
			for k, v := range vars {
				e.Setenv(k, v)
			}
			e.Defer(func() { unmountBelow(e.WorkDir) })
			return nil
		},
		Cmds: scriptCommands(),
	})
}

// scriptCommands are what the scripts have beside the commands of testscript.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){
		"mktar": mktar, "mkoci": mkoci, "compress": compress, "exits": exits, "errline": errline, "digest": wantDigest,
		"truncate": truncate, "multiple": multiple, "poke": poke, "same": same, "leftovers": leftovers, "kept": kept,
	}
	maps.Copy(all, moreCommands)
	return all
}

// moreCommands are those of some systems only.
var moreCommands = map[string]func(*testscript.TestScript, bool, []string){}

func TestScripts(t *testing.T) { runScripts(t, "script", nil) }

// TestRootScripts needs the rights to mount and a runtime.
func TestRootScripts(t *testing.T) {
	oracle.NeedRoot(t)
	oracle.Need(t, "runc")
	runScripts(t, "root", map[string]string{"BUSYBOX": staticProgram(t)})
}

// unified is where distributions with both versions of cgroups mount the second.
const unified = "/sys/fs/cgroup/unified"

// TestRuntimeScripts runs containers by the other runtime. crun does not start where both versions of cgroups have
// controllers: there the test runs in a mount namespace that has the first version only.
func TestRuntimeScripts(t *testing.T) {
	oracle.NeedRoot(t)
	oracle.Need(t, "crun")
	if b, _ := os.ReadFile(unified + "/cgroup.controllers"); len(bytes.TrimSpace(b)) > 0 {
		cmd := exec.Command("unshare", "-m", "sh", "-c", "umount "+unified+" && exec \"$0\" -test.run '^TestRuntimeScripts$'", os.Args[0])
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	runScripts(t, "crun", map[string]string{"BUSYBOX": staticProgram(t)})
}

// TestForeignScripts compares with the programs of erofs-utils, which are in $UTILS.
func TestForeignScripts(t *testing.T) {
	dir := filepath.Dir(oracle.Need(t, "dump.erofs"))
	runScripts(t, "foreign", map[string]string{"UTILS": dir})
}

// staticProgram builds the program that the images of the tests hold: testdata/box is a few commands
// in one static binary.
func staticProgram(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "box")
	cmd := exec.Command("go", "build", "-o", out, "./testdata/box")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return out
}

func need(ts *testscript.TestScript, ok bool, usage string) {
	if !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

// exits runs a command and wants an exit code: exits 3 lamina check image.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) > 1, "exits CODE COMMAND ARGS...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// errline wants one line on stderr with the text in it, and nothing on stdout.
func errline(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 1, "errline TEXT")
	got := ts.ReadFile("stderr")
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, args[0]) {
		ts.Fatalf("stderr is not one line with %q:\n%s", args[0], got)
	}
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("stdout: %s", out)
	}
}

// wantDigest wants a text on stdout of the last command to have the SHA-256 of a file.
func wantDigest(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, len(args) == 1, "digest FILE")
	sum := sha256.Sum256([]byte(ts.ReadFile(args[0])))
	if strings.Contains(ts.ReadFile("stdout"), "sha256:"+hex.EncodeToString(sum[:])) == neg {
		ts.Fatalf("digest of %s is sha256:%x", args[0], sum)
	}
}

// same wants two files to have the same bytes.
func same(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, len(args) == 2, "same A B")
	if (ts.ReadFile(args[0]) == ts.ReadFile(args[1])) == neg {
		ts.Fatalf("%s and %s: same is %v", args[0], args[1], neg)
	}
}

// truncate cuts bytes off the end of a file.
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2, "truncate FILE BYTES")
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	name := ts.MkAbs(args[0])
	st, err := os.Stat(name)
	ts.Check(err)
	ts.Check(os.Truncate(name, st.Size()-n))
}

// multiple wants the size of a file to be a multiple of a number: multiple FILE N.
func multiple(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, len(args) == 2, "multiple FILE N")
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	st, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if (st.Size() > 0 && st.Size()%n == 0) == neg {
		ts.Fatalf("%s has %d bytes", args[0], st.Size())
	}
}

// poke writes a byte: poke FILE OFFSET VALUE.
func poke(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 3, "poke FILE OFFSET VALUE")
	off, err := strconv.ParseInt(args[1], 0, 64)
	ts.Check(err)
	v, err := strconv.ParseUint(args[2], 0, 8)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	_, err = f.WriteAt([]byte{byte(v)}, off)
	ts.Check(errors.Join(err, f.Close()))
}

// mktar archives a directory as layers are archived: root owns all, times are fixed, entries sorted.
func mktar(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2, "mktar OUT DIR")
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	dir := ts.MkAbs(args[1])
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		return tarEntry(w, path, filepath.ToSlash(rel), info)
	}))
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), buf.Bytes(), 0o644))
}

func tarEntry(w *tar.Writer, path, name string, info fs.FileInfo) error {
	var target string
	if info.Mode()&fs.ModeSymlink != 0 {
		target, _ = os.Readlink(path)
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = name, 0, 0, "", ""
	if info.IsDir() {
		h.Name += "/"
	}
	h.ModTime, h.AccessTime, h.ChangeTime = time.Unix(1700000000, 0), time.Time{}, time.Time{}
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	b, err := os.ReadFile(path)
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}

// compress writes FILE.gz or FILE.zst.
func compress(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2, "compress gz|zst FILE")
	var buf bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&buf)
	if args[0] == "zst" {
		var err error
		w, err = zstd.NewWriter(&buf)
		ts.Check(err)
	}
	_, err := io.WriteString(w, ts.ReadFile(args[1]))
	ts.Check(errors.Join(err, w.Close()))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]+"."+args[0]), buf.Bytes(), 0o644))
}

// mkoci writes an image archive: mkoci OUT CONFIG LAYER... . CONFIG is a file with the JSON of the image's
// config; layers are tars or .tar.gz. An OUT that ends in .docker.tar has the form of docker save.
func mkoci(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) > 2, "mkoci OUT CONFIG LAYER...")
	var config json.RawMessage = []byte(ts.ReadFile(args[1]))
	blobs := map[string][]byte{}
	add := func(b []byte) (string, int) {
		d := fmt.Sprintf("%x", sha256.Sum256(b))
		blobs["blobs/sha256/"+d] = b
		return "sha256:" + d, len(b)
	}
	var layers []map[string]any
	var diffIDs, names []string
	for _, l := range args[2:] {
		b := []byte(ts.ReadFile(l))
		d, n := add(b)
		typ := "application/vnd.oci.image.layer.v1.tar"
		if strings.HasSuffix(l, ".gz") {
			typ += "+gzip"
			b = []byte(ts.ReadFile(strings.TrimSuffix(l, ".gz")))
		}
		layers = append(layers, map[string]any{"mediaType": typ, "digest": d, "size": n})
		diffIDs = append(diffIDs, fmt.Sprintf("sha256:%x", sha256.Sum256(b)))
		names = append(names, "blobs/sha256/"+d[7:])
	}
	doc := func(v any) []byte {
		b, err := json.Marshal(v)
		ts.Check(err)
		return b
	}
	arch := ts.Getenv("ARCH")
	if arch == "" {
		arch = runtime.GOARCH
	}
	cd, cn := add(doc(map[string]any{"os": "linux", "architecture": arch, "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs}}))
	if strings.HasSuffix(args[0], ".docker.tar") {
		blobs["manifest.json"] = doc([]any{map[string]any{
			"Config": "blobs/sha256/" + cd[7:], "RepoTags": []string{"test:latest"}, "Layers": names}})
	} else {
		md, mn := add(doc(map[string]any{"schemaVersion": 2, "layers": layers,
			"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": cd, "size": cn}}))
		blobs["index.json"] = doc(map[string]any{"schemaVersion": 2, "manifests": []any{map[string]any{
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": md, "size": mn,
			"annotations": map[string]string{"org.opencontainers.image.ref.name": "v1"}}}})
		blobs["oci-layout"] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	}
	writeBlobs(ts, args[0], blobs)
}

func writeBlobs(ts *testscript.TestScript, name string, blobs map[string][]byte) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for n, b := range blobs {
		ts.Check(w.WriteHeader(&tar.Header{Name: n, Size: int64(len(b)), Mode: 0o644}))
		_, err := w.Write(b)
		ts.Check(err)
	}
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(name), buf.Bytes(), 0o644))
}

// leftovers wants nothing left of the containers of a state directory: no files, mounts, loop devices,
// cgroups.
func leftovers(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 1, "leftovers STATE")
	state := ts.MkAbs(args[0])
	list, err := os.ReadDir(filepath.Join(state, "containers"))
	ts.Check(err)
	if len(list) != 0 {
		ts.Fatalf("left in containers: %v", list)
	}
	for _, table := range []string{"/proc/self/mountinfo", "/proc/mounts"} {
		b, err := os.ReadFile(table)
		ts.Check(err)
		if strings.Contains(string(b), state) {
			ts.Fatalf("mounts are left:\n%s", b)
		}
	}
	backing, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, f := range backing {
		if b, _ := os.ReadFile(f); strings.Contains(string(b), state) {
			ts.Fatalf("%s: %s", f, b)
		}
	}
	// Containers of others come and go meanwhile.
	left := emptyCgroups()
	for end := time.Now().Add(10 * time.Second); len(left) > 0 && time.Now().Before(end); left = emptyCgroups() {
		time.Sleep(50 * time.Millisecond)
	}
	if len(left) > 0 {
		ts.Fatalf("cgroups are left: %v", left)
	}
}

// emptyCgroups are those of containers that have no process.
func emptyCgroups() (left []string) {
	for _, pattern := range []string{"/sys/fs/cgroup/lamina-*", "/sys/fs/cgroup/*/lamina-*"} {
		all, _ := filepath.Glob(pattern)
		for _, dir := range all {
			if b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")); err == nil && len(b) == 0 {
				left = append(left, dir)
			}
		}
	}
	return left
}

// kept wants a file in what one container has written.
func kept(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, !neg && len(args) == 2, "kept STATE FILE")
	found, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "snapshots", "*", "fs", args[1]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("found %v", found)
	}
}
