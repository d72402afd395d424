package store

import (
	"fmt"
	"strings"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/laminafs/lamina/internal/mount"
)

// LabelParentChain is the chain ID of the layer below; containerd sends it from 2.3 on. Before, the parent of a
// snapshot has it as the last element of its name.
const LabelParentChain = "containerd.io/snapshot/parent-chain-id"

// Extraction is what the labels of a snapshot say of the layer that is to be unpacked into it.
type Extraction struct {
	Chain  digest.Digest // the chain ID that the snapshot is to be committed as, "" if its name is no digest
	DiffID digest.Digest // of the layer, "" if it is not known
}

// ExtractionOf reads the labels that unpackers set. ok tells whether the snapshot is for unpacking.
//
// Before 2.3 the label with the diffID may come from an annotation in the manifest, and so from
// anybody. It is believed only if the chain ID, which always comes from the unpacker, is the hash over it.
func ExtractionOf(info *snapshots.Info) (e Extraction, ok bool) {
	ref := info.Labels[snapshots.LabelSnapshotRef]
	chain, err := digest.Parse(ref)
	if err != nil {
		// Another client of the remote snapshotter protocol, with a name of its own for the target.
		return Extraction{}, ref != ""
	}
	e.Chain = chain
	diffID, err := digest.Parse(info.Labels[snapshots.LabelSnapshotDiffID])
	if err != nil {
		return e, true
	}
	for _, parent := range []string{"", info.Labels[LabelParentChain], LastElement(info.Parent)} {
		if ChainOf(parent, diffID) == chain {
			e.DiffID = diffID
			break
		}
	}
	return e, true
}

// MappingOf reads the labels by which containerd asks for owners as a user namespace sees them; nil without them. One
// that cannot be read is an ErrInvalidArgument.
func MappingOf(labels map[string]string) (*mount.IDMap, error) {
	u, okU := labels[snapshots.LabelSnapshotUIDMapping]
	g, okG := labels[snapshots.LabelSnapshotGIDMapping]
	if !okU && !okG {
		return nil, nil
	}
	uids, err := mount.ParseIDRanges(u)
	if err != nil {
		return nil, fmt.Errorf("label %s: %w: %w", snapshots.LabelSnapshotUIDMapping, err, errdefs.ErrInvalidArgument)
	}
	gids, err := mount.ParseIDRanges(g)
	if err != nil {
		return nil, fmt.Errorf("label %s: %w: %w", snapshots.LabelSnapshotGIDMapping, err, errdefs.ErrInvalidArgument)
	}
	return &mount.IDMap{UIDs: uids, GIDs: gids}, nil
}

// Bottom tells whether a layer has none below it.
func (e *Extraction) Bottom() bool { return e.Chain == e.DiffID }

// ChainOf is the chain ID of a layer on a parent, "" for none, as in the OCI image specification.
func ChainOf(parent string, diffID digest.Digest) digest.Digest {
	if parent == "" {
		return diffID
	}
	return digest.FromString(parent + " " + diffID.String())
}

// LastElement cuts the prefix "namespace/number/" that containerd puts before names of snapshots.
func LastElement(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
