//go:build linux

package containerd

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/test/containerd/harness"
)

// `lamina pull` alone: what a registry sent is on the disk under its name before the transaction that says so, and so are
// the blobs that were made of it.
func TestPullAloneSyncsContentAndBlobsBeforeTheRecords(t *testing.T) {
	s := newSetup(t)
	tool := oracle.Need(t, "strace")
	img := small(t, 4)
	ref := s.push("small", img)
	s.lamina = s.bench.NewLamina(harness.LaminaConfig{})
	if err := s.lamina.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	out := s.bench.Path("strace")
	must(harness.Run(s.ctx, nil, tool, "-f", "-y", "-x", "-s", "65536", "-o", out,
		"-e", "trace=fsync,fdatasync,rename,renameat,renameat2,linkat,pwrite64",
		s.bench.Tools.Lamina, "pull", "--config", s.lamina.File, "--progress=none", ref))(t)
	calls := parseCalls(t, out)
	root := s.lamina.Config.Root
	content := harness.Files(filepath.Join(root, "content", "blobs"), nil)
	if len(content) < len(img.Layers)+2 {
		t.Fatalf("%d files of content of %d layers", len(content), len(img.Layers))
	}
	for _, c := range content {
		if err := orderedContent(calls, filepath.Join(root, "content", "blobs", c)); err != "" {
			t.Errorf("%s: %s", c, err)
		}
	}
	for _, b := range blobFiles(s) {
		if err := ordered(calls, root, filepath.Join("blobs", b)); err != "" {
			t.Errorf("%s: %s", b, err)
		}
	}
	s.lamina = nil // it never ran
}

// orderedContent looks for the steps of a commit to the content store. Its rename is part of the transaction, so the
// next write of the records is the one that names it.
func orderedContent(calls []string, name string) string {
	at, from := -1, ""
	for i, c := range calls {
		if m := renamed.FindStringSubmatch(c); m != nil && m[2] == name {
			at, from = i, m[1]
		}
	}
	if at < 0 {
		return "nothing was renamed to it"
	}
	bytes := false
	for _, c := range calls[:at] {
		m := synced.FindStringSubmatch(c)
		bytes = bytes || m != nil && m[1] == from
	}
	if !bytes {
		return "its bytes were not synced before it got its name"
	}
	for _, c := range calls[at:] {
		if m := synced.FindStringSubmatch(c); m != nil && m[1] == filepath.Dir(name) {
			return ""
		}
		if m := written.FindStringSubmatch(c); m != nil && strings.HasSuffix(m[1], "/meta.db") {
			return "the records named it before its directory was synced"
		}
	}
	return "its directory was not synced"
}
