package store

import (
	"fmt"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/laminafs/lamina/internal/durable"
)

// files is what the store changes on disk: system in life, one that fails in tests. A call through it costs
// nothing beside the system call that it makes.
type files interface {
	mkdir(dir string) error
	create(path string) (*os.File, error) // for reading and writing; the name must be new
	openDatabase(path string, flag int, mode os.FileMode) (*os.File, error)
	copy(dst, src *os.File) error
	sync(f *os.File) error
	syncDir(dir string) error
	link(from, to string) error
	rename(from, to string) error
	removeAll(path string) error
	commit(tx *bolt.Tx) error
}

// system is the running system.
type system struct{}

const (
	dirPerm  = 0o700 // layers hold files that only root may see, and set-uid programs
	filePerm = 0o600
)

func (system) mkdir(dir string) error       { return os.Mkdir(dir, dirPerm) }
func (system) sync(f *os.File) error        { return f.Sync() }
func (system) syncDir(dir string) error     { return durable.SyncDir(dir) }
func (system) link(from, to string) error   { return os.Link(from, to) }
func (system) rename(from, to string) error { return os.Rename(from, to) }
func (system) removeAll(path string) error  { return os.RemoveAll(path) }
func (system) commit(tx *bolt.Tx) error     { return tx.Commit() }

func (system) create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm)
}

func (system) openDatabase(path string, flag int, mode os.FileMode) (*os.File, error) {
	return os.OpenFile(path, flag&^os.O_CREATE, mode)
}

// copy fills dst with src: by sharing its blocks if the file system can, else by copying (io.Copy lets the
// kernel do that).
func (system) copy(dst, src *os.File) error {
	if reflink(dst, src) == nil {
		return nil
	}
	if _, err := io.Copy(dst, src); err != nil {
		return fmt.Errorf("store: copy of %s: %w", src.Name(), err)
	}
	return nil
}
