//go:build linux

package containerd

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/test/containerd/harness"
)

// A blob is on the disk under its name before the database says so: its bytes are synced, then it is renamed, then its
// directory is synced, then the transaction is written and synced. strace is the witness.
func TestBlobsAreSyncedBeforeTheDatabaseNamesThem(t *testing.T) {
	s := startOurs(t, current)
	trace := s.strace(s.lamina.Pid(), "fsync,fdatasync,syncfs,rename,renameat,renameat2,linkat,pwrite64,sync_file_range")
	img := small(t, 4)
	ref := s.push("small", img)
	s.pull(ref)
	s.background(ref, "first", "echo new >/n/new; rm /n/001")
	s.commit(ref, "first", strings.Replace(ref, ":v1", ":v2", 1))
	calls := trace()
	blobs := blobFiles(s)
	if len(blobs) < len(img.Layers) {
		t.Fatalf("%d blobs of %d layers", len(blobs), len(img.Layers))
	}
	for _, b := range blobs {
		if err := ordered(calls, s.lamina.Config.Root, filepath.Join("blobs", b)); err != "" {
			t.Errorf("%s: %s", b, err)
		}
	}
	if t.Failed() {
		for _, c := range calls[max(0, len(calls)-60):] {
			t.Logf("%.300s", c)
		}
	}
	s.remove("first")
	s.removeAllImages()
}

var (
	renamed = regexp.MustCompile(`(?:rename|renameat|renameat2|linkat)\((?:[^"]*)"([^"]+)"(?:[^"]*)"([^"]+)"`)
	synced  = regexp.MustCompile(`(?:fsync|fdatasync)\(\d+<([^>]+)>`)
	written = regexp.MustCompile(`pwrite64\(\d+<([^>]+)>`)
)

// ordered looks for the four steps of publishing the blob rel below root, the last of which is a write of the database.
func ordered(calls []string, root, rel string) string {
	name := filepath.Join(root, rel)
	at := -1
	var from string
	for i, c := range calls {
		if m := renamed.FindStringSubmatch(c); m != nil && strings.HasSuffix(m[2], filepath.Base(rel)) {
			at, from = i, m[1]
		}
	}
	if at < 0 {
		return "nothing was renamed or linked to it"
	}
	staged := filepath.Join(filepath.Base(filepath.Dir(from)), filepath.Base(from))
	isSync := func(c, suffix string) bool {
		m := synced.FindStringSubmatch(c)
		return m != nil && strings.HasSuffix(m[1], suffix)
	}
	file := false
	for _, c := range calls[:at] {
		file = file || isSync(c, staged)
	}
	if !file {
		return "its bytes were not synced before it got its name; it came from " + from
	}
	raw := escaped(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)))
	dir := false
	for i, c := range calls {
		dir = dir || i > at && isSync(c, filepath.Dir(name))
		if m := written.FindStringSubmatch(c); m != nil && strings.HasSuffix(m[1], "/metadata.db") && strings.Contains(c, raw) {
			if !dir {
				return "the database named it before its directory was synced"
			}
			return ""
		}
	}
	return "the database never named it"
}

// escaped is how strace prints the bytes that hex digits stand for.
func escaped(hex string) string {
	var b strings.Builder
	for i := 0; i+1 < len(hex); i += 2 {
		b.WriteString(`\x` + hex[i:i+2])
	}
	return b.String()
}

// strace attaches to a process; the returned function detaches and gives the calls: writes in the order in which they began,
// the rest in the order in which they returned.
func (s *setup) strace(pid int, calls string) func() []string {
	s.Helper()
	tool := oracle.Need(s, "strace")
	out := s.bench.Path("strace")
	p, err := harness.Start("strace", s.bench.Path("strace.log"), nil, tool, "-f", "-y", "-x", "-s", "65536", "-e", "trace="+calls, "-o", out, "-p", strconv.Itoa(pid))
	if err != nil {
		s.Fatal(err)
	}
	s.eventually("strace is attached", func() error {
		if b, err := os.ReadFile(p.Log); err != nil || !strings.Contains(string(b), "attached") {
			return os.ErrNotExist
		}
		return nil
	})
	return func() []string {
		s.Helper()
		time.Sleep(200 * time.Millisecond) // strace writes behind
		_ = syscall.Kill(p.Pid(), syscall.SIGINT)
		if err := p.Stop(); err != nil {
			s.Fatal(err)
		}
		return parseCalls(s, out)
	}
}

// parseCalls joins calls that were interrupted by another thread's.
func parseCalls(t testing.TB, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var calls []string
	begun := map[string]string{}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		pid, c, _ := strings.Cut(sc.Text(), " ")
		c = strings.TrimSpace(c)
		if head, ok := strings.CutSuffix(c, " <unfinished ...>"); ok {
			begun[pid] = head
			if strings.HasPrefix(head, "pwrite64") {
				calls = append(calls, head)
			}
			continue
		}
		if strings.HasPrefix(c, "<... ") {
			_, rest, _ := strings.Cut(c, "resumed>")
			if c = begun[pid] + rest; strings.HasPrefix(c, "pwrite64") {
				continue
			}
		}
		calls = append(calls, c)
	}
	if len(calls) == 0 {
		t.Fatal("strace saw no call")
	}
	return calls
}
