package differ

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
)

// damaged makes the blob of a layer, linked to two snapshots, and damages it.
func (e *env) damaged(mediaType string, layer []byte, diffID digest.Digest, damage func(path string) error) (desc ocispec.Descriptor, k store.Key, ids [2]string) {
	e.t.Helper()
	desc = e.put(mediaType, layer)
	for i := range ids {
		s := e.unpacking("", nil)
		_, err := e.d.Apply(e.t.Context(), desc, s.mounts)
		must(e.t, err)
		e.commit(s, fmt.Sprint("layer ", s.id))
		ids[i] = s.id
	}
	b := e.blob(ids[0])
	if b.Digest != diffID {
		e.t.Fatalf("the blob is %v, not of %v", b.Key, diffID)
	}
	if damage != nil {
		must(e.t, damage(e.store.Path(b)))
	}
	return desc, b.Key, ids
}

// label gives content labels.
func (e *env) label(d digest.Digest, l map[string]string) {
	e.t.Helper()
	var fields []string
	for k := range l {
		fields = append(fields, "labels."+k)
	}
	_, err := e.content.Update(e.t.Context(), content.Info{Digest: d, Labels: l}, fields...)
	must(e.t, err)
}

// flipped damages the superblock in place.
func flipped(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[1024+20] ^= 1
	if err := os.Remove(path); err != nil { // the file may be a link of the content
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

func truncated(path string) error { return os.Truncate(path, 4096) }

func TestRebuildHealsEverySnapshotFromTheContent(t *testing.T) {
	plain := small(t)
	image := imageOf(t, plain)
	for name, c := range map[string]struct {
		mediaType string
		layer     []byte
		diffID    digest.Digest
		damage    func(string) error
		label     bool // the unpacker has noted the diffID
	}{
		"gzip, known by its label":    {ocispec.MediaTypeImageLayerGzip, gzipped(t, plain), digest.FromBytes(plain), truncated, true},
		"zstd, known by its manifest": {ocispec.MediaTypeImageLayerZstd, zstded(t, plain), digest.FromBytes(plain), os.Remove, false},
		"tar":                         {ocispec.MediaTypeImageLayer, plain, digest.FromBytes(plain), flipped, false},
		"native":                      {MediaTypeErofsLayer, image, digest.FromBytes(image), flipped, false},
		"native zstd":                 {MediaTypeErofsLayer + "+zstd", zstded(t, image), digest.FromBytes(image), truncated, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, Config{ContentRoot: "local"})
			desc, k, ids := e.damaged(c.mediaType, c.layer, c.diffID, nil)
			want, err := os.ReadFile(e.store.Path(e.blob(ids[0])))
			must(t, err)
			must(t, c.damage(e.store.Path(e.blob(ids[0]))))
			if c.label {
				e.label(desc.Digest, map[string]string{labels.LabelUncompressed: c.diffID.String()})
			} else if desc.Digest != c.diffID {
				e.manifest(desc.Digest, c.diffID)
			}
			must(t, e.d.Rebuild(t.Context(), k))
			for _, id := range ids {
				got, err := os.ReadFile(e.store.Path(e.blob(id)))
				must(t, err)
				if !bytes.Equal(got, want) {
					t.Errorf("snapshot %s has another image than before", id)
				}
			}
			must(t, e.d.Rebuild(t.Context(), k)) // nothing is left to do
		})
	}
}

// manifest records an image with an empty layer and another one, as containerd labels it.
func (e *env) manifest(layer, diffID digest.Digest) {
	e.t.Helper()
	config := e.put(ocispec.MediaTypeImageConfig, fmt.Appendf(nil, `{"rootfs":{"type":"layers","diff_ids":[%q,%q]}}`, digest.FromString("empty"), diffID))
	m := e.put(ocispec.MediaTypeImageManifest, fmt.Appendf(nil, `{"layers":[{"digest":%q},{"digest":%q}]}`, digest.FromString("empty layer"), layer))
	e.label(m.Digest, map[string]string{labelConfig: config.Digest.String()})
}

// A layer that would be converted in another way today is linked under its new key by all snapshots.
func TestRebuildInAnotherProfileRelinks(t *testing.T) {
	e := newEnv(t, Config{EnableTarIndex: true})
	plain := small(t)
	_, k, ids := e.damaged(ocispec.MediaTypeImageLayer, plain, digest.FromBytes(plain), truncated)
	var err error
	e.d, err = New(e.store, e.content, Config{})
	must(t, err)
	must(t, e.d.Rebuild(t.Context(), k))
	must(t, e.d.Rebuild(t.Context(), k)) // who has waited for the first asks for the old key
	for _, id := range ids {
		if b := e.blob(id); b.Profile != convert.Profile {
			t.Errorf("snapshot %s refers to %v", id, b.Key)
		}
	}
}

func TestRebuildWithoutGoodContentSaysWhatToDo(t *testing.T) {
	plain := small(t)
	for name, spoil := range map[string]func(e *env, d digest.Digest){
		"gone": func(e *env, d digest.Digest) { must(e.t, e.content.Delete(e.t.Context(), d)) },
		"a label that lies": func(e *env, d digest.Digest) {
			must(e.t, e.content.Delete(e.t.Context(), d))
			other := e.put(ocispec.MediaTypeImageLayerGzip, gzipped(e.t, tarOf(e.t, entry{name: "evil", data: "evil"})))
			e.label(other.Digest, map[string]string{labels.LabelUncompressed: digest.FromBytes(plain).String()})
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, Config{})
			desc, k, _ := e.damaged(ocispec.MediaTypeImageLayerGzip, gzipped(t, plain), digest.FromBytes(plain), os.Remove)
			spoil(e, desc.Digest)
			err := e.d.Rebuild(t.Context(), k)
			if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "remove the image and pull it again") {
				t.Errorf("%v", err)
			}
			if left, err := os.ReadDir(e.store.Root + "/staging"); err != nil || len(left) > 0 {
				t.Errorf("left in staging: %v, %v", left, err)
			}
		})
	}
}

// Many who need the same blob wait for one conversion; who gives up waiting, or working, is let go.
func TestRebuildIsDoneOnceAndCanBeGivenUp(t *testing.T) {
	e := newEnv(t, Config{})
	plain := small(t)
	_, k, _ := e.damaged(ocispec.MediaTypeImageLayer, plain, digest.FromBytes(plain), os.Remove)
	before := len(e.events)

	f, err := e.d.rebuilds.enter(t.Context(), k.Digest)
	must(t, err)
	reason := errors.New("no time")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if err := e.d.Rebuild(ctx, k); !errors.Is(err, reason) {
		t.Errorf("waiting for another rebuild: %v", err)
	}
	e.d.rebuilds.leave(k.Digest, f)
	for range maxRebuilds {
		e.d.slots <- struct{}{}
	}
	if err := e.d.Rebuild(ctx, k); !errors.Is(err, reason) {
		t.Errorf("waiting for a slot: %v", err)
	}
	for range maxRebuilds {
		<-e.d.slots
	}

	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := e.d.Rebuild(t.Context(), k); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(e.events) - before; n != 1 {
		t.Errorf("%d conversions, not one: %v", n, e.events[before:])
	}
}
