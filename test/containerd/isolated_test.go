//go:build linux

package containerd

import (
	"strings"
	"testing"
)

// With content_sharing_policy = "isolated" another namespace of containerd downloads the layers that are in the store, which
// keeps them once; with "shared" it does not.
func TestIsolatedLayersAreDownloadedByEveryNamespace(t *testing.T) {
	for policy, downloaded := range map[string]bool{"shared": false, "isolated": true} {
		t.Run(policy, func(t *testing.T) {
			s := startOurs(t, current, func(o *options) { o.lamina.Options = `content_sharing_policy = "` + policy + `"` })
			img := small(t, 3)
			ref := s.push("small", img)
			s.pull(ref)
			other := s.containerd.Namespace + "-other"
			s.ctr("-n", other, "images", "pull", "--plain-http", "--snapshotter", s.name, ref)
			content := s.ctr("-n", other, "content", "ls", "-q")
			for i, l := range img.Layers {
				if has := strings.Contains(content, l.Descriptor.Digest.String()); has != downloaded {
					t.Errorf("layer %d: downloaded %v", i, has)
				}
			}
			if n := len(blobFiles(s)); n != len(img.Layers) {
				t.Errorf("%d blobs of %d layers", n, len(img.Layers))
			}
			s.ctr("-n", other, "images", "rm", "--sync", ref)
			s.ctr("namespaces", "rm", other)
			s.removeAllImages()
		})
	}
}
