package bundle

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// rootfs makes a root with a shell behind absolute links and a few accounts.
func rootfs(t *testing.T) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"etc/alternatives", "usr/bin", "work"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]struct {
		text string
		mode fs.FileMode
	}{
		"etc/passwd":     {"root:x:0:0:root:/root:/bin/sh\n\nbroken\nweb:x:33:34:web:/var/www:/bin/sh\n", 0o644},
		"etc/group":      {"root:x:0:\nwww:x:34:\nlog:x:4:web,root\nssl:x:5:x,web\n", 0o644},
		"usr/bin/dash":   {"", 0o755},
		"usr/bin/readme": {"", 0o644},
		"work/tool":      {"", 0o755},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(f.text), f.mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"bin": "usr/bin", "usr/bin/sh": "/etc/alternatives/sh", "etc/alternatives/sh": "../../bin/dash",
		"usr/bin/loop": "loop", "usr/bin/out": "/../../../etc/passwd",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func TestUserIsLookedUpInTheImage(t *testing.T) {
	root := rootfs(t)
	for spec, want := range map[string]account{
		"":         {0, 0, []uint32{4}, "/root"},
		"root":     {0, 0, []uint32{4}, "/root"},
		"web":      {33, 34, []uint32{4, 5}, "/var/www"},
		"33":       {33, 34, []uint32{4, 5}, "/var/www"},
		"web:log":  {33, 4, nil, "/var/www"},
		"web:77":   {33, 77, nil, "/var/www"},
		"1000":     {1000, 0, nil, "/"},
		"1000:www": {1000, 34, nil, "/"},
	} {
		got, err := lookup(root, spec)
		if err != nil {
			t.Errorf("%q: %v", spec, err)
		}
		if got.uid != want.uid || got.gid != want.gid || got.home != want.home || !slices.Equal(got.groups, want.groups) {
			t.Errorf("%q: %+v, want %+v", spec, got, want)
		}
	}
	for _, spec := range []string{"nobody", "web:nobody", "-1", "4294967295"} {
		if got, err := lookup(root, spec); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %+v, %v", spec, got, err)
		}
	}
}

func TestCommandIsFoundAsExecveWould(t *testing.T) {
	root := rootfs(t)
	for command, want := range map[string]error{
		"sh": nil, "/bin/sh": nil, "./tool": nil, "/usr/bin/../../work/tool": nil,
		"nope": fs.ErrNotExist, "/bin/nope": fs.ErrNotExist, "tool": fs.ErrNotExist,
		"readme": fs.ErrPermission, "/usr/bin": fs.ErrPermission, "/bin/out": fs.ErrPermission,
	} {
		if err := executable(root, command, "/work", "/nowhere:/bin"); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%q: %v, want %v", command, err, want)
		}
	}
	if err := executable(root, "loop", "/", "/bin"); err == nil {
		t.Error("a link to itself was executable")
	}
}

func TestSpecJoinsImageAndUser(t *testing.T) {
	root := rootfs(t)
	image := v1.ImageConfig{
		Env: []string{"A=image", "B=image", "broken"}, Entrypoint: []string{"/bin/sh", "-c"}, Cmd: []string{"default"},
		WorkingDir: "/work", User: "web",
	}
	s, err := Spec(image, root, Options{ID: "x", Args: []string{"echo"}, Env: []string{"B=user", "C=user"}, Hostname: "box"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Process.Args, " "); got != "/bin/sh -c echo" {
		t.Errorf("arguments %q", got)
	}
	want := []string{"A=image", "B=user", "PATH=" + defaultPath, "HOSTNAME=box", "HOME=/var/www", "C=user"}
	if !slices.Equal(s.Process.Env, want) {
		t.Errorf("environment %q, want %q", s.Process.Env, want)
	}
	if s.Process.User.UID != 33 || s.Process.Cwd != "/work" || s.Linux.CgroupsPath != "/lamina-x" {
		t.Errorf("user %v, directory %s, cgroup %s", s.Process.User, s.Process.Cwd, s.Linux.CgroupsPath)
	}
	s, err = Spec(image, root, Options{Entrypoint: &[]string{"./tool"}})
	if err != nil || strings.Join(s.Process.Args, " ") != "./tool" {
		t.Errorf("another entrypoint: %v, %v", s, err)
	}
}

func TestSpecRefusesWhatCannotStart(t *testing.T) {
	root := rootfs(t)
	if _, err := Spec(v1.ImageConfig{}, root, Options{}); err == nil {
		t.Error("no command was accepted")
	}
	var cmd *CommandError
	if _, err := Spec(v1.ImageConfig{Cmd: []string{"nope"}}, root, Options{}); !errors.As(err, &cmd) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing command: %v", err)
	}
}

func TestParseVolume(t *testing.T) {
	dir := t.TempDir()
	for spec, want := range map[string]Volume{
		dir + ":/data":     {dir, "/data", false},
		dir + ":/data/:ro": {dir, "/data", true},
		dir + ":/data:rw":  {dir, "/data", false},
	} {
		if got, err := ParseVolume(spec); err != nil || got != want {
			t.Errorf("%q: %+v, %v", spec, got, err)
		}
	}
	for _, spec := range []string{"", "/a", dir + ":data", dir + ":/a:b", ":/a", dir + "/missing:/a"} {
		if got, err := ParseVolume(spec); err == nil {
			t.Errorf("%q: %+v", spec, got)
		}
	}
}
