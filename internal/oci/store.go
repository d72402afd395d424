package oci

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// store is the named files of an image.
type store interface {
	// open returns a file and its size. The error matches fs.ErrNotExist if there is none.
	open(name string) (io.ReadCloser, int64, error)
	Close() error
}

func openStore(name string) (store, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		root, err := os.OpenRoot(name)
		if err != nil {
			return nil, err
		}
		return dirStore{root}, nil
	}
	return openArchive(name)
}

// dirStore is a directory; its symbolic links lead nowhere outside.
type dirStore struct{ root *os.Root }

func (d dirStore) Close() error { return d.root.Close() }

func (d dirStore) open(name string) (io.ReadCloser, int64, error) {
	// Lstat first: opening a fifo would block.
	st, err := d.root.Stat(name)
	if err != nil {
		return nil, 0, err
	}
	if !st.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: not a regular file", name)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	return f, st.Size(), nil
}

// archive is an uncompressed tar, indexed by name.
type archive struct {
	file    *os.File
	entries map[string]entry
	names   int // bytes of names and links
}

// entry is a file of an archive, or a link to another one.
type entry struct {
	off, size int64
	link      string
}

func openArchive(name string) (_ *archive, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	a := &archive{file: f, entries: make(map[string]entry)}
	if err := a.index(); err != nil {
		_ = f.Close()
		if errors.Is(err, ErrInvalid) { // names the archive
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return a, nil
}

// index reads all headers. archive/tar seeks over the content, and leaves the file at the first byte of
// it after each header.
func (a *archive) index() error {
	if what := compressed(a.file); what != "" {
		return fmt.Errorf("is compressed with %s: decompress the archive first: %w", what, errors.ErrUnsupported)
	}
	tr := tar.NewReader(a.file)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &Error{a.file.Name(), "archive", err.Error()}
		}
		if n >= maxEntries {
			return &Error{a.file.Name(), "archive", fmt.Sprintf("more than %d entries", maxEntries)}
		}
		if err := a.add(h); err != nil {
			return err
		}
	}
}

// add takes an entry in. One whose name or link is too long is left out: no manifest refers to it.
func (a *archive) add(h *tar.Header) error {
	if len(h.Name) > maxName || len(h.Linkname) > maxName {
		return nil
	}
	// A cleaned link has at most the length of both. What is replaced in the map counts too: it is a bound.
	if a.names += 2*len(h.Name) + len(h.Linkname); a.names > maxNames {
		return &Error{a.file.Name(), "archive", fmt.Sprintf("names of more than %d bytes", maxNames)}
	}
	// The header's strings are parts of what may be a megabyte of extended header.
	name := strings.Clone(clean(h.Name))
	switch h.Typeflag {
	case tar.TypeReg:
		if sparse(h) {
			return nil // cannot be read in place; no tool writes blobs so
		}
		off, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		a.entries[name] = entry{off: off, size: h.Size}
	case tar.TypeSymlink:
		a.entries[name] = entry{link: strings.Clone(clean(path.Join(path.Dir(name), h.Linkname)))}
	case tar.TypeLink:
		a.entries[name] = entry{link: strings.Clone(clean(h.Linkname))}
	}
	return nil
}

func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// clean makes one name of "./a", "/a" and "x/../a".
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func compressed(r io.ReaderAt) string {
	var b [6]byte
	n, _ := r.ReadAt(b[:], 0)
	for _, m := range []struct{ magic, name string }{
		{"\x1f\x8b", "gzip"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"\xfd7zXZ\x00", "xz"}, {"BZh", "bzip2"},
	} {
		if strings.HasPrefix(string(b[:n]), m.magic) {
			return m.name
		}
	}
	return ""
}

func (a *archive) Close() error { return a.file.Close() }

func (a *archive) open(name string) (io.ReadCloser, int64, error) {
	const maxLinks = 8
	name = clean(name)
	for range maxLinks {
		e, ok := a.entries[name]
		if !ok {
			return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		if e.link == "" {
			return io.NopCloser(io.NewSectionReader(a.file, e.off, e.size)), e.size, nil
		}
		name = e.link
	}
	return nil, 0, &fs.PathError{Op: "open", Path: name, Err: errors.New("too many links")}
}
