package snapshotter

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff/apply"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layerTar is a layer; names that end with a slash are directories.
func layerTar(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(name))}
		if name[len(name)-1] == '/' {
			h.Typeflag, h.Mode, h.Size = tar.TypeDir, 0o755, 0
		}
		if filepath.Base(name)[:min(4, len(filepath.Base(name)))] == ".wh." {
			h.Size = 0
		}
		must(t, w.WriteHeader(h))
		if h.Size > 0 {
			_, err := w.Write([]byte(name))
			must(t, err)
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

// TestWalkingDifferKeepsWhiteouts unpacks with containerd's own differ, which knows nothing of the store:
// one layer after the other with its parent, and all at once without (rebase). In containerd 2.4.2 the
// second loses the whiteouts of every snapshotter that is not called overlayfs.
func TestWalkingDifferKeepsWhiteouts(t *testing.T) {
	layers := [][]byte{
		layerTar(t, "d/", "d/gone", "d/kept", "o/", "o/hidden", "gone"),
		layerTar(t, "d/", "d/.wh.gone", "o/", "o/.wh..wh..opq", "o/new", ".wh.gone"),
	}
	for name, parallel := range map[string]bool{"one after the other": false, "in parallel": true} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Config{})
			cs, err := local.NewStore(t.TempDir())
			must(t, err)
			top := unpackWalking(t, s, cs, layers, parallel)
			m, err := s.Prepare(t.Context(), newKey("container"), top)
			must(t, err)
			dir := mountAt(t, m)
			var got []string
			must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
				if rel, _ := filepath.Rel(dir, path); rel != "." {
					got = append(got, rel)
				}
				return err
			}))
			if want := []string{"d", "d/kept", "o", "o/new"}; !equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// unpackWalking does what containerd's unpacker does and returns the name of the top snapshot.
func unpackWalking(t *testing.T, s *Snapshotter, cs content.Store, layers [][]byte, parallel bool) string {
	t.Helper()
	applier := apply.NewFileSystemApplier(cs)
	var chainID digest.Digest
	type prepared struct {
		key    string
		labels map[string]string
	}
	var all []prepared
	parent := ""
	for _, b := range layers {
		desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(b), Size: int64(len(b))}
		must(t, content.WriteBlob(t.Context(), cs, desc.Digest.String(), bytes.NewReader(b), desc))
		p := prepared{newKey("extract-1"), unpackLabels(chainID, desc.Digest)}
		chainID = digest.Digest(p.labels[snapshots.LabelSnapshotRef])
		m, err := s.Prepare(t.Context(), p.key, parent, snapshots.WithLabels(p.labels))
		must(t, err)
		_, err = applier.Apply(t.Context(), desc, []mount.Mount(m))
		must(t, err)
		if all = append(all, p); !parallel {
			parent = newKey(chainID.String())
			must(t, s.Commit(t.Context(), parent, p.key, snapshots.WithLabels(p.labels)))
		}
	}
	if !parallel {
		return parent
	}
	for _, p := range all {
		name := newKey(p.labels[snapshots.LabelSnapshotRef])
		must(t, s.Commit(t.Context(), name, p.key, snapshots.WithLabels(p.labels), snapshots.WithParent(parent)))
		parent = name
	}
	return parent
}
