package convert

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/oci"
)

// layerOf is a tar with one file of a text.
func layerOf(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "file", Size: int64(len(text)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// openOCI writes an image layout and opens it. diffIDs, if not nil, are what the config says instead of
// the truth.
func openOCI(t *testing.T, layers [][]byte, diffIDs map[int]string) *oci.Image {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	add := func(v any) map[string]any {
		b, ok := v.([]byte)
		if !ok {
			b, _ = json.Marshal(v)
		}
		hex := fmt.Sprintf("%x", sha256.Sum256(b))
		if err := os.WriteFile(filepath.Join(dir, "blobs/sha256", hex), b, 0o644); err != nil {
			t.Fatal(err)
		}
		return map[string]any{"digest": "sha256:" + hex, "size": len(b), "mediaType": "application/vnd.oci.image.layer.v1.tar"}
	}
	var ids, list []any
	for i, l := range layers {
		d := add(l)
		list = append(list, d)
		if id, ok := diffIDs[i]; ok {
			ids = append(ids, id)
		} else {
			ids = append(ids, d["digest"])
		}
	}
	config := add(map[string]any{"os": "linux", "architecture": runtime.GOARCH, "rootfs": map[string]any{"type": "layers", "diff_ids": ids}})
	manifest := add(map[string]any{"schemaVersion": 2, "config": config, "layers": list})
	manifest["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
	index, _ := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})
	if err := os.WriteFile(filepath.Join(dir, "index.json"), index, 0o644); err != nil {
		t.Fatal(err)
	}
	im, err := oci.Open("oci:"+dir, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = im.Close() })
	return im
}

func plan(t *testing.T, b Blobs, im *oci.Image) *ImagePlan {
	t.Helper()
	p, err := b.Plan(im)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// files lists what lies in a directory, at any depth.
func files(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestLayersBecomeBlobsOnce(t *testing.T) {
	one, two := layerOf(t, "one"), layerOf(t, "two")
	im := openOCI(t, [][]byte{one, two, one}, nil)
	b := Blobs{t.TempDir()}
	p := plan(t, b, im)
	if p.Done() || p.Bytes != int64(len(one)+len(two)) || len(p.Blobs) != 3 || p.Blobs[0] != p.Blobs[2] {
		t.Fatalf("%+v", p)
	}
	if list := files(t, b.Dir); len(list) != 0 {
		t.Fatalf("a plan made %v", list)
	}
	if err := p.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"one", "two"} {
		blob, err := os.Open(p.Blobs[i])
		if err != nil {
			t.Fatal(err)
		}
		image, err := erofs.Open(blob)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := image.ReadFile("file"); string(got) != want {
			t.Errorf("layer %d: %q, %v", i, got, err)
		}
		_ = blob.Close()
	}
	if again := plan(t, b, im); !again.Done() || again.Bytes != 0 {
		t.Errorf("to be done again: %+v", again)
	}
	if rel, _ := filepath.Rel(b.Dir, p.Blobs[0]); !strings.HasPrefix(rel, Profile+string(filepath.Separator)) {
		t.Errorf("%s: the profile is not in the path", rel)
	}
}

// One bad layer ends the conversion of the others, and leaves nothing.
func TestFirstErrorEndsAllConversions(t *testing.T) {
	var layers [][]byte
	for i := range 50 {
		layers = append(layers, layerOf(t, fmt.Sprint(i)))
	}
	before := runtime.NumGoroutine()
	for name, c := range map[string]struct {
		im      *oci.Image
		wrong   error
		workers int
		most    int // blobs that may be there nevertheless
	}{
		"no tar":       {openOCI(t, append([][]byte{bytes.Repeat([]byte("x"), 1024)}, layers...), nil), nil, 1, 0},
		"wrong diffID": {openOCI(t, layers, map[int]string{1: "sha256:" + strings.Repeat("0", 64)}), &DigestError{}, 1, 1},
		"at once":      {openOCI(t, layers, map[int]string{0: "sha256:" + strings.Repeat("0", 64)}), &DigestError{}, 4, 40},
	} {
		b := Blobs{t.TempDir()}
		p := plan(t, b, c.im)
		p.Workers = c.workers
		err := p.Run(t.Context(), nil)
		if err == nil || !strings.HasPrefix(err.Error(), "layer ") {
			t.Errorf("%s: %v", name, err)
		}
		if digest := (*DigestError)(nil); errors.As(err, &digest) != (c.wrong != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if list := files(t, b.Dir); len(list) > c.most {
			t.Errorf("%s: %d blobs", name, len(list))
		}
	}
	noneLeft(t, before)
}

func TestCancelEndsConversionsWithItsCause(t *testing.T) {
	im := openOCI(t, [][]byte{layerOf(t, "one"), layerOf(t, "two")}, nil)
	b := Blobs{t.TempDir()}
	p := plan(t, b, im)
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := p.Run(ctx, func(int) { cancel(errTest) }); !errors.Is(err, errTest) {
		t.Errorf("%v", err)
	}
	if err := p.Run(ctx, nil); !errors.Is(err, errTest) {
		t.Errorf("cancelled before: %v", err)
	}
	if list := files(t, b.Dir); len(list) != 0 {
		t.Errorf("blobs: %v", list)
	}
}

// profileDigest is the image that Profile makes of the layer of this package's tests. If the bytes change,
// blobs of older versions must not be taken for ours: raise Profile, then put the new digest here.
const profileDigest = "b02adc387995315ab8447252109edc0c8528520aa07223789dff6b79753b55b6"

func TestProfileNamesTheBytes(t *testing.T) {
	f := temp(t)
	if _, err := Layer(bytes.NewReader(archive(t)), f, Options{}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(b)); got != profileDigest {
		t.Errorf("profile %s made %s, now it makes %s: raise Profile", Profile, profileDigest, got)
	}
}
