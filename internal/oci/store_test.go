package oci

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// archiveOf writes a tar of the headers, without content.
func archiveOf(t *testing.T, n int, header func(i int) *tar.Header) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	buf := bufio.NewWriter(f)
	w := tar.NewWriter(buf)
	for i := range n {
		if err := w.WriteHeader(header(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), buf.Flush()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLongNamesAreNotKept(t *testing.T) {
	long := strings.Repeat("n", 500_000)
	path := archiveOf(t, 60, func(i int) *tar.Header {
		switch name := fmt.Sprintf("%d", i); i % 3 {
		case 0:
			return &tar.Header{Name: name + long}
		case 1:
			return &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: long}
		default:
			return &tar.Header{Name: name, PAXRecords: map[string]string{"LAMINA.x": long}}
		}
	})
	a, err := openArchive(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	if len(a.entries) != 20 || a.names > 1000 {
		t.Errorf("%d entries, %d bytes of names", len(a.entries), a.names)
	}
	r, _, err := a.open("2")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || len(b) != 0 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestNamesAreBoundedTogether(t *testing.T) {
	pad := strings.Repeat("n", maxName-10)
	path := archiveOf(t, maxNames/maxName, func(i int) *tar.Header {
		return &tar.Header{Name: fmt.Sprintf("%08d", i) + pad}
	})
	if a, err := openArchive(path); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "names of more than") {
		if a != nil {
			_ = a.Close()
		}
		t.Errorf("no bound: %v", err)
	}
}
