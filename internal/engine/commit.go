package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/differ"
)

// CommitOptions say what an image of a container is like; the zero value is gzip.
type CommitOptions struct {
	Comment     string
	Author      string
	Compression string // of the new layer: gzip, zstd, none; "": gzip
	Native      bool   // the new layer is an EROFS image, with Compression none or zstd
	Watch       Watcher
}

// mediaType is the type of the new layer.
func (o *CommitOptions) mediaType() (string, error) {
	switch {
	case o.Native && o.Compression == "zstd":
		return differ.MediaTypeErofsLayer + "+zstd", nil
	case o.Native:
		return differ.MediaTypeErofsLayer, nil
	case o.Compression == "" || o.Compression == "gzip":
		return v1.MediaTypeImageLayerGzip, nil
	case o.Compression == "zstd":
		return v1.MediaTypeImageLayerZstd, nil
	case o.Compression == "none":
		return v1.MediaTypeImageLayer, nil
	}
	return "", fmt.Errorf("engine: compression %q: not one of gzip, zstd, none: %w", o.Compression, errdefs.ErrInvalidArgument)
}

// Commit makes an image of a container: the layers of its image and one of what it wrote. A container that
// runs is read as it is.
func (l *Local) Commit(ctx context.Context, ref, name string, o CommitOptions) (Image, error) {
	mediaType, err := o.mediaType()
	if err != nil {
		return Image{}, err
	}
	if name, err = Normalize(name); err != nil {
		return Image{}, err
	}
	c, err := l.Container(ctx, ref)
	if err != nil {
		return Image{}, err
	}
	if c.Manifest == "" {
		return Image{}, fmt.Errorf("engine: container %s: its image %s is in a file: import that, and run it by its name: %w",
			c.ID, c.Image, errdefs.ErrFailedPrecondition)
	}
	base, err := readContents(ctx, l.fromContent, l.manifestOf(ctx, c), nil)
	if err != nil {
		return Image{}, fmt.Errorf("engine: container %s: its image: %w", c.ID, err)
	}
	top, err := l.compare(ctx, c, mediaType)
	if err != nil {
		return Image{}, fmt.Errorf("engine: container %s: %w", c.ID, err)
	}
	if o.Watch == nil {
		o.Watch = nobody{}
	}
	t := &transfer{Local: l, source: l.nowhere, watch: o.Watch}
	if err := t.layers(ctx, []layer{top}); err != nil {
		return Image{}, fmt.Errorf("engine: container %s: %w", c.ID, err)
	}
	made, err := onTop(base, top, o)
	if err != nil {
		return Image{}, err
	}
	from, err := l.sourcesOf(ctx, c.Manifest)
	if err != nil {
		return Image{}, err
	}
	return l.record(ctx, name, made, from)
}

// manifestOf is the descriptor of the manifest that a container was made from.
func (l *Local) manifestOf(ctx context.Context, c *Container) v1.Descriptor {
	d := v1.Descriptor{Digest: c.Manifest}
	if info, err := l.content.Info(l.named(ctx), c.Manifest); err == nil {
		d.Size = info.Size
	}
	return d
}

// compare makes a layer of what a container wrote.
func (l *Local) compare(ctx context.Context, c *Container, mediaType string) (layer, error) {
	key := snapshotKey(c.ID)
	info, err := l.Snapshotter.Stat(ctx, key)
	if err != nil {
		return layer{}, err
	}
	upper, err := l.Snapshotter.Mounts(ctx, key)
	if err != nil {
		return layer{}, err
	}
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	view := keyPrefix + "commit/" + hex.EncodeToString(b[:])
	lower, err := l.Snapshotter.View(ctx, view, info.Parent)
	if err != nil {
		return layer{}, err
	}
	desc, err := l.differ.Compare(l.named(ctx), lower, upper, diff.WithMediaType(mediaType), diff.WithReference(view))
	err = errors.Join(err, l.removeSnapshot(context.WithoutCancel(ctx), view))
	if err != nil {
		return layer{}, err
	}
	made, err := l.content.Info(l.named(ctx), desc.Digest)
	if err != nil {
		return layer{}, err
	}
	diffID := digest.Digest(made.Labels[labels.LabelUncompressed])
	if diffID == "" {
		diffID = desc.Digest
	}
	return layer{v1.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}, diffID}, diffID.Validate()
}

// onTop is an image with one more layer. What its config has beside what we know stays.
func onTop(base *contents, top layer, o CommitOptions) (*contents, error) {
	now := time.Now().UTC()
	made := &contents{config: base.config, layers: append(append([]layer{}, base.layers...), top)}
	made.config.Created, made.config.Author = &now, o.Author
	made.config.RootFS.DiffIDs = nil
	for _, la := range made.layers {
		made.config.RootFS.DiffIDs = append(made.config.RootFS.DiffIDs, la.diffID)
	}
	made.config.History = append(append([]v1.History{}, base.config.History...),
		v1.History{Created: &now, CreatedBy: "lamina commit", Author: o.Author, Comment: o.Comment})
	config, err := overwrite(base.docs[len(base.docs)-1].bytes, made.config)
	if err != nil {
		return nil, err
	}
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest}
	m.Config = v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}
	for _, la := range made.layers {
		la.desc.MediaType = ociType(la.desc.MediaType)
		m.Layers = append(m.Layers, la.desc)
	}
	b, err := json.Marshal(&m)
	if err != nil {
		return nil, err
	}
	if err := checkManifest(v1.Descriptor{Digest: digest.FromBytes(b)}, &m); err != nil {
		return nil, err
	}
	made.manifest = v1.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	made.target = made.manifest
	made.docs = []document{
		{made.manifest, b, childLabels(append([]v1.Descriptor{m.Config}, m.Layers...))},
		{desc: m.Config, bytes: config},
	}
	return made, nil
}

// overwrite puts the fields of a config that a commit changes into the JSON of the config that it had.
func overwrite(old []byte, with v1.Image) ([]byte, error) {
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(old, &all); err != nil {
		return nil, err
	}
	for key, v := range map[string]any{"created": with.Created, "author": with.Author, "rootfs": with.RootFS, "history": with.History} {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		all[key] = b
	}
	return json.Marshal(all)
}

// ociType is the OCI name of docker's media types of layers.
func ociType(mediaType string) string {
	switch mediaType {
	case images.MediaTypeDockerSchema2Layer:
		return v1.MediaTypeImageLayer
	case images.MediaTypeDockerSchema2LayerGzip:
		return v1.MediaTypeImageLayerGzip
	case images.MediaTypeDockerSchema2LayerZstd:
		return v1.MediaTypeImageLayerZstd
	}
	return mediaType
}
