package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	bolt "go.etcd.io/bbolt"
)

// database opens metadata.db for bursts of transactions. bbolt allows one process to have a file open, so it
// is closed again when nobody of this process is in a transaction, and taken from those who come anew
// after maxBurst, so that other processes get their turn.
type database struct {
	path   string
	lock   *rangeLock
	files  files
	writer chan struct{} // has room for the one goroutine that may change something

	mu    sync.Mutex // guards stuck, cur, and refs, spent, until of *cur
	cur   *burst
	stuck error // why the file cannot be opened any more by this process: bbolt panicked and kept its locks
}

// burst is the time for which metadata.db stays open.
type burst struct {
	meta  *storage.MetaStore
	file  *os.File // that meta has open
	refs  int
	until time.Time
	spent bool          // takes nobody on any more
	ready chan struct{} // closed when meta is there, or will never be
	gone  chan struct{} // closed when the file has been closed
}

// maxBurst is how long new transactions may join a burst. Opening costs some 0.1 ms, a transaction that
// changes something some milliseconds on a disk.
const maxBurst = 20 * time.Millisecond

// flockWait bounds waiting for programs that open metadata.db without our lock file.
const flockWait = 10 * time.Second

func newDatabase(path string, l *rangeLock, f files) *database {
	return &database{path: path, lock: l, files: f, writer: make(chan struct{}, 1)}
}

// enter joins the burst, or begins one. leave must follow.
func (d *database) enter(ctx context.Context) (*burst, error) {
	for {
		d.mu.Lock()
		if err := d.stuck; err != nil {
			d.mu.Unlock()
			return nil, err
		}
		b := d.cur
		if b == nil {
			b = &burst{ready: make(chan struct{}), gone: make(chan struct{})}
			d.cur = b
			d.mu.Unlock()
			return b, d.begin(ctx, b)
		}
		wait := b.ready
		if b.meta != nil {
			if !b.spent && time.Now().Before(b.until) {
				b.refs++
				d.mu.Unlock()
				return b, nil
			}
			b.spent = true
			wait = b.gone
		}
		d.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("store: %s: %w", d.path, context.Cause(ctx))
		}
	}
}

// begin opens the file for b, which is current and has no other user yet.
func (d *database) begin(ctx context.Context, b *burst) error {
	meta, file, err := d.open(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	close(b.ready)
	if err != nil {
		if isTorn(err) {
			d.stuck = err
		}
		d.cur = nil
		close(b.gone)
		return err
	}
	b.meta, b.file, b.refs, b.until = meta, file, 1, time.Now().Add(maxBurst)
	return nil
}

// open takes the lock and opens the file.
func (d *database) open(ctx context.Context) (_ *storage.MetaStore, file *os.File, err error) {
	if err := d.lock.wait(ctx, lockTurn, true); err != nil {
		return nil, nil, err
	}
	err = d.lock.wait(ctx, lockDatabase, true)
	if err = errors.Join(err, d.lock.unlock(lockTurn)); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.lock.unlock(lockDatabase))
		}
	}()
	meta, err := storage.NewMetaStore(d.path, func(o *bolt.Options) error {
		o.Timeout = flockWait
		o.FreelistType = bolt.FreelistMapType
		o.OpenFile = func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
			file, err = d.files.openDatabase(path, flag, mode)
			return file, err
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("store: %s: %w", d.path, err)
	}
	err = Guarded(d.path, func() error {
		_, t, err := meta.TransactionContext(ctx, false) // opens
		if err == nil {
			err = t.Rollback()
		}
		return err
	})
	if isTorn(err) {
		return nil, nil, errors.Join(err, abandon(file)) // meta keeps its locks: it cannot be closed
	}
	if err != nil {
		return nil, nil, fmt.Errorf("store: %s: %w", d.path, errors.Join(err, meta.Close()))
	}
	return meta, file, nil
}

// leave ends what enter began. The last one closes the file.
func (d *database) leave(b *burst, broken bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b.refs--
	if broken {
		b.spent = true // whatever bbolt has in memory, the next burst reads it anew
	}
	if b.refs > 0 {
		return nil
	}
	d.cur = nil
	var err error
	if d.stuck == nil {
		err = b.meta.Close()
	} else {
		err = abandon(b.file)
	}
	close(b.gone)
	if err = errors.Join(err, d.lock.unlock(lockDatabase)); err != nil {
		return fmt.Errorf("store: %s: close: %w", d.path, err)
	}
	return nil
}

// transact runs fn in a transaction and commits it if fn returns nil and writable is set. fn may return
// errNoChange to end a writable transaction without a commit.
func (d *database) transact(ctx context.Context, writable bool, fn func(context.Context, *bolt.Tx) error) (err error) {
	if writable {
		select {
		case d.writer <- struct{}{}:
			defer func() { <-d.writer }()
		case <-ctx.Done():
			return fmt.Errorf("store: %s: %w", d.path, context.Cause(ctx))
		}
	}
	b, err := d.enter(ctx)
	if err != nil {
		return err
	}
	broken := false
	defer func() { err = errors.Join(err, d.leave(b, broken)) }()
	tx, ctx, err := d.start(ctx, b, writable)
	if err != nil {
		broken = true
		return err
	}
	defer d.end(tx) // also if fn panics
	err = Guarded(d.path, func() error { return fn(ctx, tx) })
	if err != nil || !writable {
		broken = isTorn(err)
		if writable && errors.Is(err, errNoChange) {
			return nil
		}
		return err
	}
	if err := Guarded(d.path, func() error { return d.files.commit(tx) }); err != nil {
		broken = true
		if isTorn(err) {
			return err
		}
		return fmt.Errorf("store: %s: commit: %w", d.path, err)
	}
	return nil
}

// start begins a transaction.
func (d *database) start(ctx context.Context, b *burst, writable bool) (tx *bolt.Tx, inside context.Context, err error) {
	err = Guarded(d.path, func() error {
		var t storage.Transactor
		if inside, t, err = b.meta.TransactionContext(ctx, writable); err != nil {
			return fmt.Errorf("store: %s: %w", d.path, err)
		}
		var ok bool
		if tx, ok = t.(*bolt.Tx); !ok {
			return errors.Join(fmt.Errorf("store: %s: storage has a transaction of another kind", d.path), t.Rollback())
		}
		return nil
	})
	if isTorn(err) {
		d.giveUp(err)
	}
	return tx, inside, err
}

// end ends a transaction that was not committed.
func (d *database) end(tx *bolt.Tx) {
	err := Guarded(d.path, func() error {
		_ = tx.Rollback() // an error after a commit
		return nil
	})
	if err != nil {
		d.giveUp(err)
	}
}

// abandon closes the file behind the back of bbolt, for other processes: the mapping, which stays, would keep its lock.
func abandon(file *os.File) error {
	if file == nil {
		return nil
	}
	return unlockDir(file)
}

// giveUp notes that bbolt panicked where it does not give up its locks: to close the file, or to open it again, would
// wait for ever.
func (d *database) giveUp(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stuck = err
}

// errNoChange ends a transaction that turned out to change nothing.
var errNoChange = errors.New("store: nothing to change")

// create makes metadata.db if there is none: elsewhere, then it gets its name. lockUsers is held exclusively.
func (d *database) create(staging string) (err error) {
	if _, err := os.Lstat(d.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp := filepath.Join(staging, databaseName)
	if err := d.files.removeAll(tmp); err != nil {
		return err
	}
	f, err := d.files.create(tmp) // bbolt would make it with its own flags
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(tmp, filePerm, &bolt.Options{Timeout: flockWait, OpenFile: d.files.openDatabase})
	if err != nil {
		return err
	}
	tx, err := db.Begin(true)
	if err == nil {
		if err = makeBuckets(tx); err == nil {
			err = d.files.commit(tx) // synced
		}
		_ = tx.Rollback() // after a commit: nothing
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := d.files.rename(tmp, d.path); err != nil {
		return err
	}
	return d.files.syncDir(filepath.Dir(d.path))
}

// txKey marks the context of a transaction with its store.
type txKey struct{ s *Store }

// nested refuses a transaction inside another one of the same store: it would wait for itself.
func (s *Store) nested(ctx context.Context) error {
	if ctx.Value(txKey{s}) != nil {
		return fmt.Errorf("store: a transaction inside a transaction: %w", errdefs.ErrFailedPrecondition)
	}
	return nil
}
