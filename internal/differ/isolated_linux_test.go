package differ

import (
	"errors"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
)

// With the policy isolated a config that names the diffID of somebody else's layer gets an error, not the layer; who has the
// content gets the blob that is there, stored once.
func TestIsolatedLayersGoToThoseWhoHaveTheContent(t *testing.T) {
	secret := tarOf(t, entry{name: "secret", data: "s"})
	diffID := digest.FromBytes(secret)
	labels := map[string]string{snapshots.LabelSnapshotRef: diffID.String(), snapshots.LabelSnapshotDiffID: diffID.String()}
	for _, isolated := range []bool{false, true} {
		e := newEnv(t, Config{Isolated: isolated})
		s := e.unpacking("", nil)
		_, err := e.d.Apply(t.Context(), e.put(ocispec.MediaTypeImageLayer, secret), s.mounts)
		must(t, err)
		mine := e.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, tarOf(t, entry{name: "mine", data: "m"})))
		_, err = e.d.Apply(t.Context(), mine, e.unpacking("", labels).mounts)
		var wrong *convert.DigestError
		if isolated && !errors.As(err, &wrong) || !isolated && err != nil {
			t.Errorf("isolated %v: a layer with the diffID of another: %v", isolated, err)
		}
		absent := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromString("never fetched"), Size: 5}
		_, err = e.d.Apply(t.Context(), absent, e.unpacking("", labels).mounts)
		if isolated != errdefs.IsNotFound(err) {
			t.Errorf("isolated %v: content that is not here: %v", isolated, err)
		}
		again := e.unpacking("", labels)
		_, err = e.d.Apply(t.Context(), e.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, secret)), again.mounts)
		must(t, err)
		if b := e.blob(again.id); b.N != e.blob(s.id).N || b.Key != (store.Key{Profile: convert.Profile, Digest: diffID}) {
			t.Errorf("isolated %v: the layer is there twice: %v", isolated, b)
		}
	}
}
