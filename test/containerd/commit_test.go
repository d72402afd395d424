//go:build linux

package containerd

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/rootfs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// client connects to containerd as other programs do.
func (s *setup) client() (*client.Client, context.Context) {
	s.Helper()
	c := must(client.New(s.containerd.Address))(s)
	s.Cleanup(func() {
		if err := c.Close(); err != nil {
			s.Error(err)
		}
	})
	return c, namespaces.WithNamespace(s.ctx, s.containerd.Namespace)
}

// commit makes an image of a container's changes on top of the image ref, as nerdctl and buildkit do: a diff of the
// container's snapshot, a new configuration, a new manifest. It returns the name.
func (s *setup) commit(ref, container, name string) string {
	s.Helper()
	c, ctx := s.client()
	ctx, done, err := c.WithLease(ctx)
	if err != nil {
		s.Fatal(err)
	}
	defer func() {
		if err := done(ctx); err != nil {
			s.Error(err)
		}
	}()
	info := must(must(c.LoadContainer(ctx, container))(s).Info(ctx))(s)
	layer := must(rootfs.CreateDiff(ctx, info.SnapshotKey, c.SnapshotService(s.name), c.DiffService()))(s)
	blob := must(c.ContentStore().Info(ctx, layer.Digest))(s)
	diffID, err := digest.Parse(blob.Labels["containerd.io/uncompressed"])
	if err != nil {
		s.Fatalf("the diff has no diffID: %v: %v", blob.Labels, err)
	}
	base := must(c.GetImage(ctx, ref))(s)
	var manifest ocispec.Manifest
	var config ocispec.Image
	s.read(ctx, c, base.Target(), &manifest)
	s.read(ctx, c, manifest.Config, &config)
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
	manifest.Layers = append(manifest.Layers, layer)
	manifest.Config = s.write(ctx, c, ocispec.MediaTypeImageConfig, config, nil)
	labels := map[string]string{"containerd.io/gc.ref.content.config": manifest.Config.Digest.String()}
	for i, l := range manifest.Layers {
		labels["containerd.io/gc.ref.content.l."+string(rune('a'+i))] = l.Digest.String()
	}
	target := s.write(ctx, c, ocispec.MediaTypeImageManifest, manifest, labels)
	if _, err := c.ImageService().Create(ctx, images.Image{Name: name, Target: target}); err != nil {
		s.Fatal(err)
	}
	return name
}

func (s *setup) read(ctx context.Context, c *client.Client, d ocispec.Descriptor, v any) {
	s.Helper()
	if err := json.Unmarshal(must(content.ReadBlob(ctx, c.ContentStore(), d))(s), v); err != nil {
		s.Fatal(err)
	}
}

func (s *setup) write(ctx context.Context, c *client.Client, kind string, v any, labels map[string]string) ocispec.Descriptor {
	s.Helper()
	b := must(json.Marshal(v))(s)
	d := ocispec.Descriptor{MediaType: kind, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if err := content.WriteBlob(ctx, c.ContentStore(), d.Digest.String(), bytes.NewReader(b), d, content.WithLabels(labels)); err != nil {
		s.Fatal(err)
	}
	return d
}
