package differ

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/images"
	cmount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
)

// imageOf converts a tar in memory.
func imageOf(t testing.TB, layer []byte) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	must(t, err)
	defer func() { _ = f.Close() }()
	_, err = convert.Layer(bytes.NewReader(layer), f, convert.Options{})
	must(t, err)
	b, err := os.ReadFile(f.Name())
	must(t, err)
	return b
}

// files returns what an applied layer has, by path.
func (e *env) files(b store.Blob) map[string]string {
	e.t.Helper()
	f, err := os.Open(e.store.Path(b))
	must(e.t, err)
	defer func() { _ = f.Close() }()
	var devices []io.ReaderAt
	for _, path := range e.store.DevicePaths(b) {
		d, err := os.Open(path)
		must(e.t, err)
		defer func() { _ = d.Close() }()
		devices = append(devices, d)
	}
	im, err := erofs.Open(f, devices...)
	must(e.t, err)
	t, err := im.Tree()
	must(e.t, err)
	return flat(e.t, t)
}

func TestApplyTakesEveryMediaType(t *testing.T) {
	plain := small(t)
	image := imageOf(t, plain)
	var want map[string]string
	for _, c := range []struct {
		mediaType string
		layer     []byte
		native    bool
	}{
		{ocispec.MediaTypeImageLayer, plain, false},
		{ocispec.MediaTypeImageLayerGzip, gzipped(t, plain), false},
		{ocispec.MediaTypeImageLayerZstd, zstded(t, plain), false},
		{mediaTypeNonDistributable, plain, false},
		{mediaTypeNonDistributable + "+gzip", gzipped(t, plain), false},
		{mediaTypeNonDistributable + "+zstd", zstded(t, plain), false},
		{images.MediaTypeDockerSchema2Layer, plain, false},
		{images.MediaTypeDockerSchema2Layer, gzipped(t, plain), false}, // compressed all the same
		{images.MediaTypeDockerSchema2LayerGzip, gzipped(t, plain), false},
		{images.MediaTypeDockerSchema2LayerZstd, zstded(t, plain), false},
		{images.MediaTypeDockerSchema2LayerForeign, plain, false},
		{images.MediaTypeDockerSchema2LayerForeignGzip, gzipped(t, plain), false},
		{MediaTypeErofsLayer, image, true},
		{MediaTypeErofsLayer + "+zstd", zstded(t, image), true},
		{MediaTypeErofs, image, true},
		{MediaTypeErofs + "+zstd", zstded(t, image), true},
	} {
		for _, conf := range []Config{{}, {EnableTarIndex: true, ContentRoot: "local"}} {
			e := newEnv(t, conf)
			desc := e.put(c.mediaType, c.layer)
			s := e.unpacking("", nil)
			got, err := e.d.Apply(t.Context(), desc, s.mounts)
			if err != nil {
				t.Errorf("%s, %+v: %v", c.mediaType, conf, err)
				continue
			}
			expect := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(plain), Size: int64(len(plain))}
			if c.native {
				base, _, _ := strings.Cut(c.mediaType, "+")
				expect = ocispec.Descriptor{MediaType: base, Digest: digest.FromBytes(image), Size: int64(len(image))}
			}
			if got.MediaType != expect.MediaType || got.Digest != expect.Digest || got.Size != expect.Size {
				t.Errorf("%s, %+v: got %+v, want %+v", c.mediaType, conf, got, expect)
			}
			files := e.files(e.blob(s.id))
			if want == nil {
				want = files
			}
			equal(t, files, want)
		}
	}
}

func TestApplyRefusesOtherMediaTypes(t *testing.T) {
	e := newEnv(t, Config{})
	s := e.unpacking("", nil)
	for _, mediaType := range []string{
		images.MediaTypeImageLayerEncrypted, images.MediaTypeImageLayerGzipEncrypted, MediaTypeErofs + "+gzip",
		"application/vnd.erofs.chunk-index.v1", "application/vnd.oci.image.config.v1+json", "application/x-tar",
		ocispec.MediaTypeImageLayer + "+xz", ocispec.MediaTypeImageLayer + "+gzip+zstd", "",
	} {
		_, err := e.d.Apply(t.Context(), e.put(mediaType, small(t)), s.mounts)
		if !errdefs.IsNotImplemented(err) {
			t.Errorf("%q: %v", mediaType, err)
		}
	}
	e.nothingLeft()
}

func TestApplyLeavesMountsOfOthersToOthers(t *testing.T) {
	e := newEnv(t, Config{})
	desc := e.put(ocispec.MediaTypeImageLayer, small(t))
	for name, mounts := range map[string][]cmount.Mount{
		"none":    nil,
		"a bind":  {{Type: "bind", Source: t.TempDir()}},
		"another": {{Type: "overlay", Source: "overlay", Options: []string{"upperdir=/var/lib/other/snapshots/1/fs", "lowerdir=/x"}}},
	} {
		if _, err := e.d.Apply(t.Context(), desc, mounts); !errdefs.IsNotImplemented(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestApplyRefusesReadOnlySnapshots(t *testing.T) {
	e := newEnv(t, Config{})
	s := e.unpacking("", nil)
	s.mounts[0].Options = append(s.mounts[0].Options, "ro")
	_, err := e.d.Apply(t.Context(), e.put(ocispec.MediaTypeImageLayer, small(t)), s.mounts)
	if !errdefs.IsFailedPrecondition(err) || errdefs.IsNotImplemented(err) {
		t.Error(err)
	}
	e.nothingLeft()
}

// containerd 2.2 and 2.3 apply the layer although the snapshotter has linked its blob.
func TestApplyToAStagedSnapshotOnlyAnswers(t *testing.T) {
	e := newEnv(t, Config{})
	plain := small(t)
	first := e.unpacking("", nil)
	_, err := e.d.Apply(t.Context(), e.put(ocispec.MediaTypeImageLayer, plain), first.mounts)
	must(t, err)
	s := e.unpacking("", nil)
	must(t, e.store.Update(t.Context(), func(_ context.Context, tx *store.Tx) error { return tx.Link(s.id, e.linkOf(tx, first.id)) }))
	s.mounts[0].Options = append(s.mounts[0].Options, "ro")
	absent := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromString("never read"), Size: 9}
	out, err := e.d.Apply(t.Context(), absent, s.mounts)
	if err != nil || out.Digest != digest.FromBytes(plain) || e.last() != Linked {
		t.Errorf("%+v, %v, %s", out, err, e.last())
	}
}

// linkOf is the key that a snapshot is linked to, in a transaction.
func (e *env) linkOf(tx *store.Tx, id string) store.Key {
	k, ok := tx.LinkOf(id)
	if !ok {
		e.t.Fatalf("snapshot %s has no blob", id)
	}
	return k
}

// A layer applied to the snapshot of a container goes to its upper directory: nothing would mount a blob.
func TestApplyToAContainerUnpacks(t *testing.T) {
	e := newEnv(t, Config{})
	s := e.prepare("ns/9/container", "", nil)
	out, err := e.d.Apply(t.Context(), e.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, small(t))), s.mounts)
	must(t, err)
	if out.Digest != digest.FromBytes(small(t)) || e.last() != Unpacked {
		t.Errorf("%+v, %s", out, e.last())
	}
	var st syscall.Stat_t
	must(t, syscall.Stat(filepath.Join(e.store.Upper(s.id), "etc/gone"), &st))
	if st.Mode&syscall.S_IFMT != syscall.S_IFCHR {
		t.Errorf("whiteout has mode %o", st.Mode)
	}
	e.nothingLeft()
}

func TestApplyVerifiesTheDiffIDOfTheLabel(t *testing.T) {
	plain := small(t)
	for name, c := range map[string]struct {
		labels map[string]string
		fails  bool
	}{
		"right": {map[string]string{snapshots.LabelSnapshotRef: digest.FromBytes(plain).String(), snapshots.LabelSnapshotDiffID: digest.FromBytes(plain).String()}, false},
		"wrong": {map[string]string{snapshots.LabelSnapshotRef: digest.FromString("x").String(), snapshots.LabelSnapshotDiffID: digest.FromString("x").String()}, true},
		// not the unpacker's: an annotation of the manifest
		"not of the chain": {map[string]string{snapshots.LabelSnapshotRef: digest.FromBytes(plain).String(), snapshots.LabelSnapshotDiffID: digest.FromString("x").String()}, false},
		"with a parent": {map[string]string{
			snapshots.LabelSnapshotRef:    digest.FromString(digest.FromString("p").String() + " " + digest.FromBytes(plain).String()).String(),
			snapshots.LabelSnapshotDiffID: digest.FromBytes(plain).String(), store.LabelParentChain: digest.FromString("p").String(),
		}, false},
		"wrong with a parent": {map[string]string{
			snapshots.LabelSnapshotRef:    digest.FromString(digest.FromString("p").String() + " " + digest.FromString("x").String()).String(),
			snapshots.LabelSnapshotDiffID: digest.FromString("x").String(), store.LabelParentChain: digest.FromString("p").String(),
		}, true},
	} {
		for _, index := range []bool{false, true} {
			e := newEnv(t, Config{EnableTarIndex: index, ContentRoot: "local"})
			for mediaType, layer := range map[string][]byte{ocispec.MediaTypeImageLayer: plain, ocispec.MediaTypeImageLayerGzip: gzipped(t, plain)} {
				s := e.unpacking("", c.labels)
				_, err := e.d.Apply(t.Context(), e.put(mediaType, layer), s.mounts)
				var wrong *convert.DigestError
				if c.fails != (errors.As(err, &wrong) && errdefs.IsInvalidArgument(err)) || !c.fails && err != nil {
					t.Errorf("%s, %s, index %v: %v", name, mediaType, index, err)
				}
			}
			if c.fails {
				e.nothingLeft()
			}
		}
	}
}

// A layer is converted once, whatever form it comes in and whoever says what its diffID is.
func TestApplyLinksABlobThatIsThere(t *testing.T) {
	plain := small(t)
	e := newEnv(t, Config{})
	diffID := digest.FromBytes(plain)
	gz := e.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, plain))
	_, err := e.d.Apply(t.Context(), gz, e.unpacking("", nil).mounts)
	must(t, err)

	label := map[string]string{snapshots.LabelSnapshotRef: diffID.String(), snapshots.LabelSnapshotDiffID: diffID.String()}
	absent := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerZstd, Digest: digest.FromString("not there"), Size: 7}
	for name, c := range map[string]struct {
		desc   ocispec.Descriptor
		labels map[string]string
		size   int64
	}{
		"converted before":             {gz, nil, int64(len(plain))},
		"label of the snapshot":        {absent, label, 0},
		"digest of the uncompressed":   {e.put(ocispec.MediaTypeImageLayer, plain), nil, int64(len(plain))},
		"the same, and not downloaded": {ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: diffID, Size: int64(len(plain))}, nil, int64(len(plain))},
	} {
		s := e.unpacking("", c.labels)
		var said []int64
		out, err := e.d.Apply(t.Context(), c.desc, s.mounts, diff.WithProgress(func(_ ocispec.Descriptor, n int64) { said = append(said, n) }))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e.last() != Linked || out.Digest != diffID || out.Size != c.size || out.MediaType != ocispec.MediaTypeImageLayer {
			t.Errorf("%s: %s, %+v", name, e.last(), out)
		}
		if e.blob(s.id).Digest != diffID {
			t.Errorf("%s: linked to %v", name, e.blob(s.id))
		}
		if !slices.Equal(said, []int64{0, c.desc.Size}) {
			t.Errorf("%s: progress %v", name, said)
		}
	}
}

// containerd before 2.4 labels content with the diffID of a manifest although the layer was linked by it, unread.
func TestApplyDoesNotBelieveTheLabelOfTheContent(t *testing.T) {
	e := newEnv(t, Config{})
	other := e.put(ocispec.MediaTypeImageLayer, tarOf(t))
	_, err := e.d.Apply(t.Context(), other, e.unpacking("", nil).mounts)
	must(t, err)
	plain := small(t)
	gz := e.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, plain))
	lie := map[string]string{labels.LabelUncompressed: other.Digest.String()}
	_, err = e.content.Update(t.Context(), content.Info{Digest: gz.Digest, Labels: lie}, "labels."+labels.LabelUncompressed)
	must(t, err)
	s := e.unpacking("", nil)
	out, err := e.d.Apply(t.Context(), gz, s.mounts)
	must(t, err)
	if want := digest.FromBytes(plain); out.Digest != want || e.blob(s.id).Digest != want {
		t.Errorf("%+v, linked to %v", out, e.blob(s.id))
	}
}

// A blob whose file somebody has removed or cut is made again.
func TestApplyDoesNotLinkABlobWithoutItsFile(t *testing.T) {
	plain := small(t)
	for name, damage := range map[string]func(path string) error{
		"removed": os.Remove,
		"cut":     func(path string) error { return os.Truncate(path, 4096) },
	} {
		e := newEnv(t, Config{})
		desc := e.put(ocispec.MediaTypeImageLayer, plain)
		first := e.unpacking("", nil)
		_, err := e.d.Apply(t.Context(), desc, first.mounts)
		must(t, err)
		want := e.files(e.blob(first.id))
		must(t, damage(e.store.Path(e.blob(first.id))))
		again := e.unpacking("", nil)
		_, err = e.d.Apply(t.Context(), desc, again.mounts)
		must(t, err)
		if e.last() != Converted {
			t.Errorf("%s: %s", name, e.last())
		}
		equal(t, e.files(e.blob(again.id)), want)
		equal(t, e.files(e.blob(first.id)), want)
	}
}

func TestWhatIsRememberedOfLayersIsBounded(t *testing.T) {
	var f flights
	for i := range maxPast + 10 {
		of := digest.FromString(fmt.Sprint(i))
		l, err := f.enter(t.Context(), of)
		must(t, err)
		l.diffID = of
		f.leave(of, l)
	}
	if len(f.past) > maxPast || len(f.past) == 0 || len(f.all) != 0 {
		t.Errorf("%d remembered, %d flights", len(f.past), len(f.all))
	}
}

// Sixteen images with the same layer at the same time convert it once.
func TestApplyConvertsALayerOnceForAllWhoWait(t *testing.T) {
	e := newEnv(t, Config{})
	desc := e.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, small(t)))
	var all []snapshot
	for range 16 {
		all = append(all, e.unpacking("", nil))
	}
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() {
			if out, err := e.d.Apply(t.Context(), desc, s.mounts); err != nil || out.Size != int64(len(small(t))) {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
	wg.Wait()
	count := map[How]int{}
	for _, ev := range e.events {
		count[ev.How]++
	}
	if count[Converted] != 1 || count[Linked] != 15 {
		t.Errorf("%v", count)
	}
	if len(e.d.flights.all) != 0 {
		t.Error("flights are left")
	}
}

func TestApplyTellsItsProgress(t *testing.T) {
	e := newEnv(t, Config{})
	desc := e.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, small(t)))
	var said []int64
	_, err := e.d.Apply(t.Context(), desc, e.unpacking("", nil).mounts, diff.WithProgress(func(_ ocispec.Descriptor, n int64) { said = append(said, n) }))
	must(t, err)
	if len(said) < 2 || said[0] != 0 || said[len(said)-1] != desc.Size || !slices.IsSorted(said) {
		t.Errorf("%v, want from 0 to %d", said, desc.Size)
	}
}

func TestApplyEndsWhenItIsCancelled(t *testing.T) {
	e := newEnv(t, Config{})
	desc := e.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, small(t)))
	s := e.unpacking("", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.d.Apply(ctx, desc, s.mounts); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	e.nothingLeft()
}

func TestApplyOfWhatIsNotThere(t *testing.T) {
	e := newEnv(t, Config{ContentRoot: "local"})
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromString("x"), Size: 1}
	if _, err := e.d.Apply(t.Context(), desc, e.unpacking("", nil).mounts); !errdefs.IsNotFound(err) {
		t.Errorf("content: %v", err)
	}
	gone := e.unpacking("", nil)
	gone.mounts[0].Options[1] = "upperdir=" + e.store.Upper("999")
	gone.mounts[0].Options[0] = "workdir=" + e.store.Work("999")
	if _, err := e.d.Apply(t.Context(), e.put(ocispec.MediaTypeImageLayer, small(t)), gone.mounts); !errdefs.IsNotFound(err) {
		t.Errorf("snapshot: %v", err)
	}
	desc.Digest = "sha256:../../../etc/passwd"
	if _, err := e.d.Apply(t.Context(), desc, e.unpacking("", nil).mounts); !errdefs.IsInvalidArgument(err) {
		t.Errorf("digest: %v", err)
	}
	e.nothingLeft()
}
