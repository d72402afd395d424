package mount

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func lines(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.String() + "\n")
	}
	return b.String()
}

func TestPlan(t *testing.T) {
	one := []Layer{{Image: "/a.erofs"}}
	three := []Layer{{Image: "/a.erofs"}, {Image: "/b.erofs", Devices: []string{"/b.tar"}}, {Image: "/c.erofs"}}
	modern := Kernel{FileBacked: true, LowerdirPlus: true}
	for _, c := range []struct {
		name   string
		root   Root
		kernel Kernel
		want   string
	}{
		{"one layer, read-only: no overlay", Root{Layers: one, Target: "/t"}, modern,
			"mount -t erofs /a.erofs /t\n"},
		{"one layer without file-backed mounts", Root{Layers: one, Target: "/t"}, Kernel{},
			"mount -t erofs -o loop /a.erofs /t\n"},
		{"one layer, writable", Root{Layers: one, Target: "/t", Scratch: "/s", Upper: "/u", Work: "/w"}, modern,
			"mount -t tmpfs lamina /s\nmkdir /s/0\nmount -t erofs /a.erofs /s/0\nmount -t overlay 1 layers, upper \"/u\": /t\numount --lazy /s\n"},
		{"several layers", Root{Layers: three, Target: "/t", Scratch: "/s"}, modern,
			"mount -t tmpfs lamina /s\nmkdir /s/0\nmount -t erofs /a.erofs /s/0\n" +
				"mkdir /s/1\nmount -t erofs -o device=/b.tar /b.erofs /s/1\n" +
				"mkdir /s/2\nmount -t erofs /c.erofs /s/2\n" +
				"mount -t overlay 3 layers, upper \"\": /t\n" +
				"umount --lazy /s\n"},
	} {
		steps, err := Plan(c.root, c.kernel)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := lines(steps); got != c.want {
			t.Errorf("%s:\n%swant\n%s", c.name, got, c.want)
		}
	}
}

func TestOverlayHasTheHighestLayerFirst(t *testing.T) {
	r := Root{Layers: []Layer{{Image: "low"}, {Image: "high"}}, Target: "/t", Scratch: "/s"}
	steps, err := Plan(r, Kernel{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.Kind == MountOverlay && (!slices.Equal(s.Lowers, []string{"/s/1", "/s/0"}) || !s.Joined) {
			t.Fatalf("lower directories %q, joined %v", s.Lowers, s.Joined)
		}
	}
}

func TestPlanRefusesWhatCannotBe(t *testing.T) {
	layer := []Layer{{Image: "/a"}}
	for name, r := range map[string]Root{
		"no layers":              {Target: "/t"},
		"no target":              {Layers: layer},
		"upper without work":     {Layers: layer, Target: "/t", Upper: "/u", Scratch: "/s"},
		"overlay, no scratch":    {Layers: slices.Repeat(layer, 2), Target: "/t"},
		"more than the kernel's": {Layers: slices.Repeat(layer, MaxLayers+1), Target: "/t", Scratch: "/s"},
	} {
		if steps, err := Plan(r, Kernel{}); err == nil {
			t.Errorf("%s: planned %v", name, steps)
		}
	}
}

// fake is a system that keeps what exists and fails where it is told to.
type fake struct {
	exists map[string]bool
	fail   string // the step that fails
	stack  bool   // overlay on file-backed mounts fails
	loop   bool   // the last erofs mount was one by loop
	tries  int
}

var errFake = errors.New("told to fail")

func (f *fake) do(s string, what string) error {
	if s == f.fail {
		return errFake
	}
	if f.exists[what] {
		return fmt.Errorf("%s: exists", what)
	}
	f.exists[what] = true
	return nil
}

func (f *fake) gone(what string) error {
	delete(f.exists, what)
	return nil
}

func (f *fake) mkdir(dir string) error { return f.do("mkdir "+dir, "dir "+dir) }
func (f *fake) rmdir(dir string) error { return f.gone("dir " + dir) }
func (f *fake) erofs(s Step) error {
	f.loop = s.Loop
	return f.do(s.String(), "mount "+s.Target)
}
func (f *fake) overlay(s Step) error {
	f.tries++
	if f.stack && !f.loop {
		return errFake
	}
	return f.do("overlay", "mount "+s.Target)
}
func (f *fake) unmount(dir string) error {
	return f.gone("mount " + dir)
}
func (f *fake) scratch(dir string) error {
	return f.do("mount -t tmpfs lamina "+dir, "mount "+dir)
}
func (f *fake) detach(dir string) error {
	if f.fail == "umount --lazy "+dir && f.exists["mount "+dir] {
		f.fail = ""
		return errFake
	}
	for what := range f.exists {
		if path := strings.TrimPrefix(strings.TrimPrefix(what, "mount "), "dir "); path == dir || strings.HasPrefix(path, dir+"/") {
			delete(f.exists, what)
		}
	}
	return nil
}
func (f *fake) stacked(error) bool { return f.stack }

func twoLayers(t *testing.T) []Step {
	t.Helper()
	steps, err := Plan(Root{
		Layers: []Layer{{Image: "/a"}, {Image: "/b"}}, Target: "/t", Scratch: "/s", Upper: "/u", Work: "/w",
	}, Kernel{FileBacked: true, LowerdirPlus: true})
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func TestApplyLeavesOneMount(t *testing.T) {
	f := &fake{exists: map[string]bool{}}
	if err := apply(twoLayers(t), f); err != nil {
		t.Fatal(err)
	}
	if len(f.exists) != 1 || !f.exists["mount /t"] {
		t.Fatalf("left: %v", f.exists)
	}
}

func TestEveryFailureLeavesNothing(t *testing.T) {
	steps := twoLayers(t)
	for _, s := range steps {
		f := &fake{exists: map[string]bool{}, fail: s.String()}
		if s.Kind == MountOverlay {
			f.fail = "overlay"
		}
		if err := apply(steps, f); !errors.Is(err, errFake) {
			t.Errorf("%s: %v", s, err)
		}
		if len(f.exists) != 0 {
			t.Errorf("%s failed: left: %v", s, f.exists)
		}
	}
}

func TestOverlayStackedTooDeepIsTriedWithLoopDevices(t *testing.T) {
	f := &fake{exists: map[string]bool{}, stack: true}
	if err := apply(twoLayers(t), f); err != nil {
		t.Fatal(err)
	}
	if f.tries != 2 || len(f.exists) != 1 {
		t.Fatalf("%d tries, left: %v", f.tries, f.exists)
	}
	f = &fake{exists: map[string]bool{}, stack: true, fail: "overlay"}
	if err := apply(twoLayers(t), f); !errors.Is(err, errFake) || len(f.exists) != 0 {
		t.Fatalf("%v, left: %v", err, f.exists)
	}
}
