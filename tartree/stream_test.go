package tartree

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// everything is an archive with every kind of header.
func everything() string {
	return global("comment", "x") + dir("d") + file("d/small", "small") + file("d/big", strings.Repeat("0123456789abcdef", 100)) + long('L', "d/"+strings.Repeat("l", 150)) + file("?", "long", gnu) +
		pax("path", strings.Repeat("d/", 30)+"p", "SCHILY.xattr.user.a", strings.Repeat("v", 1000), "mtime", "1.5") + file("?", "pax") + link("h", "d/small") + sym("s", "d") +
		file("s/through", "x") + file(".wh.gone", "") + sparseGNU("d/sg", 10000, "0123456789", 0, 2, 100, 2, 200, 2, 300, 2, 400, 1, 500, 1) +
		sparse10("sp", 1<<20, "0123456789", 2, 5000, 5, 1<<20-5, 5) + hdr("c", '3', device(1, 3)) + hdr("p", '6') + end
}

func TestResultDoesNotDependOnWindowsNorOnTheSpool(t *testing.T) {
	archive := everything()
	want := dump(t, read(t, archive, Options{}))
	for how := range 3 {
		for _, n := range []int{1, 3, 511, 512, 513, 1000, 4096, 1 << 20} {
			tr, err := Read(&windows{[]byte(archive), n}, spool{how}, Options{})
			if err != nil {
				t.Fatalf("windows of %d: %v", n, err)
			}
			if got := dump(t, tr); got != want {
				t.Errorf("windows of %d, spool %d: got\n%s", n, how, got)
			}
		}
		for name, r := range map[string]io.Reader{
			"one byte": iotest.OneByteReader(strings.NewReader(archive)), "data with EOF": iotest.DataErrReader(strings.NewReader(archive)), "half": iotest.HalfReader(strings.NewReader(archive)),
		} {
			tr, err := Read(r, spool{how}, Options{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := dump(t, tr); got != want {
				t.Errorf("%s, spool %d: got\n%s", name, how, got)
			}
		}
	}
}

func TestWhatTheSpoolLeavesUnreadIsSkipped(t *testing.T) {
	archive := everything()
	var st Stats
	tr, err := Read(&windows{[]byte(archive), 700}, spool{3}, Options{Stats: &st})
	if err != nil {
		t.Fatal(err)
	}
	if tr.Lookup("p") == nil || st.End != int64(len(archive)) {
		t.Errorf("stats %+v", st)
	}
}

// Every truncation is an error that says where the archive ends, or ends between two entries.
func TestEveryTruncation(t *testing.T) {
	archive := everything()
	for n := range archive {
		var st Stats
		tr, err := Read(&windows{[]byte(archive[:n]), 600}, spool{n % 3}, Options{Stats: &st})
		if err == nil && tr == nil || st.End > int64(n) {
			t.Fatalf("cut at %d: no tree, or parsed up to %d", n, st.End)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Off > int64(n) || !errors.Is(err, ErrArchive)) {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if err == nil && n%blockSize != 0 && n > len("x") && archive[n-1] != 0 && archive[n] != 0 {
			t.Fatalf("cut at %d, inside data: no error", n)
		}
	}
}

func TestStalledSources(t *testing.T) {
	_, err := Read(stalled{}, spool{}, Options{})
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type stalled struct{}

func (stalled) Read([]byte) (int, error) { return 0, nil }
