package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// Freed is what Collect has removed.
type Freed struct {
	Blobs     int   // records of blobs that nobody linked
	Files     int   // files in blobs that had no record, those of Blobs among them
	Bytes     int64 // of these files
	Mounts    int   // mounts of blobs that no active snapshot or view needed
	Snapshots int   // directories of snapshots without record
	Staged    int   // directories that dead processes left in staging
	Links     int   // links of snapshots without record
}

// Collect removes what nothing refers to: blobs that nobody links, files without record, mounts of blobs that no
// active snapshot or view needs, directories of snapshots without record, and what dead processes left in
// staging. It works next to everything else, in this and other processes. What cannot be removed is
// reported with the error, the rest is removed all the same.
func (s *Store) Collect(ctx context.Context) (Freed, error) {
	if err := s.nested(ctx); err != nil {
		return Freed{}, err
	}
	c := &collection{Store: s}
	var errs []error
	for _, step := range []func(context.Context) error{c.records, c.files, c.unmounts, c.mountPoints} {
		if ctx.Err() != nil {
			errs = append(errs, fmt.Errorf("store: collect: %w", context.Cause(ctx)))
			break
		}
		errs = append(errs, step(ctx))
	}
	table, err := s.mountTable()
	if err == nil {
		c.Staged, err = s.reapAll(table.below)
	}
	errs = append(errs, err, s.dropDamaged())
	return c.Freed, errors.Join(errs...)
}

// collection is a Collect at work.
type collection struct {
	*Store
	Freed
}

// batch is how many records a transaction of Collect removes at most.
const batch = 1000

// names returns the snapshots by id; none if none was ever made.
func names(ctx context.Context) (map[string]string, error) {
	ids, err := storage.IDMap(ctx)
	if errors.Is(err, errdefs.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: snapshots: %w", err)
	}
	return ids, nil
}

// garbage is what Collect finds in the records.
type garbage struct {
	links  []string // of snapshots without record; their ids are never given again
	blobs  []Key    // that nobody links
	chains []digest.Digest
}

// records removes links of snapshots that are gone, blobs that nobody links and chains that lead nowhere. What was
// found with others at work is looked at again in the transaction that removes it.
func (c *collection) records(ctx context.Context) error {
	var g garbage
	if err := c.View(ctx, func(ctx context.Context, tx *Tx) (err error) {
		g, err = tx.garbage(ctx)
		return err
	}); err != nil {
		return err
	}
	for part := range slices.Chunk(g.links, batch) {
		if err := c.Update(ctx, func(_ context.Context, tx *Tx) error {
			return each(part, tx.Unlink)
		}); err != nil {
			return err
		}
		c.Links += len(part)
	}
	for part := range slices.Chunk(g.blobs, batch) {
		if err := c.dropBlobs(ctx, part); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(g.chains, batch) {
		if err := c.Update(ctx, func(_ context.Context, tx *Tx) error {
			return each(part, tx.dropChain)
		}); err != nil {
			return err
		}
	}
	return nil
}

func each[T any](list []T, do func(T) error) error {
	for _, v := range list {
		if err := do(v); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) garbage(ctx context.Context) (g garbage, err error) {
	ids, err := names(ctx)
	if err != nil {
		return g, err
	}
	linked := map[Key]bool{}
	for id, k := range t.Links() {
		if _, known := ids[id]; known || !isNumber(id) {
			linked[k] = true
		} else {
			g.links = append(g.links, id)
		}
	}
	gone := map[string]bool{}
	for b, err := range t.Blobs() {
		if err == nil && !linked[b.Key] {
			g.blobs = append(g.blobs, b.Key)
			gone[string(b.Key.encode())] = true
		}
	}
	cur := t.chains.Cursor()
	for id, key := cur.First(); id != nil; id, key = cur.Next() {
		if gone[string(key)] || t.blobs.Get(key) == nil {
			g.chains = append(g.chains, digest.Digest(id))
		}
	}
	return g, nil
}

// dropChain forgets a chain whose blob has no record.
func (t *Tx) dropChain(id digest.Digest) error {
	if t.blobs.Get(t.chains.Get([]byte(id))) != nil {
		return nil
	}
	return t.chains.Delete([]byte(id))
}

func (c *collection) dropBlobs(ctx context.Context, keys []Key) error {
	var gone []Blob
	err := c.Update(ctx, func(_ context.Context, tx *Tx) error {
		gone = nil
		for _, k := range keys {
			b, ok, err := tx.record(k)
			if err != nil || !ok || tx.isLinked(k) {
				continue
			}
			if err := tx.DeleteBlob(k); err != nil {
				return err
			}
			gone = append(gone, b)
		}
		if len(gone) == 0 {
			return errNoChange
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.Blobs += len(gone)
	for i := range gone {
		c.observe(Event{Kind: Collected, Key: gone[i].Key, Bytes: gone[i].Bytes()})
	}
	return nil
}

// files moves files of blobs and directories of snapshots that have no record to staging, and removes them
// there. What has no record when a transaction begins belongs to nobody, except files that a Publish has just named:
// it notices in its own transaction that they are gone, and names them again.
func (c *collection) files(ctx context.Context) error {
	files, err := c.listFiles()
	if err != nil {
		return err
	}
	dirs, err := c.listSnapshots()
	if err != nil {
		return err
	}
	if err := c.View(ctx, func(ctx context.Context, tx *Tx) (err error) {
		files = slices.DeleteFunc(files, func(f file) bool { return tx.owns(f) })
		dirs, err = withoutRecord(ctx, dirs)
		return err
	}); err != nil || len(files)+len(dirs) == 0 {
		return err
	}
	trash, err := c.stagingDir()
	if err != nil {
		return err
	}
	var errs []error
	for part := range slices.Chunk(files, batch) {
		errs = append(errs, c.Update(ctx, func(_ context.Context, tx *Tx) error {
			return cmp.Or(c.trashFiles(tx, part, trash.path), errNoChange)
		}))
	}
	for len(dirs) > 0 && ctx.Err() == nil {
		done := len(dirs) // unless the transaction says otherwise: then all of them go with the next Collect
		errs = append(errs, c.Update(ctx, func(ctx context.Context, _ *Tx) (err error) {
			done, err = c.trashSnapshots(ctx, dirs, trash.path)
			return cmp.Or(err, errNoChange) // not both: what is joined to errNoChange is not told
		}))
		dirs = dirs[done:]
	}
	return errors.Join(append(errs, trash.remove())...)
}

// file is a file in blobs.
type file struct {
	path   string
	key    Key
	device bool
}

// listFiles lists what looks like ours in blobs.
func (c *collection) listFiles() (files []file, err error) {
	err = filepath.WalkDir(c.blobs(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if f, ok := c.parse(path); ok && !d.IsDir() {
			files = append(files, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return files, nil
}

// parse is the inverse of image and device.
func (l Layout) parse(path string) (file, bool) {
	rel, err := filepath.Rel(l.blobs(), path)
	parts := strings.Split(filepath.ToSlash(rel), "/")
	if err != nil || len(parts) != 4 {
		return file{}, false
	}
	ext := filepath.Ext(parts[3])
	k := Key{parts[0], digest.NewDigestFromEncoded(digest.Algorithm(parts[1]), strings.TrimSuffix(parts[3], ext))}
	if k.Validate() != nil || ext != imageExt && ext != deviceExt {
		return file{}, false
	}
	return file{path, k, ext == deviceExt}, true
}

// owns tells whether a file has a record that is not marked as damaged.
func (t *Tx) owns(f file) bool {
	b, ok, err := t.record(f.key)
	return err != nil || ok && !b.Damaged && (!f.device || len(b.Devices) > 0)
}

func (c *collection) trashFiles(tx *Tx, files []file, trash string) error {
	var errs []error
	for _, f := range files {
		if tx.owns(f) {
			continue
		}
		info, err := os.Lstat(f.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = c.take(f.path, filepath.Join(trash, f.key.Profile+"-"+filepath.Base(f.path)))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("store: collect: %w", err))
			continue
		}
		c.Files++
		c.Bytes += info.Size()
	}
	return errors.Join(errs...)
}

// listSnapshots lists the ids that have a directory.
func (c *collection) listSnapshots() (ids []string, err error) {
	list, err := os.ReadDir(c.snapshots())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	for _, e := range list {
		if isNumber(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

func withoutRecord(ctx context.Context, ids []string) ([]string, error) {
	known, err := names(ctx)
	return slices.DeleteFunc(ids, func(id string) bool { _, ok := known[id]; return ok }), err
}

// trashSnapshots works in a transaction: the directory of a snapshot is made in the one that makes its
// record, so those that were listed before it and have no record now are of dead ones. It ends after unmountTime, and
// says how many of ids it is done with.
func (c *collection) trashSnapshots(ctx context.Context, ids []string, trash string) (done int, err error) {
	known, err := names(ctx)
	if err != nil {
		return len(ids), err
	}
	table, err := c.mountTable()
	if err != nil {
		return len(ids), err
	}
	var errs []error
	end := time.Now().Add(unmountTime)
	for i, id := range ids {
		if i > 0 && time.Now().After(end) {
			return i, errors.Join(errs...)
		}
		if _, ok := known[id]; ok {
			continue
		}
		dir := c.Snapshot(id)
		for _, e := range slices.Backward(table.entries) {
			if strings.HasPrefix(e.Target, dir+"/") {
				c.unmount(e.Target)
			}
		}
		err := c.Store.files.rename(dir, filepath.Join(trash, id))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("store: collect: %w", err))
			continue
		}
		c.Snapshots++
		c.observe(Event{Kind: Removed, Path: dir})
	}
	return len(ids), errors.Join(errs...)
}
