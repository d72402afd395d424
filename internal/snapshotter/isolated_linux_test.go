package snapshotter

import (
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// With the policy isolated whoever only names a layer gets a snapshot to unpack it into, not the layer.
func TestIsolatedLayersAreUnpackedByEverybody(t *testing.T) {
	for policy, spared := range map[string]bool{"": true, "shared": true, "isolated": false} {
		s := open(t, Config{ContentSharingPolicy: policy})
		b := publish(t, s, map[string]string{"secret": "x"})
		commitBlob(t, s, "", b, nil)
		for _, parentChain := range []digest.Digest{"", digest.FromString("parent of another image")} {
			m, err := s.Prepare(t.Context(), newKey("extract-1 x"), "", snapshots.WithLabels(unpackLabels(parentChain, b.Digest)))
			hit := errdefs.IsAlreadyExists(err) || err == nil && m[0].ReadOnly()
			if hit != spared || err != nil && !errdefs.IsAlreadyExists(err) {
				t.Errorf("policy %q: %v, %v", policy, m, err)
			}
			if err == nil && !spared && strings.Contains(strings.Join(m[0].Options, ","), s.store.MountPoint(b.N)) {
				t.Errorf("policy %q: %v shows the layer", policy, m)
			}
		}
	}
}
