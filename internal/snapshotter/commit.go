package snapshotter

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
)

// Commit implements snapshots.Snapshotter.
//
// A snapshot to which a differ has linked a blob, or that was staged, gets that blob, whatever is in its
// upper directory. That of any other becomes a blob, whole and on disk before the transaction that
// commits the snapshot begins. After nil the snapshot survives a crash; after an error it is active as
// before, and may be changed and committed again.
func (s *Snapshotter) Commit(ctx context.Context, name, key string, opts ...snapshots.Opt) error {
	if err := s.commit(ctx, name, key, opts); err != nil {
		return fmt.Errorf("snapshotter: commit %q: %w", key, err)
	}
	return nil
}

func (s *Snapshotter) commit(ctx context.Context, name, key string, opts []snapshots.Opt) error {
	var st state
	err := s.healing(ctx, func() (err error) {
		st, err = s.beforeCommit(ctx, name, key)
		return err
	})
	if err != nil {
		return err
	}
	blob := st.own
	if blob == nil {
		if blob, err = s.blobOfUpper(ctx, &st); err != nil {
			return err
		}
	}
	usage, err := s.usageOfBlob(*blob)
	if err != nil {
		return err
	}
	err = s.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if st.own != nil {
			// Nothing was published here: is the blob still there?
			if _, err := tx.Blob(blob.Key); err != nil {
				return err
			}
		}
		id, err := storage.CommitActive(ctx, key, name, usage, opts...)
		if err != nil {
			return err
		}
		if id != st.id {
			return fmt.Errorf("somebody else made it again meanwhile: %w", errdefs.ErrFailedPrecondition)
		}
		if err := tx.Link(id, blob.Key); err != nil {
			return err
		}
		return setChain(ctx, tx, name, blob.Key)
	})
	if err != nil {
		return err
	}
	unlock := s.locks.lock(st.id)
	defer unlock()
	_ = s.clear(st.id) // nobody needs it any more; what is left is removed with the snapshot
	return nil
}

// beforeCommit reads the snapshot, and finds out early what CommitActive would refuse after all the work.
func (s *Snapshotter) beforeCommit(ctx context.Context, name, key string) (st state, err error) {
	err = s.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, _, _, err := storage.GetInfo(ctx, name); err == nil {
			return fmt.Errorf("committed snapshot %q: %w", name, errdefs.ErrAlreadyExists)
		}
		if _, info, _, err := storage.GetInfo(ctx, key); err != nil {
			return err
		} else if info.Kind != snapshots.KindActive {
			return fmt.Errorf("is a %s snapshot: %w", info.Kind, errdefs.ErrFailedPrecondition)
		}
		st, err = s.load(ctx, tx, key)
		return err
	})
	return st, err
}

// setChain remembers the blob of a layer by its chain ID, for containerd before 2.3. The name of the
// snapshot says so too: labels may come from a manifest.
func setChain(ctx context.Context, tx *store.Tx, name string, k store.Key) error {
	_, info, _, err := storage.GetInfo(ctx, name)
	if err != nil {
		return err
	}
	e, ok := store.ExtractionOf(&info)
	if !ok || e.Chain == "" || store.LastElement(name) != e.Chain.String() {
		return nil
	}
	return tx.SetChain(e.Chain, k)
}

// blobOfUpper makes the upper directory of a snapshot a blob. The link that Publish makes keeps it until the
// transaction of Commit; load knows such links of commits that did not end.
func (s *Snapshotter) blobOfUpper(ctx context.Context, st *state) (*store.Blob, error) {
	dir, release, err := s.upperToRead(ctx, st)
	if err != nil {
		return nil, err
	}
	defer release()
	staged, err := s.store.Stage(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = staged.Discard() }()
	var o convert.DirOptions
	o.Mkfs.TempDir = staged.Dir()
	if ids, err := store.MappingOf(st.info.Labels); err != nil {
		return nil, err
	} else if ids != nil {
		o.Mkfs.Owner = ids.Owner
	}
	if _, err := convert.Dir(ctx, dir, staged.File(), o); err != nil {
		if errors.Is(err, errors.ErrUnsupported) {
			err = fmt.Errorf("%w: %w", errdefs.ErrFailedPrecondition, err)
		}
		return nil, err
	}
	if err := convert.ReadBack(staged.File()); err != nil {
		return nil, err
	}
	sum, err := digestOf(ctx, staged.File())
	if err != nil {
		return nil, err
	}
	staged.ImageDigest = sum
	b, err := staged.Publish(ctx, store.Key{Profile: store.ProfileDir, Digest: sum}, st.id)
	return &b, err
}

// digestOf reads an image back: what is in the page cache is what is going to the disk.
func digestOf(ctx context.Context, r io.ReaderAt) (digest.Digest, error) {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for off := int64(0); ; {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		n, err := r.ReadAt(buf, off)
		_, _ = h.Write(buf[:n])
		off += int64(n)
		if errors.Is(err, io.EOF) {
			return digest.NewDigest(digest.SHA256, h), nil
		}
		if err != nil {
			return "", err
		}
	}
}
