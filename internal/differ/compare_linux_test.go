package differ

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff"
	cmount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/tree"
)

var allForms = []string{
	ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd,
	MediaTypeErofsLayer, MediaTypeErofsLayer + "+zstd", MediaTypeErofs, MediaTypeErofs + "+zstd",
}

// chain makes a committed snapshot of n layers. Each has a file of its own, changes one and removes one.
func (e *env) chain(n int) string {
	e.t.Helper()
	parent := ""
	for i := range n {
		list := []entry{
			{name: "./"}, {name: "etc/"}, {name: "etc/shared", data: fmt.Sprint("layer ", i)}, {name: fmt.Sprintf("etc/only%d", i), data: strings.Repeat("x", i*300)},
		}
		if i == 0 {
			list = append(list, entry{name: "dir/"}, entry{name: "dir/sub/"}, entry{name: "dir/sub/a", data: "a"}, entry{name: "dir/b", data: "b"},
				entry{name: "doomed/"}, entry{name: "doomed/x", data: "x"}, entry{name: "again/"}, entry{name: "again/old", data: "old"},
				entry{name: "bin/"}, entry{name: "bin/tool", data: strings.Repeat("tool", 5000), pax: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}})
		}
		if i > 0 && i%3 == 0 {
			list = append(list, entry{name: fmt.Sprintf("etc/.wh.only%d", i-2)})
		}
		parent = e.layer(parent, tarOf(e.t, list...))
	}
	return parent
}

// layer applies and commits a layer.
func (e *env) layer(parent string, layer []byte) string {
	e.t.Helper()
	s := e.unpacking(parent, nil)
	_, err := e.d.Apply(e.t.Context(), e.put(ocispec.MediaTypeImageLayer, layer), s.mounts)
	must(e.t, err)
	name := "committed " + s.key
	e.commit(s, name)
	return name
}

// change mounts a snapshot and changes what a container changes.
func (e *env) change(s snapshot, fn func(root string)) {
	e.t.Helper()
	root := e.t.TempDir()
	must(e.t, cmount.All(s.mounts, root))
	fn(root)
	must(e.t, mount.Umount(root, false))
}

func changes(t testing.TB, root string) {
	at := func(p string) string { return filepath.Join(root, p) }
	must(t, os.RemoveAll(at("doomed")))
	must(t, os.RemoveAll(at("again")))
	must(t, os.Mkdir(at("again"), 0o711)) // opaque
	must(t, os.WriteFile(at("again/new"), []byte("new"), 0o600))
	must(t, os.Remove(at("dir/sub/a")))
	must(t, os.WriteFile(at("etc/shared"), []byte("container"), 0o644))
	must(t, os.Chmod(at("dir/b"), 0o4755))
	must(t, os.Lchown(at("etc/only0"), 1000, 1001))
	must(t, os.WriteFile(at("first"), []byte(strings.Repeat("linked ", 1000)), 0o644))
	must(t, os.Link(at("first"), at("dir/second")))
	must(t, os.Symlink("../first", at("dir/sym")))
	must(t, unix.Mkfifo(at("fifo"), 0o640))
	must(t, unix.Mknod(at("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(t, unix.Setxattr(at("first"), "user.text", []byte("value"), 0))
	must(t, unix.Setxattr(at("dir"), "user.dir", []byte("\x00binary"), 0))
	must(t, unix.Setxattr(at("first"), "trusted.mine", []byte("1"), 0))
	must(t, os.Mkdir(at("empty"), 0o1777))
	must(t, os.WriteFile(at("sparse"), []byte("start"), 0o644))
	must(t, os.Truncate(at("sparse"), 3<<20))
	must(t, os.WriteFile(at("nöt ascii \xff"), nil, 0o644))
	must(t, os.Chtimes(at("dir/b"), time.Time{}, time.Unix(1_500_000_000, 123_456_789)))
}

// shown reads what mounts show.
func (e *env) shown(mounts []cmount.Mount) map[string]string {
	e.t.Helper()
	var all map[string]string
	must(e.t, cmount.WithReadonlyTempMount(e.t.Context(), mounts, func(root string) error {
		tr, err := dirtree.Read(root, readAll{}, dirtree.Options{})
		if err == nil {
			all = flat(e.t, tr)
		}
		return err
	}))
	return all
}

// readAll is a spool in memory.
type readAll struct{}

func (readAll) Put(f tree.File, r io.Reader) (tree.Content, error) {
	b, err := io.ReadAll(r)
	if err != nil || f.Data == nil {
		return tree.Bytes(b), err
	}
	whole := make([]byte, f.Size)
	for _, x := range f.Data {
		b = b[copy(whole[x.Off:x.Off+x.Len], b):]
	}
	return tree.Bytes(whole), nil
}

// What a container changed, made a layer and applied to the same parent, is what the container sees; and
// the layer of the committed snapshot is, bit by bit, that of the container.
func TestCompareThenApplyShowsTheSame(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5, 50} {
		e := newEnv(t, Config{ContentRoot: "local"})
		parent := e.chain(n)
		s := e.prepare("ns/1/container", parent, nil)
		e.change(s, func(root string) {
			if n > 0 {
				changes(t, root)
			} else {
				must(t, os.WriteFile(filepath.Join(root, "file"), []byte("text"), 0o644))
			}
		})
		want := e.shown(s.mounts)
		forms := allForms
		if n != 1 {
			forms = []string{ocispec.MediaTypeImageLayerGzip, MediaTypeErofsLayer + "+zstd"}[:min(2, 51-n)]
		}
		for _, form := range forms {
			got, err := e.d.Compare(t.Context(), e.view(parent), s.mounts, diff.WithMediaType(form))
			if err != nil {
				t.Fatalf("%d layers, %s: %v", n, form, err)
			}
			if e.last() != Streamed || got.MediaType != form {
				t.Errorf("%d layers, %s: %s, %+v", n, form, e.last(), got)
			}
			diffID := e.uncompressed(got)
			u := e.unpacking(parent, nil)
			applied, err := e.d.Apply(t.Context(), got, u.mounts)
			if err != nil {
				t.Fatalf("%d layers, %s: %v", n, form, err)
			}
			if applied.Digest != diffID {
				t.Errorf("%d layers, %s: applied as %s, labelled %s", n, form, applied.Digest, diffID)
			}
			name := "committed " + u.key
			e.commit(u, name)
			equal(t, e.shown(e.view(name)), want)
			again, err := e.d.Compare(t.Context(), e.view(parent), e.view(name), diff.WithMediaType(form))
			must(t, err)
			if e.last() != Streamed || again.Digest != got.Digest {
				t.Errorf("%d layers, %s: %s: %s of the committed snapshot, %s of the container", n, form, e.last(), again.Digest, got.Digest)
			}
		}
	}
}

// uncompressed is the label of content.
func (e *env) uncompressed(desc ocispec.Descriptor) digest.Digest {
	e.t.Helper()
	info, err := e.content.Info(e.t.Context(), desc.Digest)
	must(e.t, err)
	if info.Size != desc.Size {
		e.t.Errorf("%d bytes, descriptor says %d", info.Size, desc.Size)
	}
	return digest.Digest(info.Labels[labels.LabelUncompressed])
}

func TestCompareOfWhatIsNoPairComparesRoots(t *testing.T) {
	e := newEnv(t, Config{})
	grand := e.chain(2)
	parent := e.layer(grand, tarOf(t, entry{name: "etc/"}, entry{name: "etc/third", data: "3"}, entry{name: "etc/.wh.only1"}))
	s := e.prepare("ns/1/container", parent, nil)
	e.change(s, func(root string) { changes(t, root) })
	want := e.shown(s.mounts)
	for _, form := range []string{ocispec.MediaTypeImageLayer, MediaTypeErofs + "+zstd"} {
		got, err := e.d.Compare(t.Context(), e.view(grand), s.mounts, diff.WithMediaType(form))
		must(t, err)
		if e.last() != Compared {
			t.Errorf("%s: %s", form, e.last())
		}
		u := e.unpacking(grand, nil)
		_, err = e.d.Apply(t.Context(), got, u.mounts)
		must(t, err)
		name := "committed " + u.key
		e.commit(u, name)
		equal(t, e.shown(e.view(name)), want)
	}
	// a directory that is nobody's snapshot
	lower := t.TempDir()
	must(t, os.Chtimes(lower, time.Time{}, time.Unix(0, 0)))
	got, err := e.d.Compare(t.Context(), []cmount.Mount{{Type: "bind", Source: lower, Options: []string{"rbind", "ro"}}}, e.view(parent))
	must(t, err)
	u := e.unpacking("", nil)
	_, err = e.d.Apply(t.Context(), got, u.mounts)
	must(t, err)
	e.commit(u, "flat")
	equal(t, e.shown(e.view("flat")), e.shown(e.view(parent)))
}

func TestCompareOfEqualSnapshotsIsEmpty(t *testing.T) {
	e := newEnv(t, Config{})
	name := e.chain(3)
	got, err := e.d.Compare(t.Context(), e.view(name), e.view(name), diff.WithMediaType(ocispec.MediaTypeImageLayer))
	must(t, err)
	for _, h := range e.headers(got) {
		if h.Name != "./" {
			t.Errorf("%q in an empty layer", h.Name)
		}
	}
}

// headers lists the entries of an uncompressed layer.
func (e *env) headers(desc ocispec.Descriptor) (list []*tar.Header) {
	e.t.Helper()
	b, err := content.ReadBlob(e.t.Context(), e.content, desc)
	must(e.t, err)
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return list
		}
		must(e.t, err)
		list = append(list, h)
	}
}

// A directory that overlayfs has renamed by a redirect is in the layer with all that is in it.
func TestCompareFollowsRedirects(t *testing.T) {
	e := newEnv(t, Config{})
	parent := e.chain(2)
	s := e.prepare("ns/1/container", parent, nil)
	s.mounts[0].Options = append(s.mounts[0].Options, "redirect_dir=on", "metacopy=on")
	e.change(s, func(root string) {
		must(t, os.Rename(filepath.Join(root, "dir"), filepath.Join(root, "moved")))
		must(t, os.Chmod(filepath.Join(root, "bin/tool"), 0o700)) // without its data
	})
	want := e.shown(s.mounts)
	if _, ok := want["moved/sub/a"]; !ok {
		t.Fatal("this kernel renames no directories of lower layers")
	}
	for _, form := range []string{ocispec.MediaTypeImageLayerZstd, MediaTypeErofs} {
		got, err := e.d.Compare(t.Context(), e.view(parent), s.mounts, diff.WithMediaType(form))
		must(t, err)
		if e.last() != Compared {
			t.Errorf("%s: %s", form, e.last())
		}
		u := e.unpacking(parent, nil)
		_, err = e.d.Apply(t.Context(), got, u.mounts)
		must(t, err)
		name := "committed " + u.key
		e.commit(u, name)
		equal(t, e.shown(e.view(name)), want)
	}
}

func TestCompareTakesItsOptions(t *testing.T) {
	e := newEnv(t, Config{})
	parent := e.chain(1)
	s := e.prepare("ns/1/container", parent, nil)
	e.change(s, func(root string) {
		changes(t, root)
		must(t, unix.Setxattr(filepath.Join(root, "first"), "security.selinux", []byte("label"), 0))
	})
	epoch := time.Unix(1_600_000_000, 5)
	set := map[string]string{"a": "b"}
	got, err := e.d.Compare(t.Context(), e.view(parent), s.mounts, diff.WithMediaType(ocispec.MediaTypeImageLayer),
		diff.WithLabels(set), diff.WithReference("mine"), diff.WithSourceDateEpoch(&epoch))
	must(t, err)
	info, err := e.content.Info(t.Context(), got.Digest)
	must(t, err)
	if info.Labels["a"] != "b" || info.Labels[labels.LabelUncompressed] != got.Digest.String() || len(set) != 1 {
		t.Errorf("labels %v, given %v", info.Labels, set)
	}
	for _, h := range e.headers(got) {
		if h.ModTime.After(epoch) {
			t.Errorf("%s: %v", h.Name, h.ModTime)
		}
		if strings.Contains(h.Name, ".wh.") && h.ModTime.Unix() != 0 {
			t.Errorf("%s: a whiteout of %v", h.Name, h.ModTime)
		}
		for k := range h.PAXRecords {
			if strings.Contains(k, "selinux") || strings.Contains(k, "overlay") {
				t.Errorf("%s: %s", h.Name, k)
			}
		}
	}
	native, err := e.d.Compare(t.Context(), e.view(parent), s.mounts, diff.WithMediaType(MediaTypeErofs), diff.WithSourceDateEpoch(&epoch))
	must(t, err)
	tarOut, err := e.d.Compare(t.Context(), e.view(parent), s.mounts, diff.WithMediaType("x/y"), diff.WithSourceDateEpoch(&epoch),
		diff.WithCompressor(func(w io.Writer, _ string) (io.WriteCloser, error) { return nopCloser{w}, nil }))
	must(t, err)
	if tarOut.Digest != got.Digest || tarOut.MediaType != "x/y" || native.Digest == got.Digest {
		t.Errorf("%+v", tarOut)
	}
	// the same layer again, into a content store that lost the label
	_, err = e.content.Update(t.Context(), content.Info{Digest: got.Digest, Labels: map[string]string{labels.LabelUncompressed: ""}}, "labels."+labels.LabelUncompressed)
	must(t, err)
	_, err = e.d.Compare(t.Context(), e.view(parent), s.mounts, diff.WithMediaType(ocispec.MediaTypeImageLayer), diff.WithSourceDateEpoch(&epoch))
	must(t, err)
	if e.uncompressed(got) != got.Digest {
		t.Error("the label was not set again")
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func TestCompareMapsOwnersBack(t *testing.T) {
	e := newEnv(t, Config{})
	parent := e.chain(1)
	s := e.prepare("ns/1/container", parent, map[string]string{
		snapshots.LabelSnapshotUIDMapping: "0:100000:65536", snapshots.LabelSnapshotGIDMapping: "0:200000:65536",
	})
	e.change(s, func(root string) {
		must(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o644))
		must(t, os.Lchown(filepath.Join(root, "file"), 101000, 201000))
	})
	got, err := e.d.Compare(t.Context(), e.view(parent), s.mounts, diff.WithMediaType(ocispec.MediaTypeImageLayer))
	must(t, err)
	i := slices.IndexFunc(e.headers(got), func(h *tar.Header) bool { return h.Name == "file" })
	if h := e.headers(got)[i]; h.Uid != 1000 || h.Gid != 1000 {
		t.Errorf("owner %d:%d", h.Uid, h.Gid)
	}
}

func TestCompareRefuses(t *testing.T) {
	e := newEnv(t, Config{})
	parent := e.chain(1)
	s := e.prepare("ns/1/container", parent, nil)
	if _, err := e.d.Compare(t.Context(), nil, []cmount.Mount{{Type: "bind", Source: t.TempDir()}}); !errdefs.IsNotImplemented(err) {
		t.Errorf("mounts of others: %v", err)
	}
	for _, form := range []string{"application/x-tar", ocispec.MediaTypeImageLayer + "+encrypted", MediaTypeErofs + "+gzip"} {
		if _, err := e.d.Compare(t.Context(), e.view(parent), s.mounts, diff.WithMediaType(form)); !errdefs.IsNotImplemented(err) {
			t.Errorf("%s: %v", form, err)
		}
	}
	must(t, os.RemoveAll(e.store.Upper(s.id)))
	if _, err := e.d.Compare(t.Context(), e.view(parent), s.mounts); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("without an upper directory: %v", err)
	}
	_, err := e.d.Compare(t.Context(), e.view(parent), s.mounts, diff.WithCompressor(func(io.Writer, string) (io.WriteCloser, error) { return nil, nil }))
	if !errdefs.IsInvalidArgument(err) {
		t.Errorf("a compressor without a media type: %v", err)
	}
}

// After an error there is no upload left, and nothing staged.
func TestCompareThatFailsLeavesNothing(t *testing.T) {
	e := newEnv(t, Config{})
	s := e.prepare("ns/1/container", "", nil)
	must(t, os.WriteFile(filepath.Join(e.store.Upper(s.id), ".wh.name"), nil, 0o644))
	for _, form := range allForms[:3] {
		if _, err := e.d.Compare(t.Context(), nil, s.mounts, diff.WithMediaType(form)); err == nil {
			t.Errorf("%s: a name that means a whiteout", form)
		}
	}
	must(t, os.Remove(filepath.Join(e.store.Upper(s.id), ".wh.name")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, form := range allForms {
		if _, err := e.d.Compare(ctx, nil, s.mounts, diff.WithMediaType(form)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", form, err)
		}
	}
	left, err := e.content.ListStatuses(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("uploads are left: %v, %v", left, err)
	}
	e.nothingLeft()
}
