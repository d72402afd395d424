package snapshotter

import (
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/laminafs/lamina/internal/oracle"
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

// An image that a guest has spoilt is neither committed nor mounted here, whatever style the snapshot has by then.
func TestSpoiltImageOfAGuestIsRefused(t *testing.T) {
	oracle.Need(t, "mkfs.ext4")
	debugfs := oracle.Need(t, "debugfs")
	s := open(t, Config{MountMode: "managed", DefaultSize: "16MiB"})
	image := commitBlob(t, s, "", publish(t, s, map[string]string{"f": "x"}), nil)
	key := newKey("container")
	m, err := s.Prepare(t.Context(), key, image)
	must(t, err)
	oracle.Run(t, debugfs, "-w", "-R", "clri <2>", m[0].Source) // the root directory
	if err := s.Commit(t.Context(), newKey("committed"), key); err == nil || !strings.Contains(err.Error(), "e2fsck") {
		t.Errorf("commit: %v", err)
	}
	host, err := New(t.Context(), s.store, Config{DefaultSize: "16MiB"})
	must(t, err)
	if m, err := host.Mounts(t.Context(), key); err == nil || !strings.Contains(err.Error(), "e2fsck") {
		t.Errorf("mounts in host style: %v, %v", m, err)
	}
}
