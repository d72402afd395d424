package dirtree

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/tree"
)

const nobody = 65534

// asNobody runs a test of this program as a user without rights, with a directory of his as $DIRTREE_USER.
func asNobody(t *testing.T, test string) (dir, out string) {
	t.Helper()
	oracle.NeedRoot(t)
	base := t.TempDir()
	dir = filepath.Join(base, "home")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.Chown(dir, nobody, nobody))
	for p := base; p != "/"; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		must(t, err)
		must(t, os.Chmod(p, info.Mode()|0o111))
	}
	exe, err := os.Executable()
	must(t, err)
	b, err := os.ReadFile(exe)
	must(t, err)
	copied := filepath.Join(base, "test")
	must(t, os.WriteFile(copied, b, 0o755))
	cmd := exec.Command(copied, "-test.run=^"+test+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, []string{"DIRTREE_USER=" + dir, "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	all, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, all)
	}
	return dir, string(all)
}

// TestHelperExtractsAsUser is what TestExtractWithoutRights runs.
func TestHelperExtractsAsUser(t *testing.T) {
	dir := os.Getenv("DIRTREE_USER")
	if dir == "" {
		return
	}
	must(t, Extract(everything(), filepath.Join(dir, "x"), ExtractOptions{Warn: func(w Warning) { fmt.Println("WARN", w.Path, w.Text) }}))
}

func TestExtractWithoutRights(t *testing.T) {
	dir, out := asNobody(t, "TestHelperExtractsAsUser")
	var warned []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 3 && f[0] == "WARN" {
			what := f[2]
			if f[2] == "extended" {
				what = f[4]
			}
			warned = append(warned, what)
		}
	}
	slices.Sort(warned)
	// the two devices, once for the owners and for each attribute
	want := []string{`"security.capability"`, `"trusted.binary"`, `"trusted.on-a-link"`, `"trusted.overlay.opaque"`, "device,", "device,", "owner"}
	if !slices.Equal(warned, want) {
		t.Errorf("warned of %q, want %q\n%s", warned, want, out)
	}
	got, tr := read(t, filepath.Join(dir, "x")), everything()
	_ = tr.Walk(func(path string, n *tree.Node) error {
		g := got.Lookup(path)
		device := (n.Type() == tree.TypeChar || n.Type() == tree.TypeBlock) && !n.IsWhiteout()
		if (g == nil) != device {
			t.Errorf("%s: %+v", path, g)
		}
		if g == nil {
			return nil
		}
		mode := n.Mode
		if !n.IsDir() {
			mode &^= 0o6000
		}
		if g.IsDir() && n.Mode&0o2000 != 0 {
			mode = g.Mode // the kernel decides about setgid
		}
		if g.Mode != mode || g.UID != nobody || g.Mtime != n.Mtime || g.Nsec != n.Nsec || g.Size != n.Size || g.Target != n.Target {
			t.Errorf("%q: %+v, want mode %o and %+v", path, g, mode, n)
		}
		return nil
	})
	if got.Lookup("a") != got.Lookup("z/suid") || got.Lookup("fifo") != got.Lookup("dev/fifo") {
		t.Error("hard links are lost")
	}
}

func TestExtractOptionsForOwnersModesAndWhiteouts(t *testing.T) {
	oracle.NeedRoot(t)
	dir := t.TempDir()
	tr := everything()
	must(t, Extract(tr, dir, ExtractOptions{NoOwners: true, NoWhiteouts: true, Mask: 0o027,
		Warn: func(w Warning) { t.Errorf("warns: %v", w) }}))
	got := read(t, dir)
	_ = got.Walk(func(path string, n *tree.Node) error {
		want := tr.Lookup(path)
		mode := want.Mode &^ 0o027
		if !n.IsDir() && (want.UID != 0 || want.GID != 0) {
			mode &^= 0o6000
		}
		if n.Type() == tree.TypeSymlink {
			mode = want.Mode
		}
		if n.UID != 0 || n.GID != 0 || n.Mode != mode {
			t.Errorf("%q: %o %d:%d, want %o", path, n.Mode, n.UID, n.GID, mode)
		}
		return nil
	})
	if got.Lookup("layer/gone") != nil || got.Lookup("layer/opaque").IsOpaque() {
		t.Error("marks of a layer are left")
	}
}

// An owner of -1 means "leave it" to chown: a file with set-id bits would become root's.
func TestExtractDropsSetIDBitsOfImpossibleOwners(t *testing.T) {
	oracle.NeedRoot(t)
	n := text("x")
	n.Mode, n.UID = tree.TypeRegular|0o4755, 1<<32-1
	dir, warned := t.TempDir(), 0
	must(t, Extract(plant(map[string]*tree.Node{"f": n}), dir, ExtractOptions{Warn: func(Warning) { warned++ }}))
	if g := read(t, dir).Lookup("f"); g.Mode != tree.TypeRegular|0o755 || warned != 1 {
		t.Errorf("mode %o, %d warnings", g.Mode, warned)
	}
}

func TestExtractSurvivesTimesOutOfRange(t *testing.T) {
	n := text("x")
	n.Nsec = 1<<30 - 1 // UTIME_NOW
	dir, warned := t.TempDir(), 0
	must(t, Extract(plant(map[string]*tree.Node{"f": n}), dir, ExtractOptions{NoOwners: true, Warn: func(Warning) { warned++ }}))
	if warned != 1 {
		t.Errorf("%d warnings", warned)
	}
}
