package store

import (
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
)

func TestChainIDs(t *testing.T) {
	diffs := []digest.Digest{digest.FromString("a"), digest.FromString("b"), digest.FromString("c")}
	want := identity.ChainIDs(slices.Clone(diffs))
	parent := ""
	for i, d := range diffs {
		if got := ChainOf(parent, d); got != want[i] {
			t.Errorf("chain ID %d is %s, want %s", i, got, want[i])
		}
		parent = want[i].String()
	}
}

func TestExtractions(t *testing.T) {
	a, b := digest.FromString("a"), digest.FromString("b")
	ab := ChainOf(a.String(), b)
	for name, c := range map[string]struct {
		parent string
		labels map[string]string
		unpack bool
		want   Extraction
	}{
		"no layer":                  {labels: map[string]string{snapshots.LabelSnapshotDiffID: a.String()}},
		"bottom":                    {labels: map[string]string{snapshots.LabelSnapshotRef: a.String(), snapshots.LabelSnapshotDiffID: a.String()}, unpack: true, want: Extraction{a, a}},
		"parallel":                  {labels: map[string]string{snapshots.LabelSnapshotRef: ab.String(), snapshots.LabelSnapshotDiffID: b.String(), LabelParentChain: a.String()}, unpack: true, want: Extraction{ab, b}},
		"parent by its name":        {parent: "default/7/" + a.String(), labels: map[string]string{snapshots.LabelSnapshotRef: ab.String(), snapshots.LabelSnapshotDiffID: b.String()}, unpack: true, want: Extraction{ab, b}},
		"parent unknown":            {labels: map[string]string{snapshots.LabelSnapshotRef: ab.String(), snapshots.LabelSnapshotDiffID: b.String()}, unpack: true, want: Extraction{ab, ""}},
		"another diffID":            {labels: map[string]string{snapshots.LabelSnapshotRef: ab.String(), snapshots.LabelSnapshotDiffID: a.String(), LabelParentChain: a.String()}, unpack: true, want: Extraction{ab, ""}},
		"no diffID":                 {labels: map[string]string{snapshots.LabelSnapshotRef: ab.String()}, unpack: true, want: Extraction{ab, ""}},
		"names that are no digests": {labels: map[string]string{snapshots.LabelSnapshotRef: "x", snapshots.LabelSnapshotDiffID: "../y"}, unpack: true},
	} {
		got, unpack := ExtractionOf(&snapshots.Info{Parent: c.parent, Labels: c.labels})
		if got != c.want || unpack != c.unpack {
			t.Errorf("%s: %+v, %v", name, got, unpack)
		}
	}
}
