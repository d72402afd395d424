package engine

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
)

// keyPrefix starts the names of all snapshots that are ours. No namespace of containerd may start like this,
// so its snapshots, whose names start with a namespace, are never taken for ours.
const (
	keyPrefix       = ".lamina/"
	chainPrefix     = keyPrefix + "chain/" // then the profile: another one has other bytes
	containerPrefix = keyPrefix + "container/"
)

// chain makes sure that there is a committed snapshot for every layer on top of those below it, and returns
// the name of the top one, "" without layers. It is one transaction: the blobs are in the store already.
func (l *Local) chain(ctx context.Context, list []layer) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	ids := make([]digest.Digest, len(list))
	for i := range list {
		ids[i] = list[i].diffID
	}
	names := identity.ChainIDs(ids)
	top := chainName(names[len(names)-1])
	there := false
	err := l.Store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, _, _, err := storage.GetInfo(ctx, top)
		there = err == nil
		if errdefs.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil || there {
		return top, err
	}
	return top, l.Store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		parent := ""
		for i := range list {
			name := chainName(names[i])
			if err := addToChain(ctx, tx, name, parent, list[i]); err != nil {
				return fmt.Errorf("engine: layer %d: %w", i, err)
			}
			parent = name
		}
		return nil
	})
}

// addToChain records the committed snapshot of a blob.
func addToChain(ctx context.Context, tx *store.Tx, name, parent string, l layer) error {
	switch _, _, _, err := storage.GetInfo(ctx, name); {
	case err == nil:
		return nil
	case !errdefs.IsNotFound(err):
		return err
	}
	b, err := blobOf(tx, l)
	if err != nil {
		return err
	}
	temp := name + "#"
	if _, err := storage.CreateSnapshot(ctx, snapshots.KindActive, temp, parent); err != nil {
		return err
	}
	id, err := storage.CommitActive(ctx, temp, name, snapshots.Usage{Size: b.Bytes()})
	if err != nil {
		return err
	}
	return tx.Link(id, b.Key)
}

func chainName(chainID digest.Digest) string {
	return chainPrefix + convert.Profile + "/" + chainID.String()
}
