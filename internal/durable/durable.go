// Package durable creates files that are either there whole or not there at all, and that survive a
// crash once Commit has returned nil.
//
// The protocol, for a target that is a regular file or does not exist:
//
//	Create   a file without a name in the directory of the target (O_TMPFILE; a named
//	         temporary file where the file system has none)
//	Commit   give it a temporary name, fsync it, rename it over the target, fsync the directory
//	Close    without Commit: the file is gone, the target is as it was
//
// A process that is killed before Commit leaves nothing (O_TMPFILE) or one file whose name starts
// with TempPrefix. Temp makes a file that never gets a name. A target that cannot be renamed over (pipe, terminal, block device) is copied to
// by Commit instead; that copy is neither atomic nor undone.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// TempPrefix starts the name of every temporary file made here.
const TempPrefix = ".lamina-"

// filePerm is what a new file gets, less the umask.
const filePerm = 0o666

// File is an output that becomes visible at its target path with Commit. The embedded os.File is
// the unnamed file: read and write it freely, but finish it with Commit or Close of this type only.
type File struct {
	*os.File
	path   string // the target, symbolic links resolved; "" if there is none
	dir    string // where the file lies until then
	tmp    string // name of the temporary file, "" while it has none
	stream bool   // the target is copied to, not replaced

	mu   sync.Mutex // guards done, so that Close may come from a signal handler's goroutine
	done bool
}

// Create prepares the replacement of path. The directory must exist. If path is a symbolic link,
// what it points to is replaced. Directories and sockets are refused. Nothing is visible at path
// before Commit; the caller must end with Commit or Close.
func Create(path string) (*File, error) {
	target, stream, err := resolve(path)
	if err != nil {
		return nil, err
	}
	f := &File{path: target, stream: stream}
	dir := filepath.Dir(target)
	if stream {
		dir = SpoolDir()
	}
	f.dir = dir
	if f.File, f.tmp, err = openTemp(dir, path); err != nil {
		return nil, fmt.Errorf("durable: %s: %w", path, err)
	}
	if err := f.inheritMode(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("durable: %s: %w", path, err)
	}
	return f, nil
}

// inheritMode gives the file the permissions of the file that it replaces.
func (f *File) inheritMode() error {
	if f.stream {
		return nil
	}
	st, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Chmod(st.Mode().Perm())
}

// Path returns the target.
func (f *File) Path() string { return f.path }

// Dir returns the directory that the file lies in until Commit: the target's, or SpoolDir. It is the
// place for whatever else is as large as the file.
func (f *File) Dir() string { return f.dir }

// Commit makes the file visible and durable. After nil, content and name survive a crash. After an
// error before the rename the target is unchanged and the file is gone; an error of the last step,
// the fsync of the directory, leaves the new file in place, durable or not. After a crash, the target
// is the old file or the whole new one.
func (f *File) Commit() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return fmt.Errorf("durable: %s: %w", f.path, os.ErrClosed)
	}
	defer f.discard()
	if f.path == "" {
		return fmt.Errorf("durable: temporary file: %w", fs.ErrInvalid)
	}
	if f.stream {
		return f.copyOut()
	}
	if err := f.publish(); err != nil {
		return fmt.Errorf("durable: %s: %w", f.path, err)
	}
	if err := SyncDir(filepath.Dir(f.path)); err != nil {
		return fmt.Errorf("durable: %s: %w", f.path, err)
	}
	return nil
}

// publish names, syncs and renames. The name comes before the fsync: some file systems (btrfs) log
// nothing for a file without a link, and the rename alone would not bring its extents.
func (f *File) publish() error {
	if f.tmp == "" {
		tmp, err := linkTemp(f.File, filepath.Dir(f.path))
		if err != nil {
			return err
		}
		f.tmp = tmp
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := closeBeforeRename(f.File); err != nil {
		return err
	}
	if err := os.Rename(f.tmp, f.path); err != nil {
		return err
	}
	f.tmp = ""
	return nil
}

// copyOut writes the content to a target that cannot be replaced.
func (f *File) copyOut() (err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("durable: %s: %w", f.path, err)
	}
	w, err := os.OpenFile(f.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("durable: %w", err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := io.Copy(w, f.File); err != nil {
		return fmt.Errorf("durable: %s: %w", f.path, err)
	}
	st, err := w.Stat()
	if err != nil {
		return fmt.Errorf("durable: %s: %w", f.path, err)
	}
	if st.Mode()&fs.ModeDevice != 0 && st.Mode()&fs.ModeCharDevice == 0 {
		if err := w.Sync(); err != nil {
			return fmt.Errorf("durable: %s: %w", f.path, err)
		}
	}
	return nil
}

// Close discards the file unless Commit has been called. It is idempotent and may be called while
// another goroutine writes to the file: that one gets os.ErrClosed.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.done {
		f.discard()
	}
	return nil
}

// discard closes and removes what is left; f.mu is held.
func (f *File) discard() {
	f.done = true
	_ = f.File.Close() // may be closed already; nothing written here is to be kept
	if f.tmp != "" {
		_ = os.Remove(f.tmp)
		f.tmp = ""
	}
}

// resolve follows symbolic links and tells how the target is to be written.
func resolve(path string) (target string, stream bool, err error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newTarget(path)
	}
	if err != nil {
		return "", false, fmt.Errorf("durable: %w", err)
	}
	switch {
	case st.IsDir():
		return "", false, fmt.Errorf("durable: %s: is a directory", path)
	case st.Mode()&fs.ModeSocket != 0:
		return "", false, fmt.Errorf("durable: %s: is a socket", path)
	case !st.Mode().IsRegular():
		return path, true, nil
	}
	target, err = filepath.EvalSymlinks(path)
	if err != nil {
		return "", false, fmt.Errorf("durable: %w", err)
	}
	// An open file of ours (/dev/stdout, /proc/self/fd/3) is written to; whoever opened it
	// would not see a replacement.
	return target, throughDescriptor(path), nil
}

// newTarget is the path of a file that does not exist yet, possibly behind dangling links.
func newTarget(path string) (string, bool, error) {
	const maxLinks = 40 // as the kernel
	for range maxLinks {
		link, err := os.Readlink(path)
		if err != nil {
			return path, false, nil
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = link
	}
	return "", false, fmt.Errorf("durable: %s: too many symbolic links", path)
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) (err error) {
	if !canSyncDir {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}
