package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/laminafs/lamina/internal/mount"
)

// recover puts the store in order after a crash. This process is its only user. Every step may be
// interrupted and is done again by the next start.
func (s *Store) recover(ctx context.Context) error {
	if err := s.makeDirs(); err != nil {
		return err
	}
	if err := s.db.create(s.staging()); err != nil {
		return err
	}
	table, err := s.mountTable()
	if err != nil {
		return err
	}
	if _, err := s.reapAll(table.below); err != nil && ctx.Err() != nil {
		return err // else: what cannot be removed takes room, and is in nobody's way
	}
	blobs, err := s.readable(ctx)
	if err != nil {
		return err
	}
	bad, err := s.checkAll(ctx, blobs)
	if err != nil {
		return err
	}
	if err := s.setAsideAll(ctx, bad); err != nil {
		return err
	}
	s.dropStrangers(table, blobs)
	return nil
}

// makeDirs makes the directories of the layout, durably.
func (s *Store) makeDirs() error {
	made := false
	for _, dir := range s.dirs() {
		err := s.files.mkdir(dir)
		made = made || err == nil
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if !made {
		return nil
	}
	return s.files.syncDir(s.Root)
}

// readable returns the blobs that are not known to be damaged, and removes records that cannot be read: the
// next publication writes them again.
func (s *Store) readable(ctx context.Context) (blobs []Blob, err error) {
	broken := false
	err = s.View(ctx, func(_ context.Context, tx *Tx) error {
		for b, err := range tx.Blobs() {
			if err != nil {
				broken = true
				s.observe(Event{Kind: Damaged, Err: err})
			} else if !b.Damaged {
				blobs = append(blobs, b)
			}
		}
		return nil
	})
	if err != nil || !broken {
		return blobs, err
	}
	return blobs, s.Update(ctx, func(_ context.Context, tx *Tx) error { return tx.dropUnreadable() })
}

func (t *Tx) dropUnreadable() error {
	var keys [][]byte
	c := t.blobs.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		key, err := decodeKey(k)
		if err == nil {
			_, err = decodeBlob(key, v)
		}
		if err != nil {
			keys = append(keys, k)
		}
	}
	for _, k := range keys {
		if err := t.blobs.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// suspect is a blob and what is wrong with it.
type suspect struct {
	blob Blob
	why  error
}

// checkers is how many files are looked at at once: with cold caches a disk answers that many in the time of one.
const checkers = 8

// checkAll checks all blobs and returns the damaged ones. Any other error ends it: a store that cannot be
// looked at is not to be judged.
func (s *Store) checkAll(ctx context.Context, blobs []Blob) (bad []suspect, err error) {
	var mu sync.Mutex // guards bad, err
	var wg sync.WaitGroup
	for w := range checkers {
		wg.Go(func() {
			for i := w; i < len(blobs) && ctx.Err() == nil; i += checkers {
				why := s.check(&blobs[i])
				if why == nil {
					continue
				}
				mu.Lock()
				if errors.As(why, new(*damage)) {
					bad = append(bad, suspect{blobs[i], why})
				} else {
					err = why
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return bad, err
}

// setAside is setAsideAll for one blob; it returns what is wrong with it, which is an ErrNotFound, or why it
// could not be set aside.
func (s *Store) setAside(ctx context.Context, b Blob, why error) error {
	if !errors.As(why, new(*damage)) {
		return why
	}
	if err := s.setAsideAll(ctx, []suspect{{b, why}}); err != nil {
		return err
	}
	return why
}

// setAsideAll moves the files of damaged blobs to damaged/ and marks their records, or removes them if
// nobody links them. All of it is looked at again in the transaction: a blob may have been healed meanwhile.
func (s *Store) setAsideAll(ctx context.Context, bad []suspect) error {
	if len(bad) == 0 {
		return nil
	}
	var events []Event
	err := s.Update(ctx, func(_ context.Context, tx *Tx) error {
		for _, u := range bad {
			b, ok, err := tx.record(u.blob.Key)
			if err != nil {
				return err
			}
			if !ok || b.Damaged || b.N != u.blob.N || s.check(&b) == nil {
				continue
			}
			to, err := s.takeAside(&b)
			if err != nil {
				return err
			}
			if err := tx.markDamaged(b); err != nil {
				return err
			}
			events = append(events, Event{Kind: Damaged, Key: b.Key, Path: to, Err: u.why})
		}
		if len(events) == 0 {
			return errNoChange
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range events {
		s.observe(e)
	}
	return nil
}

func (t *Tx) markDamaged(b Blob) error {
	if !t.isLinked(b.Key) {
		return t.DeleteBlob(b.Key)
	}
	b.Damaged = true
	_, err := t.PutBlob(b)
	return err
}

// takeAside moves all files of a blob; it returns where the image went.
func (s *Store) takeAside(b *Blob) (to string, err error) {
	for _, path := range append(s.DevicePaths(*b), s.image(b.Key)) {
		if to, err = s.moveAside(path); err != nil {
			return "", err
		}
	}
	return to, nil
}

// moveAside moves a file to damaged/ and returns its new path, "" if there is no such file.
func (s *Store) moveAside(path string) (string, error) {
	rel, err := filepath.Rel(s.blobs(), path)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	name := strconv.FormatInt(time.Now().UnixNano(), 10) + "-" + strings.ReplaceAll(rel, string(filepath.Separator), "-")
	to := filepath.Join(s.damaged(), name)
	err = s.take(path, to)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	return to, nil
}

// take renames a file, after the immutable flag is off, if it has it.
func (s *Store) take(from, to string) error {
	err := s.files.rename(from, to)
	if errors.Is(err, fs.ErrPermission) && mount.SetImmutable(from, false) == nil {
		err = s.files.rename(from, to)
	}
	return err
}

// dropStrangers unmounts what is at our mount points and is not the blob of that number: another store
// may have been at this place before.
func (s *Store) dropStrangers(table mountTable, blobs []Blob) {
	images := make(map[uint64]string, len(blobs))
	for i := range blobs {
		images[blobs[i].N] = s.image(blobs[i].Key)
	}
	for _, e := range table.entries {
		n, ok := s.number(e.Target)
		if !ok {
			continue
		}
		image, known := images[n]
		ours := e.FSType == "erofs" && (e.Source == image || strings.HasPrefix(e.Source, "/dev/"))
		if known && ours {
			continue
		}
		s.unmount(e.Target)
	}
}

// damagedAge is how long damaged files are kept for whoever wants to know what happened to them.
const damagedAge = 7 * 24 * time.Hour

// dropDamaged removes what was set aside long ago.
func (s *Store) dropDamaged() error {
	list, err := os.ReadDir(s.damaged())
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	var errs []error
	for _, e := range list {
		stamp, _, _ := strings.Cut(e.Name(), "-")
		nano, err := strconv.ParseInt(stamp, 10, 64)
		if err == nil && time.Since(time.Unix(0, nano)) > damagedAge {
			errs = append(errs, s.files.removeAll(filepath.Join(s.damaged(), e.Name())))
		}
	}
	return errors.Join(errs...)
}
