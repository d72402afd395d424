package differ

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/diff"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/oracle"
)

// disk mounts a file system of its own at a new directory.
func disk(t testing.TB, size int64) string {
	t.Helper()
	oracle.NeedRoot(t)
	oracle.Need(t, "mkfs.ext4")
	file, dir := filepath.Join(t.TempDir(), "disk"), t.TempDir()
	must(t, mount.Ext4Image(t.Context(), file, size, mount.ImageOptions{}))
	must(t, mount.MountImage(file, dir))
	t.Cleanup(func() { must(t, mount.Umount(dir, false)) })
	return dir
}

func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

func TestAFullDiskLeavesNothingAndNoHarm(t *testing.T) {
	dir := disk(t, 64<<20)
	e := newEnvAt(t, dir, Config{})
	big := tarOf(t, entry{name: "noise", data: noise(16 << 20)})
	image := imageOf(t, big)
	layers := map[string][]byte{
		ocispec.MediaTypeImageLayer: big,
		MediaTypeErofsLayer:         image,
		MediaTypeErofs + "+zstd":    zstded(t, image),
	}
	// The layers lie on another disk: they come as streams.
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	must(t, err)
	var st unix.Statfs_t
	must(t, unix.Statfs(dir, &st))
	must(t, unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-8<<20))
	must(t, f.Close())
	for mediaType, b := range layers {
		s := e.unpacking("", nil)
		if err := e.apply(mediaType, b, "", s.id); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v", mediaType, err)
		}
	}
	e.d.config.EnableTarIndex = true
	if err := e.apply(ocispec.MediaTypeImageLayer, big, "", ""); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("index: %v", err)
	}
	e.nothingLeft()
	must(t, os.Remove(ballast))
	s := e.unpacking("", nil)
	must(t, e.apply(ocispec.MediaTypeImageLayer, big, "", s.id))
	if e.blob(s.id).Digest != digest.FromBytes(big) {
		t.Error("it does not work once there is room")
	}
}

func TestCompareOnAFullDiskLeavesNoUpload(t *testing.T) {
	dir := disk(t, 64<<20)
	e := newEnvAt(t, dir, Config{})
	s := e.prepare("ns/1/container", "", nil)
	must(t, os.WriteFile(filepath.Join(e.store.Upper(s.id), "noise"), []byte(noise(24<<20)), 0o644))
	f, err := os.Create(filepath.Join(dir, "ballast"))
	must(t, err)
	var st unix.Statfs_t
	must(t, unix.Statfs(dir, &st))
	must(t, unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-8<<20))
	must(t, f.Close())
	for _, form := range allForms {
		if _, err := e.d.Compare(t.Context(), nil, s.mounts, diff.WithMediaType(form)); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v", form, err)
		}
	}
	left, err := e.content.ListStatuses(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("uploads are left: %v, %v", left, err)
	}
	e.nothingLeft()
}

// remote is a content store that, as one behind a socket, has no files, and may break.
type remote struct {
	content.Store
	breakAt int64 // reads behind it fail; 0: none
	cut     int64 // length of the content as ReadAt has it; 0: right
	reads   int
}

type remoteReader struct {
	content.ReaderAt
	r *remote
}

var errBroken = errors.New("connection lost")

func (r *remote) ReaderAt(ctx context.Context, desc ocispec.Descriptor) (content.ReaderAt, error) {
	ra, err := r.Store.ReaderAt(ctx, desc)
	return &remoteReader{ra, r}, err
}

func (r *remoteReader) ReadAt(p []byte, off int64) (int, error) {
	r.r.reads++
	if r.r.breakAt > 0 && off+int64(len(p)) > r.r.breakAt {
		return 0, errBroken
	}
	if r.r.cut > 0 && off+int64(len(p)) > r.r.cut {
		return 0, io.EOF
	}
	return r.ReaderAt.ReadAt(p, off)
}

func TestApplyReadsARemoteContentStoreInLargePieces(t *testing.T) {
	e := newEnv(t, Config{})
	layer := tarOf(t, entry{name: "noise", data: noise(9 << 20)})
	desc := e.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, layer))
	r := &remote{Store: e.content}
	e.d.content = r
	for name, c := range map[string]struct {
		breakAt, cut int64
		want         string
	}{
		"broken": {breakAt: 5 << 20, want: errBroken.Error()},
		"short":  {cut: 5 << 20, want: io.ErrUnexpectedEOF.Error()},
	} {
		r.breakAt, r.cut = c.breakAt, c.cut
		_, err := e.d.Apply(t.Context(), desc, e.unpacking("", nil).mounts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		e.nothingLeft()
	}
	r.breakAt, r.cut, r.reads = 0, 0, 0
	out, err := e.d.Apply(t.Context(), desc, e.unpacking("", nil).mounts)
	must(t, err)
	if out.Digest != digest.FromBytes(layer) {
		t.Errorf("%+v", out)
	}
	if r.reads > int(desc.Size/aheadSize)+1 {
		t.Errorf("%d reads of %d bytes", r.reads, desc.Size)
	}
}

func TestReadAheadGivesEveryByteOnce(t *testing.T) {
	for _, size := range []int{0, 1, aheadSize - 1, aheadSize, aheadSize + 1, 4*aheadSize + 7} {
		b := []byte(noise(size))
		r := newReadAhead(readerAt{bytes.NewReader(b)}, int64(size))
		got, err := io.ReadAll(r)
		r.stop()
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes: %d, %v", size, len(got), err)
		}
	}
	r := newReadAhead(readerAt{bytes.NewReader([]byte(noise(8 * aheadSize)))}, 8*aheadSize)
	_, err := r.Read(make([]byte, 10))
	must(t, err)
	r.stop() // with reads under way
}

type readerAt struct{ *bytes.Reader }

func (readerAt) Close() error { return nil }
