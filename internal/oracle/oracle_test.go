package oracle

import (
	"os"
	"path/filepath"
	"testing"
)

func TestVersionDecidesWhichErofsToolIsAJudge(t *testing.T) {
	for said, want := range map[string]bool{
		"mkfs.erofs (erofs-utils) 1.9.3":    true,
		"mkfs.erofs (erofs-utils) 1.10":     true,
		"fsck.erofs (erofs-utils) 2.0":      true,
		"mkfs.erofs (erofs-utils) 1.8.10-1": false,
		"mkfs.erofs 1.5":                    false,
		"":                                  false,
		"mkfs.erofs (erofs-utils) 1.9.3 by lamina 0.1": false,
	} {
		tool := filepath.Join(t.TempDir(), "mkfs.erofs")
		if err := os.WriteFile(tool, []byte("#!/bin/sh\necho '"+said+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := isRecent(tool); got != want {
			t.Errorf("%q: %v, want %v", said, got, want)
		}
	}
}

func TestImageMadeByMkfsErofsIsMountedBothWays(t *testing.T) {
	mkfs := Need(t, "mkfs.erofs")
	NeedRoot(t)
	src := t.TempDir()
	if err := os.WriteFile(filepath.Join(src, "hello"), []byte("world"), 0o644); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "x.erofs")
	Run(t, mkfs, "--quiet", image, src)
	for way, dir := range map[string]string{"file": MountImage(t, image), "loop": MountLoop(t, image)} {
		if got, err := os.ReadFile(filepath.Join(dir, "hello")); err != nil || string(got) != "world" {
			t.Errorf("%s: %q, %v", way, got, err)
		}
	}
}
