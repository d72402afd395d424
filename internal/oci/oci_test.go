package oci

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// files is the content of an image by name.
type files map[string][]byte

type object = map[string]any

func (f files) json(name string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	f[name] = b
}

// blob adds a blob and returns its descriptor.
func (f files) blob(v any) object {
	b, ok := v.([]byte)
	if !ok {
		b, _ = json.Marshal(v)
	}
	hex := fmt.Sprintf("%x", sha256.Sum256(b))
	f["blobs/sha256/"+hex] = b
	return object{"digest": "sha256:" + hex, "size": len(b)}
}

func with(o object, k string, v any) object {
	o = maps.Clone(o)
	o[k] = v
	return o
}

const layerText = "pretend that this is a tar"

var layerID = fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(layerText)))

// manifest adds an image and returns the descriptor of its manifest.
func (f files) manifest(arch string) object {
	layer := with(f.blob([]byte(layerText)), "mediaType", v1.MediaTypeImageLayer)
	config := f.blob(object{"architecture": arch, "os": "linux", "rootfs": object{"type": "layers", "diff_ids": []string{layerID}}})
	m := f.blob(object{"schemaVersion": 2, "mediaType": v1.MediaTypeImageManifest, "config": config, "layers": []any{layer}})
	return with(with(m, "mediaType", v1.MediaTypeImageManifest), "platform", object{"os": "linux", "architecture": arch})
}

func (f files) index(manifests ...object) {
	f.json("index.json", object{"schemaVersion": 2, "manifests": manifests})
}

// archive writes the files as a tar.
func (f files) archive(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		h := &tar.Header{Name: name, Size: int64(len(f[name])), Mode: 0o644}
		if target, ok := strings.CutPrefix(string(f[name]), "-> "); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write(f[name]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dir writes the files as a directory.
func (f files) dir(t testing.TB) string {
	t.Helper()
	base := t.TempDir()
	for name, b := range f {
		path := filepath.Join(base, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

func amd64() Options { return Options{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}} }

// readLayer opens an image and reads its first layer.
func readLayer(ref string, o Options) (string, *Image, error) {
	im, err := Open(ref, o)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = im.Close() }()
	r, err := im.OpenLayer(0)
	if err != nil {
		return "", im, err
	}
	b, err := io.ReadAll(r)
	return string(b), im, errors.Join(err, r.Close())
}

func wantLayer(t *testing.T, ref string, o Options) *Image {
	t.Helper()
	text, im, err := readLayer(ref, o)
	if err != nil || text != layerText {
		t.Fatalf("%s: %q, %v", ref, text, err)
	}
	if im.Layers[0].DiffID.String() != layerID {
		t.Fatalf("%s: diffID %s", ref, im.Layers[0].DiffID)
	}
	return im
}

func TestLayoutInArchiveAndDirectory(t *testing.T) {
	f := files{}
	f.index(f.manifest("amd64"))
	archive, dir := f.archive(t), f.dir(t)
	for _, ref := range []string{"oci-archive:" + archive, archive, "oci:" + dir, dir} {
		wantLayer(t, ref, amd64())
	}
}

func TestPlatformIsChosenFromNestedIndexes(t *testing.T) {
	f := files{}
	inner := with(f.blob(object{"schemaVersion": 2, "manifests": []any{f.manifest("arm64"), f.manifest("amd64")}}),
		"mediaType", v1.MediaTypeImageIndex)
	f.index(inner)
	path := f.dir(t)
	for _, arch := range []string{"amd64", "arm64"} {
		im := wantLayer(t, path, Options{Platform: v1.Platform{Architecture: arch}})
		if im.Config.Architecture != arch {
			t.Errorf("chose %s for %s", im.Config.Architecture, arch)
		}
	}
	_, err := Open(path, Options{Platform: v1.Platform{Architecture: "riscv64"}})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "linux/arm64, linux/amd64") {
		t.Errorf("a platform that is not there: %v", err)
	}
}

func TestTagsNameImages(t *testing.T) {
	f := files{}
	tag := func(d object, name string) object {
		return with(d, "annotations", object{v1.AnnotationRefName: name})
	}
	f.index(tag(f.manifest("amd64"), "a"), tag(f.manifest("arm64"), "b"))
	path := f.archive(t)
	im := wantLayer(t, "oci-archive:"+path+":b", Options{Platform: v1.Platform{Architecture: "arm64"}})
	if im.Config.Architecture != "arm64" {
		t.Errorf("tag b: %s", im.Config.Architecture)
	}
	if _, err := Open(path, amd64()); err == nil || !strings.Contains(err.Error(), "several images") {
		t.Errorf("no tag for two images: %v", err)
	}
	if _, err := Open(path+":c", amd64()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a tag that is not there: %v", err)
	}
}

func TestDockerArchive(t *testing.T) {
	f := files{"real/layer.tar": []byte(layerText), "link/layer.tar": []byte("-> ../real/layer.tar")}
	config, _ := json.Marshal(object{"os": "linux", "rootfs": object{"diff_ids": []string{layerID}}})
	name := fmt.Sprintf("%x.json", sha256.Sum256(config))
	f[name] = config
	f.json("manifest.json", []any{object{"Config": name, "RepoTags": []string{"docker.io/library/app:latest"}, "Layers": []string{"link/layer.tar"}}})
	path := f.archive(t)
	for _, ref := range []string{"docker-archive:" + path, path, "docker-archive:" + path + ":app:latest", path + ":app"} {
		wantLayer(t, ref, Options{})
	}
	if _, err := Open(path+":other", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another tag: %v", err)
	}
	f[name] = append(config, ' ')
	if _, err := Open(f.archive(t), Options{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("config without its digest: %v", err)
	}
}

// invalid are images that lie, by what they lie about.
func invalid() map[string]files {
	all := map[string]files{}
	add := func(name string, make func(f files)) {
		f := files{}
		make(f)
		all[name] = f
	}
	add("no index", func(f files) { f["index.json"] = []byte("{") })
	add("no images", func(f files) { f.index() })
	add("digest that climbs", func(f files) {
		f.index(object{"digest": "sha256:../../../../etc/passwd", "size": 10})
	})
	add("manifest changed", func(f files) {
		d := f.manifest("amd64")
		f.index(d)
		name := "blobs/sha256/" + strings.TrimPrefix(d["digest"].(string), "sha256:")
		f[name] = bytes.Replace(f[name], []byte("2"), []byte("3"), 1)
	})
	add("manifest of another size", func(f files) { f.index(with(f.manifest("amd64"), "size", 7)) })
	add("document too large", func(f files) {
		f.index(f.blob(bytes.Repeat([]byte(" "), maxDocument+1)))
	})
	add("indexes without end", func(f files) {
		d := f.manifest("amd64")
		for range maxNesting + 1 {
			d = with(f.blob(object{"schemaVersion": 2, "manifests": []any{d}}), "mediaType", v1.MediaTypeImageIndex)
		}
		f.index(d)
	})
	manifest := func(f files, ids, layers []any) {
		config := f.blob(object{"os": "linux", "rootfs": object{"diff_ids": ids}})
		f.index(with(f.blob(object{"schemaVersion": 2, "config": config, "layers": layers}), "mediaType", v1.MediaTypeImageManifest))
	}
	add("layers without diff_ids", func(f files) {
		manifest(f, []any{}, []any{with(f.blob([]byte("x")), "mediaType", v1.MediaTypeImageLayer)})
	})
	add("diff_id that climbs", func(f files) {
		manifest(f, []any{"sha256:../x"}, []any{with(f.blob([]byte("x")), "mediaType", v1.MediaTypeImageLayer)})
	})
	add("layer digest that climbs", func(f files) {
		manifest(f, []any{layerID}, []any{object{"digest": "sha256:../x", "size": 1, "mediaType": v1.MediaTypeImageLayer}})
	})
	add("layer changed", func(f files) {
		f.index(f.manifest("amd64"))
		f["blobs/sha256/"+layerID[7:]] = []byte(strings.ToUpper(layerText))
	})
	add("layer cut", func(f files) {
		f.index(f.manifest("amd64"))
		f["blobs/sha256/"+layerID[7:]] = []byte(layerText[1:])
	})
	return all
}

func TestImagesThatLieAreInvalid(t *testing.T) {
	for name, f := range invalid() {
		for _, path := range []string{f.archive(t), f.dir(t)} {
			if text, _, err := readLayer(path, amd64()); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
	}
}

func TestWhatIsNotSupportedSaysSo(t *testing.T) {
	f := files{}
	layer := with(f.blob([]byte("x")), "mediaType", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted")
	config := f.blob(object{"rootfs": object{"diff_ids": []string{layerID}}})
	f.index(with(f.blob(object{"config": config, "layers": []any{layer}}), "mediaType", v1.MediaTypeImageManifest))
	if _, err := Open(f.dir(t), amd64()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("encrypted layer: %v", err)
	}
	g := files{}
	g.index(g.blob(object{"os": "windows"}))
	g.index(with(g.blob(object{}), "mediaType", "application/vnd.cncf.helm"))
	if _, err := Open(g.dir(t), amd64()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another artifact: %v", err)
	}
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, []byte("\x1f\x8b\x08garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, amd64()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("compressed archive: %v", err)
	}
}

func TestNothingOutsideOfTheImageIsRead(t *testing.T) {
	f := files{}
	f.index(f.manifest("amd64"))
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte(layerText), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := f.dir(t)
	blob := filepath.Join(dir, "blobs/sha256", layerID[7:])
	if err := errors.Join(os.Remove(blob), os.Symlink(outside, blob)); err != nil {
		t.Fatal(err)
	}
	if text, _, err := readLayer(dir, amd64()); err == nil {
		t.Errorf("a link out of the directory was followed: %q", text)
	}
	f["blobs/sha256/"+layerID[7:]] = []byte("-> " + outside)
	if text, _, err := readLayer(f.archive(t), amd64()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link out of the archive was followed: %q, %v", text, err)
	}
	f["blobs/sha256/"+layerID[7:]] = []byte("-> " + layerID[7:])
	if _, _, err := readLayer(f.archive(t), amd64()); err == nil {
		t.Error("a link to itself was followed")
	}
}

func TestEveryTruncationOfAnArchiveIsAnError(t *testing.T) {
	f := files{}
	f.index(f.manifest("amd64"))
	whole, err := os.ReadFile(f.archive(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut.tar")
	for n := 0; n < len(whole)-2048; n += 37 { // the end mark may be missing
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if text, _, err := readLayer(path, amd64()); err == nil && text != layerText {
			t.Fatalf("cut at %d of %d: %q without an error", n, len(whole), text)
		}
	}
}

func TestParsePlatform(t *testing.T) {
	for s, want := range map[string]v1.Platform{
		"linux/amd64":  {OS: "linux", Architecture: "amd64"},
		"linux/arm/v7": {OS: "linux", Architecture: "arm", Variant: "v7"},
	} {
		if got, err := ParsePlatform(s); err != nil || platformText(got) != platformText(want) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "linux", "/amd64", "linux/", "a/b/c/d"} {
		if got, err := ParsePlatform(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// FuzzArchive reads anything as an archive; a fuzzed index.json is most of what it finds.
func FuzzArchive(f *testing.F) {
	good := files{}
	good.index(good.manifest("amd64"))
	for _, seed := range []string{good.archive(f)} {
		b, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	path := filepath.Join(f.TempDir(), "fuzz.tar")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		text, im, err := readLayer(path, amd64())
		if err == nil && im.Layers[0].Digest != "" && im.Layers[0].Digest.Algorithm().FromString(text) != im.Layers[0].Digest {
			t.Fatalf("layer does not have its digest: %q", text)
		}
	})
}
