package engine

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/laminafs/lamina/internal/store"
)

// How long the file of the records stays open: bbolt locks it for as long, and other processes wait.
const (
	recordsIdle = 10 * time.Millisecond // after the last transaction: the next one of a burst finds it open
	recordsHold = 500 * time.Millisecond
	recordsWait = time.Minute // for other processes
)

// records is the bbolt file of containerd's metadata, open only while transactions run, so that several
// processes can use one store at the same time. It implements metadata.Transactor.
//
// Transactions of one process share the open file. It is closed recordsIdle after the last of them, and does
// not stay open for longer than recordsHold plus the transactions that run then: others get their turn.
type records struct {
	path string

	mu     sync.Mutex // guards all below
	db     *bolt.DB
	since  time.Time   // when db was opened
	users  int         // transactions that run
	idle   *time.Timer // closes db
	closed bool
	torn   error // what opening the file panicked with
}

func newRecords(path string) *records {
	return &records{path: path}
}

// View runs a transaction that reads.
func (r *records) View(fn func(*bolt.Tx) error) error {
	db, err := r.acquire()
	if err != nil {
		return err
	}
	defer r.release()
	return store.Guarded(r.path, func() error { return db.View(fn) })
}

// Update runs a transaction that writes. After nil, what it wrote survives a crash.
func (r *records) Update(fn func(*bolt.Tx) error) error {
	db, err := r.acquire()
	if err != nil {
		return err
	}
	defer r.release()
	return store.Guarded(r.path, func() error { return db.Update(fn) })
}

func (r *records) acquire() (*bolt.DB, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.idle != nil {
		r.idle.Stop()
		r.idle = nil
	}
	if r.closed {
		return nil, fmt.Errorf("engine: %s: closed: %w", r.path, errdefs.ErrUnavailable)
	}
	if r.torn != nil {
		return nil, r.torn
	}
	if r.db != nil && r.users == 0 && time.Since(r.since) > recordsHold {
		r.shut()
	}
	if r.db == nil {
		var db *bolt.DB
		opened := false
		err := store.Guarded(r.path, func() (err error) {
			db, err = bolt.Open(r.path, 0o600, &bolt.Options{Timeout: recordsWait})
			opened = true
			return err
		})
		if !opened { // bbolt panicked, and its lock stays as long as this process: to try again would be to wait for it
			r.torn = err
			return nil, err
		}
		if errors.Is(err, bolterrors.ErrTimeout) {
			return nil, fmt.Errorf("engine: %s: another process has had it for %s: %w", r.path, recordsWait, errdefs.ErrUnavailable)
		}
		if err != nil {
			return nil, fmt.Errorf("engine: %s: %w", r.path, err)
		}
		r.db, r.since = db, time.Now()
	}
	r.users++
	return r.db, nil
}

func (r *records) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users > 0 {
		return
	}
	if r.closed || time.Since(r.since) > recordsHold {
		r.shut()
		return
	}
	r.idle = time.AfterFunc(recordsIdle, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.users == 0 {
			r.shut()
		}
	})
}

// shut closes the file; r.mu is held. Every transaction has synced what it wrote.
func (r *records) shut() {
	if r.db != nil {
		_ = r.db.Close()
		r.db = nil
	}
}

// Close closes the file as soon as no transaction runs any more.
func (r *records) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.users == 0 {
		r.shut()
	}
	return nil
}
