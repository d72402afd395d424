package differ

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// apply applies bytes that the content store cannot have seen as a whole: as Convert gets them.
func (e *env) apply(mediaType string, b []byte, want digest.Digest, id string) error {
	_, err := e.d.Convert(e.t.Context(), bytes.NewReader(b), Layer{MediaType: mediaType, DiffID: want, Snapshot: id})
	return err
}

// Every cut and every flipped bit of a compressed layer gives an error and leaves nothing: the formats have
// checksums, and the unpacker's diffID finds what they do not cover.
func TestDamagedLayersLeaveNothing(t *testing.T) {
	plain := tarOf(t, entry{name: "dir/"}, entry{name: "dir/file", data: "some text, some text\n"}, entry{name: ".wh.gone"})
	image := imageOf(t, plain)
	e := newEnv(t, Config{})
	s := e.unpacking("", nil)
	for name, c := range map[string]struct {
		mediaType   string
		whole       []byte
		diffID      digest.Digest
		step, flips int
		decode      func([]byte) []byte
	}{
		"gzip":        {ocispec.MediaTypeImageLayerGzip, gzipped(t, plain), digest.FromBytes(plain), 1, 3, gunzip},
		"zstd":        {ocispec.MediaTypeImageLayerZstd, zstded(t, plain), digest.FromBytes(plain), 1, 3, unzstd},
		"native zstd": {MediaTypeErofsLayer + "+zstd", zstded(t, image), digest.FromBytes(image), 3, 11, unzstd},
		"tar":         {ocispec.MediaTypeImageLayer, plain, digest.FromBytes(plain), 31, 97, nil},
		"native":      {MediaTypeErofsLayer, image, digest.FromBytes(image), 127, 997, nil},
	} {
		for n := 0; n < len(c.whole); n += c.step {
			if err := e.apply(c.mediaType, c.whole[:n], c.diffID, s.id); err == nil {
				t.Errorf("%s, cut at %d of %d: no error", name, n, len(c.whole))
			}
		}
		for bit := 0; bit < 8*len(c.whole); bit += c.flips {
			b := bytes.Clone(c.whole)
			b[bit/8] ^= 1 << (bit % 8)
			want := c.diffID
			if c.decode != nil {
				want = "" // the checksums of the formats suffice
			}
			if err := e.apply(c.mediaType, b, want, ""); err != nil {
				continue
			}
			// Some bits say nothing (the time in a gzip header), some say the same in another way.
			if c.decode == nil || digest.FromBytes(c.decode(b)) != c.diffID {
				t.Errorf("%s, bit %d of byte %d of %d: no error", name, bit%8, bit/8, len(c.whole))
			}
		}
		_, err := e.store.Collect(t.Context()) // what such bits could not keep from being made
		must(t, err)
		e.nothingLeft()
	}
}

func gunzip(b []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	return out
}

func unzstd(b []byte) []byte {
	r, err := zstd.NewReader(nil)
	if err != nil {
		return nil
	}
	defer r.Close()
	out, err := r.DecodeAll(b, nil)
	if err != nil {
		return nil
	}
	return out
}

// native makes an image of a tree.
func nativeImage(t testing.TB, tr *tree.Tree, o mkfs.Options) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	must(t, err)
	defer func() { _ = f.Close() }()
	w, err := mkfs.New(f, o)
	must(t, err)
	_, err = w.Finish(tr)
	must(t, err)
	b, err := os.ReadFile(f.Name())
	must(t, err)
	return b
}

func TestNativeLayersAreCheckedBeforeTheKernelSeesThem(t *testing.T) {
	file := func(name string) *tree.Tree {
		tr := tree.New()
		tr.Root.Add("dir", tree.NewDir(0o755))
		tr.Root.Lookup("dir").Add(name, &tree.Node{Mode: tree.TypeRegular | 0o644, Size: 5000, Content: tree.Bytes(make([]byte, 5000))})
		return tr
	}
	many := file("x")
	for i := range 5000 { // more warnings than a report has room for, before the one that counts
		many.Root.Add(fmt.Sprintf("a%04d", i), &tree.Node{Mode: tree.TypeRegular})
	}
	many.Root.Add(".wh.z", &tree.Node{Mode: tree.TypeRegular})
	good := nativeImage(t, file("ok"), mkfs.Options{NoChecksum: true})
	index := func() []byte {
		f, err := os.Create(filepath.Join(t.TempDir(), "index"))
		must(t, err)
		defer func() { _ = f.Close() }()
		_, err = convert.Index(bytes.NewReader(small(t)), f, convert.Options{})
		must(t, err)
		b, err := os.ReadFile(f.Name())
		must(t, err)
		return b
	}
	outside := bytes.Clone(good)
	for i := 0; i+4 < len(outside); i += 4 { // the block of the file: make it lie behind the end
		if i >= 4096 && bytes.Equal(outside[i-8:i-4], []byte{0x88, 0x13, 0, 0}) { // i_size 5000, then i_u
			outside[i+1] = 0xFF
		}
	}
	if bytes.Equal(outside, good) {
		t.Fatal("no inode of 5000 bytes in the image")
	}
	for name, c := range map[string]struct {
		image []byte
		ok    bool
	}{
		"good":                     {good, true},
		"nothing":                  {nil, false},
		"a tar":                    {small(t), false},
		"name of a whiteout":       {nativeImage(t, file(".wh.x"), mkfs.Options{}), false},
		"among many":               {nativeImage(t, many, mkfs.Options{}), false},
		"cut":                      {good[:len(good)-4096], false},
		"data out of range":        {outside, false},
		"data on a device":         {index(), false},
		"bytes behind the image":   {append(bytes.Clone(good), make([]byte, 8192)...), true}, // a verity tree, a chunk index
		"behind it, half a sector": {append(bytes.Clone(good), 1, 2, 3), true},
	} {
		e := newEnv(t, Config{ContentRoot: "local"})
		for _, mediaType := range []string{MediaTypeErofsLayer, MediaTypeErofs + "+zstd"} {
			b := c.image
			if mediaType != MediaTypeErofsLayer {
				b = zstded(t, b)
			}
			s := e.unpacking("", nil)
			_, err := e.d.Apply(t.Context(), e.put(mediaType, b), s.mounts)
			if c.ok && err != nil || !c.ok && !errdefs.IsInvalidArgument(err) {
				t.Errorf("%s, %s: %v", name, mediaType, err)
			}
		}
		if !c.ok {
			e.nothingLeft()
		}
	}
}

// inode returns the inode number of a file and how many names it has.
func inode(t testing.TB, path string) os.FileInfo {
	t.Helper()
	st, err := os.Stat(path)
	must(t, err)
	return st
}

func TestNativeLayersAreLinksOfTheContentStore(t *testing.T) {
	image := imageOf(t, small(t))
	e := newEnv(t, Config{ContentRoot: "local"})
	desc := e.put(MediaTypeErofs, image)
	s := e.unpacking("", nil)
	_, err := e.d.Apply(t.Context(), desc, s.mounts)
	must(t, err)
	blob := e.blob(s.id)
	if blob.Profile != store.ProfileNative || blob.ImageDigest != desc.Digest {
		t.Errorf("%+v", blob)
	}
	in := filepath.Join(e.dir, "content/blobs/sha256", desc.Digest.Encoded())
	if !os.SameFile(inode(t, e.store.Path(blob)), inode(t, in)) {
		t.Error("the blob is a copy")
	}
	// The blob stays when the content store drops the layer.
	must(t, e.content.Delete(t.Context(), desc.Digest))
	equal(t, e.files(blob), e.files(blob))
}

// A config may claim the diffID of another image's layer for an EROFS layer. It must not get into the store under it.
func TestNativeLayersDoNotTakeTheNameOfAnother(t *testing.T) {
	victim := digest.FromBytes(small(t))
	image := imageOf(t, small(t))
	labels := map[string]string{snapshots.LabelSnapshotRef: victim.String(), snapshots.LabelSnapshotDiffID: victim.String()}
	for _, conf := range []Config{{}, {ContentRoot: "local"}} {
		e := newEnv(t, conf)
		desc := e.put(MediaTypeErofs, image)
		var wrong *convert.DigestError
		_, err := e.d.Apply(t.Context(), desc, e.unpacking("", labels).mounts)
		if !errors.As(err, &wrong) || !errdefs.IsInvalidArgument(err) {
			t.Errorf("Apply, %+v: %v", conf, err)
		}
		file := filepath.Join(e.dir, "content/blobs/sha256", desc.Digest.Encoded())
		for _, compared := range []digest.Digest{"", desc.Digest} {
			_, err = e.d.Convert(t.Context(), bytes.NewReader(image), Layer{MediaType: MediaTypeErofs, DiffID: victim, File: file, FileDigest: compared})
			if !errors.As(err, &wrong) {
				t.Errorf("Convert, %+v, %q: %v", conf, compared, err)
			}
		}
		e.nothingLeft()
	}
}

func TestTarIndexKeepsOneCopyOfTheTar(t *testing.T) {
	plain := small(t)
	e := newEnv(t, Config{ContentRoot: "local", EnableTarIndex: true})
	desc := e.put(ocispec.MediaTypeImageLayer, plain)
	s := e.unpacking("", nil)
	_, err := e.d.Apply(t.Context(), desc, s.mounts)
	must(t, err)
	blob := e.blob(s.id)
	if len(blob.Devices) != 1 || blob.Size >= int64(len(plain)) {
		t.Fatalf("%+v", blob)
	}
	in := filepath.Join(e.dir, "content/blobs/sha256", desc.Digest.Encoded())
	if !os.SameFile(inode(t, e.store.DevicePaths(blob)[0]), inode(t, in)) {
		t.Error("the tar is a copy")
	}
	// A compressed one lies behind its index, in one file.
	e = newEnv(t, Config{ContentRoot: "local", EnableTarIndex: true})
	s = e.unpacking("", nil)
	_, err = e.d.Apply(t.Context(), e.put(ocispec.MediaTypeImageLayerGzip, gzipped(t, plain)), s.mounts)
	must(t, err)
	blob = e.blob(s.id)
	b, err := os.ReadFile(e.store.Path(blob))
	must(t, err)
	if len(blob.Devices) != 0 || !bytes.HasSuffix(b, plain) {
		t.Errorf("%+v does not end with the tar", blob)
	}
}
