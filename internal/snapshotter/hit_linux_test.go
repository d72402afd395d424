package snapshotter

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cmount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/laminafs/lamina/internal/store"
)

// unpackLabels are those that containerd's unpacker sets.
func unpackLabels(parentChain, diffID digest.Digest) map[string]string {
	l := map[string]string{
		snapshots.LabelSnapshotRef:    store.ChainOf(parentChain.String(), diffID).String(),
		snapshots.LabelSnapshotDiffID: diffID.String(),
	}
	if parentChain != "" {
		l[store.LabelParentChain] = parentChain.String()
	}
	return l
}

// target finds the committed snapshot that containerd's metadata store looks for after ErrAlreadyExists.
func target(t *testing.T, s *Snapshotter, ref, parent string) string {
	t.Helper()
	name := ""
	filter := fmt.Sprintf(`labels.%q==%s,parent==%q`, snapshots.LabelSnapshotRef, ref, parent)
	must(t, s.Walk(t.Context(), func(_ context.Context, i snapshots.Info) error {
		if i.Kind == snapshots.KindCommitted && i.Labels[snapshots.LabelSnapshotRef] == ref && i.Parent == parent {
			name = i.Name
		}
		return nil
	}, filter))
	return name
}

func view(t *testing.T, s *Snapshotter, parent string) string {
	t.Helper()
	m, err := s.View(t.Context(), newKey("view"), parent)
	must(t, err)
	return mountAt(t, m)
}

func TestLayersThatAreThereAreNotUnpacked(t *testing.T) {
	s := open(t, Config{})
	low, high := publish(t, s, map[string]string{"f": "low", "l": "x"}), publish(t, s, map[string]string{"f": "high"})
	parent := ""
	var chainID digest.Digest
	for _, b := range []store.Blob{low, high} {
		labels := unpackLabels(chainID, b.Digest)
		chainID = digest.Digest(labels[snapshots.LabelSnapshotRef])
		_, err := s.Prepare(t.Context(), newKey("extract-1 "+chainID.String()), parent, snapshots.WithLabels(labels))
		if !errdefs.IsAlreadyExists(err) {
			t.Fatalf("%s: %v", b.Key, err)
		}
		name := target(t, s, chainID.String(), parent)
		if name == "" {
			t.Fatal("the committed snapshot is not found")
		}
		parent = name
	}
	dir := view(t, s, parent)
	if read(t, dir, "f") != "high" || read(t, dir, "l") != "x" {
		t.Error("not the content of the layers")
	}

	// The same in another namespace, with a parent and names of its own, from a containerd without diff-id.
	key := newKey("extract-2")
	_, err := s.Prepare(t.Context(), key, "", snapshots.WithLabels(map[string]string{snapshots.LabelSnapshotRef: low.Digest.String()}))
	if !errdefs.IsAlreadyExists(err) {
		t.Errorf("bottom layer by chain ID: %v", err)
	}
	_, err = s.Prepare(t.Context(), newKey("extract-3"), target(t, s, low.Digest.String(), ""), snapshots.WithLabels(map[string]string{snapshots.LabelSnapshotRef: chainID.String()}))
	if !errdefs.IsAlreadyExists(err) {
		t.Errorf("second layer by chain ID: %v", err)
	}
}

func TestLayersThatAreThereAreStagedForParallelUnpack(t *testing.T) {
	s := open(t, Config{})
	low, high := publish(t, s, map[string]string{"f": "low"}), publish(t, s, map[string]string{"f": "high", "g": "high"})
	labels := unpackLabels(low.Digest, high.Digest)
	key, name := newKey("extract-1"), newKey("committed")
	m, err := s.Prepare(t.Context(), key, "", snapshots.WithLabels(labels))
	must(t, err)
	if last := m[len(m)-1]; !last.ReadOnly() {
		t.Errorf("containerd does not see that %v is finished", m)
	}
	if m2, err := s.Mounts(t.Context(), key); err != nil || fmt.Sprint(m2) != fmt.Sprint(m) {
		t.Errorf("mounts are %v, %v", m2, err)
	}
	dir := mountAt(t, m)
	if read(t, dir, "g") != "high" {
		t.Error("the layer is not mounted")
	}
	unmount(t, dir)
	// containerd 2.3 downloads and unpacks all the same; the walking differ writes to the upper directory.
	write(t, upperOf(t, m), "g", "again")
	_, err = s.Prepare(t.Context(), newKey("extract-2"), "", snapshots.WithLabels(unpackLabels("", low.Digest)))
	if !errdefs.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	parent := target(t, s, low.Digest.String(), "")
	must(t, s.Commit(t.Context(), name, key, snapshots.WithLabels(labels), snapshots.WithParent(parent)))
	if dir := view(t, s, name); read(t, dir, "f") != "high" || read(t, dir, "g") != "high" {
		t.Error("not the content of the layers")
	}
}

func upperOf(t *testing.T, m []cmount.Mount) string {
	t.Helper()
	for _, o := range m[len(m)-1].Options {
		if dir, ok := strings.CutPrefix(o, "upperdir="); ok {
			return dir
		}
	}
	t.Fatalf("no upper directory in %v", m)
	return ""
}

func TestADiffIDFromAnAnnotationIsNotBelieved(t *testing.T) {
	s := open(t, Config{})
	evil := publish(t, s, map[string]string{"f": "evil"})
	victim := digest.FromString("chain of a good image")
	for _, parent := range []string{"", commitBlob(t, s, "", evil, nil)} {
		key := newKey("extract-1")
		m, err := s.Prepare(t.Context(), key, parent, snapshots.WithLabels(map[string]string{
			snapshots.LabelSnapshotRef: victim.String(), snapshots.LabelSnapshotDiffID: evil.Digest.String(), store.LabelParentChain: evil.Digest.String(),
		}))
		if err != nil || m[0].ReadOnly() {
			t.Errorf("parent %q: %v, %v", parent, m, err)
		}
	}
}

func TestABlobThatIsGoneIsNoHit(t *testing.T) {
	s := open(t, Config{})
	b := publish(t, s, map[string]string{"f": "x"})
	must(t, os.Remove(s.store.Path(b)))
	m, err := s.Prepare(t.Context(), newKey("extract-1"), "", snapshots.WithLabels(unpackLabels("", b.Digest)))
	if err != nil || m[0].ReadOnly() {
		t.Errorf("%v, %v", m, err)
	}
}

func TestCachesAreCheckedAndAdopted(t *testing.T) {
	other := open(t, Config{})
	good := publish(t, other, map[string]string{"f": "from the cache"})
	caches := []string{filepath.Join(t.TempDir(), "missing"), t.TempDir()}
	put := func(d digest.Digest, b []byte) {
		path := filepath.Join(caches[1], "sha256", d.Encoded()[:2], d.Encoded()+".erofs")
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, b, 0o644))
	}
	image, err := os.ReadFile(other.store.Path(good))
	must(t, err)
	put(good.Digest, image)
	bad := digest.FromString("bad")
	broken := append([]byte(nil), image...)
	for i := range 512 {
		broken[1152+i] ^= 0x55
	}
	put(bad, broken)

	var refused []Event
	s := open(t, Config{LayerContentCaches: caches, Observe: func(e Event) { refused = append(refused, e) }})
	_, err = s.Prepare(t.Context(), newKey("extract-1"), "", snapshots.WithLabels(unpackLabels("", good.Digest)))
	if !errdefs.IsAlreadyExists(err) {
		t.Errorf("layer of a cache: %v", err)
	}
	if dir := view(t, s, target(t, s, good.Digest.String(), "")); read(t, dir, "f") != "from the cache" {
		t.Error("not the content of the cache")
	}
	m, err := s.Prepare(t.Context(), newKey("extract-2"), "", snapshots.WithLabels(unpackLabels("", bad)))
	if err != nil || m[0].ReadOnly() {
		t.Errorf("damaged layer of a cache: %v, %v", m, err)
	}
	if len(refused) != 1 || !strings.Contains(refused[0].Path, bad.Encoded()) {
		t.Errorf("observed %v", refused)
	}
}
