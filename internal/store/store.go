package store

import (
	"context"
	_ "crypto/sha256" // go-digest panics when a digest is to be computed whose algorithm is not linked in
	_ "crypto/sha512"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
)

// Config says where a store is and how it behaves.
type Config struct {
	Root      string      // directory of the store; made if it is missing, its parent must exist
	Immutable bool        // set the immutable flag on published blobs; Adopt makes no hard links then
	Observe   func(Event) // told of what happened, on any goroutine; must not use the store, which may be in a transaction; may be nil
}

// EventKind is what an Event tells of.
type EventKind uint8

// The kinds of events and the fields of Event that they use.
const (
	Published EventKind = iota + 1 // Key, Path, Bytes: a blob is durable and recorded; Err: without its immutable flag
	Healed                         // as Published, for a blob that had been damaged
	Damaged                        // Key, Path, Err: a blob was found missing or damaged; Path is where it went, if anywhere
	Mounted                        // Key, Path
	Unmounted                      // Path
	Collected                      // Key, Bytes: the record of a blob that nobody linked is gone
	Removed                        // Path, Bytes, Err: something without record is gone, or could not be removed
)

// Event is something that happened to the store.
type Event struct {
	Kind  EventKind
	Key   Key
	Path  string
	Bytes int64
	Err   error
}

// Store is a set of blobs and the records of snapshots. Its methods may be called by any number of
// goroutines, and any number of processes may have the same store open.
type Store struct {
	Layout // Root is absolute, without symbolic links
	config Config
	files  files
	lock   *rangeLock
	db     *database
	kernel func() (mount.Kernel, error) // asked once
	table  func(prefix string) ([]mount.Entry, error)

	mu     sync.Mutex      // guards synced
	synced map[string]bool // directories of blobs whose own names this process knows to be durable

	keys keys

	close func() error
}

// Open opens a store, makes it if there is none, and recovers it if no other process has it open: see
// the package comment. It waits while another process recovers: an ErrUnavailable if ctx ends meanwhile.
func Open(ctx context.Context, c Config) (*Store, error) { return open(ctx, c, system{}) }

func open(ctx context.Context, c Config, f files) (_ *Store, err error) {
	root, err := makeRoot(c.Root, f)
	if err != nil {
		return nil, err
	}
	s := &Store{Layout: Layout{root}, config: c, files: f, table: mount.Table, synced: map[string]bool{}}
	file, err := os.OpenFile(s.Layout.lock(), os.O_RDWR|os.O_CREATE|noFollow, filePerm)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s.close = sync.OnceValue(file.Close)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.lock = &rangeLock{file}
	s.db = newDatabase(s.database(), s.lock, f)
	s.kernel = sync.OnceValues(s.probe)
	first, err := s.join(ctx)
	if err != nil {
		return nil, err
	}
	if first {
		if err := s.recover(ctx); err != nil {
			return nil, fmt.Errorf("store: recovery of %s: %w", root, err)
		}
		if err := s.lock.try(lockUsers, false); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// probe asks the kernel what it can do with images that lie here, in a directory that no Collect takes for one that was left.
func (s *Store) probe() (mount.Kernel, error) {
	d, err := s.stagingDir()
	if err != nil {
		return mount.Kernel{}, err
	}
	k, err := mount.Probe(d.path)
	return k, errors.Join(err, d.remove())
}

// makeRoot makes the root, if it is missing, and returns it without symbolic links.
func makeRoot(root string, f files) (string, error) {
	if root == "" {
		return "", fmt.Errorf("store: no root: %w", errdefs.ErrInvalidArgument)
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	if err := f.mkdir(root); err == nil {
		err = f.syncDir(filepath.Dir(root))
		if err != nil {
			return "", fmt.Errorf("store: %s: %w", root, err)
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("store: %w", err)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	return root, checkRoot(root)
}

// checkRoot refuses a root in which somebody else could replace files: layers hold programs that root will run.
func checkRoot(root string) error {
	info, err := os.Lstat(root)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if uid, ok := ownerOf(info); ok && uid != os.Geteuid() {
		return fmt.Errorf("store: %s: belongs to user %d, this process runs as user %d: use another root, or chown it: %w",
			root, uid, os.Geteuid(), errdefs.ErrFailedPrecondition)
	}
	if canCheckMode && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("store: %s: others than its owner may write to it (mode %v): chmod go-w it: %w",
			root, info.Mode().Perm(), errdefs.ErrFailedPrecondition)
	}
	return nil
}

// join makes this process a user of the store, first if it is the only one: then lockUsers is held
// exclusively. To try that first is what makes sure that nobody uses a store whose recovery failed.
func (s *Store) join(ctx context.Context) (first bool, err error) {
	err = poll(ctx, s.Root, func() error {
		err := s.lock.try(lockUsers, true)
		if first = err == nil; first || !errors.Is(err, errLocked) {
			return err
		}
		return s.lock.try(lockUsers, false)
	})
	return first, err
}

// Close gives up the store. Mounts stay. It is idempotent. Transactions and stagings must have ended.
func (s *Store) Close() error {
	if err := s.close(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func (s *Store) observe(e Event) {
	if s.config.Observe != nil {
		s.config.Observe(e)
	}
}
