package snapshotter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// Labels of snapshots besides those that package snapshots has.
const (
	// LabelMode chooses the form of the mounts of one snapshot: "host" or "managed". Kubernetes passes pod
	// annotations of that name.
	LabelMode = "containerd.io/snapshot/lamina.mount-mode"

	labelParentChain = "containerd.io/snapshot/parent-chain-id" // sent by containerd from 2.3 on
)

// extraction is what the labels of a Prepare say of a layer that is to be unpacked.
type extraction struct {
	chain  digest.Digest // the chain ID that the snapshot is to be committed as
	diffID digest.Digest // of the layer, "" if it is not known
}

// extractionOf reads the labels that the unpacker sets. ok tells whether the snapshot is for unpacking.
//
// Before 2.3 the label with the diffID may come from an annotation in the manifest, and so from
// anybody. It is believed only if the chain ID, which always comes from the unpacker, is the hash over it.
func extractionOf(info *snapshots.Info) (e extraction, ok bool) {
	chain, err := digest.Parse(info.Labels[snapshots.LabelSnapshotRef])
	if err != nil {
		// An other client of the remote snapshotter protocol, with a name of its own for the target.
		return extraction{}, info.Labels[snapshots.LabelSnapshotRef] != ""
	}
	e.chain = chain
	diffID, err := digest.Parse(info.Labels[snapshots.LabelSnapshotDiffID])
	if err != nil {
		return e, true
	}
	parents := []string{"", info.Labels[labelParentChain], lastElement(info.Parent)}
	for _, parent := range parents {
		if chainOf(parent, diffID) == chain {
			e.diffID = diffID
			return e, true
		}
	}
	return e, true
}

// bottom tells whether a layer has none below it.
func (e *extraction) bottom() bool { return e.chain == e.diffID }

// chainOf is the chain ID of a layer on a parent, as in the OCI image specification.
func chainOf(parent string, diffID digest.Digest) digest.Digest {
	if parent == "" {
		return diffID
	}
	return digest.FromString(parent + " " + diffID.String())
}

// lastElement cuts the prefix "namespace/number/" that containerd puts before names.
func lastElement(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// sizeOf is the size that the label of a snapshot asks for; ok is false without the label.
func sizeOf(labels map[string]string) (size int64, ok bool, err error) {
	v, ok := labels[snapshots.LabelSnapshotMaxSize]
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	if err == nil {
		n, err = boundSize(float64(n))
	}
	if err != nil {
		return 0, false, fmt.Errorf("label %s: %q: %w: %w", snapshots.LabelSnapshotMaxSize, v, err, errdefs.ErrInvalidArgument)
	}
	return n, true, nil
}

// modeOf is the form of mounts that the label of a snapshot asks for, or the configuration.
func (s *Snapshotter) modeOf(labels map[string]string) (mode, error) {
	switch m := mode(labels[LabelMode]); m {
	case "":
		return s.conf.mode, nil
	case modeHost, modeManaged:
		return m, nil
	default:
		return "", fmt.Errorf("label %s: %q: must be host or managed: %w", LabelMode, m, errdefs.ErrInvalidArgument)
	}
}
