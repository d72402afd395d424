package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"syscall"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/mount"
)

// Limits that keep an image from taking memory or time; all are far above what exists.
const (
	maxDocument = 8 << 20 // index, manifest, config: registries take 4 MiB
	maxNesting  = 4       // of indexes in indexes
	maxLayers   = mount.MaxLayers
)

// ErrInvalid is matched by errors about images that break the specification or are not what their digests say.
var ErrInvalid = errors.New("engine: invalid image")

// invalid is an error that matches ErrInvalid.
type invalid struct{ text string }

func (e *invalid) Error() string        { return "engine: " + e.text }
func (e *invalid) Is(target error) bool { return target == ErrInvalid }

func invalidf(format string, a ...any) error { return &invalid{fmt.Sprintf(format, a...)} }

// document is a manifest, an index or a config, with the labels that its record in the content store gets.
type document struct {
	desc   v1.Descriptor
	bytes  []byte
	labels map[string]string
}

// layer is a layer of an image.
type layer struct {
	desc   v1.Descriptor
	diffID digest.Digest
}

// contents is what an image consists of for one platform.
type contents struct {
	target   v1.Descriptor // what the name stands for: a manifest or an index
	manifest v1.Descriptor
	config   v1.Image
	layers   []layer    // the lowest first
	docs     []document // what target leads to the config by, the config last
}

// open returns the bytes of a descriptor.
type open func(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)

// picker chooses from the manifests of an index.
type picker func(index v1.Descriptor, list []v1.Descriptor) (v1.Descriptor, error)

// readContents follows a target to the config of the manifest that pick chooses. What it returns has been
// checked: digests, sizes, bounds. Errors match ErrInvalid, errors.ErrUnsupported or errdefs.ErrNotFound.
func readContents(ctx context.Context, get open, target v1.Descriptor, pick picker) (*contents, error) {
	c := &contents{target: target}
	desc, err := c.findManifest(ctx, get, target, pick, 0)
	if err != nil {
		return nil, err
	}
	c.manifest = desc
	var m v1.Manifest
	doc := &c.docs[len(c.docs)-1]
	if err := parseJSON(desc, doc.bytes, &m); err != nil {
		return nil, err
	}
	if err := checkManifest(desc, &m); err != nil {
		return nil, err
	}
	config, err := readDocument(ctx, get, m.Config)
	if err != nil {
		return nil, err
	}
	if err := parseJSON(m.Config, config, &c.config); err != nil {
		return nil, err
	}
	if err := c.setLayers(&m); err != nil {
		return nil, err
	}
	doc.labels = childLabels(append([]v1.Descriptor{m.Config}, m.Layers...))
	c.docs = append(c.docs, document{desc: m.Config, bytes: config})
	return c, nil
}

// findManifest reads documents until one is a manifest.
func (c *contents) findManifest(ctx context.Context, get open, d v1.Descriptor, pick picker, depth int) (v1.Descriptor, error) {
	b, err := readDocument(ctx, get, d)
	if err != nil {
		return d, err
	}
	if d.MediaType = kindOf(d.MediaType, b); images.IsManifestType(d.MediaType) {
		c.docs = append(c.docs, document{desc: d, bytes: b})
		return d, nil
	}
	if !images.IsIndexType(d.MediaType) {
		return d, fmt.Errorf("engine: %s: %q is no image: %w", d.Digest, d.MediaType, errors.ErrUnsupported)
	}
	if depth+1 >= maxNesting {
		return d, invalidf("%s: indexes nested deeper than %d", d.Digest, maxNesting)
	}
	var index v1.Index
	if err := parseJSON(d, b, &index); err != nil {
		return d, err
	}
	best, err := pick(d, index.Manifests)
	if err != nil {
		return d, err
	}
	// The label is named after the child: another platform that is pulled later adds its own.
	label := "containerd.io/gc.ref.content.m." + best.Digest.Encoded()[:12]
	c.docs = append(c.docs, document{desc: d, bytes: b, labels: map[string]string{label: best.Digest.String()}})
	return c.findManifest(ctx, get, best, pick, depth+1)
}

// forPlatform picks what is best for a platform.
func forPlatform(p platforms.MatchComparer) picker {
	return func(index v1.Descriptor, list []v1.Descriptor) (v1.Descriptor, error) { return choose(index, list, p) }
}

// choose takes the best descriptor for the platform; one without a platform is for all.
func choose(d v1.Descriptor, list []v1.Descriptor, p platforms.MatchComparer) (v1.Descriptor, error) {
	var best *v1.Descriptor
	var have []string
	for i := range list {
		m := &list[i]
		if m.Platform != nil {
			if text := platforms.Format(*m.Platform); !strings.HasPrefix(text, "unknown") {
				have = append(have, text)
			}
			if !p.Match(*m.Platform) {
				continue
			}
		} else if !images.IsManifestType(m.MediaType) && !images.IsIndexType(m.MediaType) {
			continue
		}
		if best == nil || m.Platform != nil && (best.Platform == nil || p.Less(*m.Platform, *best.Platform)) {
			best = m
		}
	}
	if best == nil {
		return d, fmt.Errorf("engine: %s: not for this platform; there are %s: %w", d.Digest, strings.Join(have, ", "), errdefs.ErrNotFound)
	}
	return *best, checkDescriptor(*best, maxDocument)
}

// kindOf is the media type of a document: what the descriptor says, or for one that says nothing useful what
// the document says itself.
func kindOf(said string, b []byte) string {
	if images.IsManifestType(said) || images.IsIndexType(said) {
		return said
	}
	var d struct {
		MediaType string          `json:"mediaType"`
		Config    json.RawMessage `json:"config"`
		Manifests json.RawMessage `json:"manifests"`
	}
	switch err := json.Unmarshal(b, &d); {
	case err != nil:
		return said
	case images.IsManifestType(d.MediaType) || images.IsIndexType(d.MediaType):
		return d.MediaType
	case d.MediaType == "" && d.Config != nil:
		return v1.MediaTypeImageManifest
	case d.MediaType == "" && d.Manifests != nil:
		return v1.MediaTypeImageIndex
	}
	return said
}

// readDocument reads a descriptor's bytes and verifies them.
func readDocument(ctx context.Context, get open, d v1.Descriptor) ([]byte, error) {
	if err := checkDescriptor(d, maxDocument); err != nil {
		return nil, err
	}
	r, err := get(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read
	return readVerified(r, d)
}

// readVerified reads the bytes of a descriptor that has been checked, and verifies them.
func readVerified(r io.Reader, d v1.Descriptor) ([]byte, error) {
	b := make([]byte, d.Size)
	if _, err := io.ReadFull(r, b); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, invalidf("%s: it has less than the %d bytes that it should have", d.Digest, d.Size)
		}
		return nil, fmt.Errorf("engine: %s: %w", d.Digest, err)
	}
	if got := d.Digest.Algorithm().FromBytes(b); got != d.Digest {
		return nil, invalidf("%s: its bytes have the digest %s", d.Digest, got)
	}
	return b, nil
}

// checkDescriptor refuses descriptors that nothing good can come of.
func checkDescriptor(d v1.Descriptor, most int64) error {
	switch err := d.Digest.Validate(); {
	case err != nil:
		return invalidf("digest %q: %v", d.Digest, err)
	case d.Size <= 0 && d.Digest != noBytes || d.Size < 0 || d.Size > most:
		return invalidf("%s: size %d: not from 1 to %d", d.Digest, d.Size, most)
	case len(d.URLs) > 0:
		return invalidf("%s: it is to be fetched from %d URLs outside of the registry: refused", d.Digest, len(d.URLs))
	}
	return nil
}

// noBytes is the digest of a tar that ends before it begins: some tools make such layers.
const noBytes = digest.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

// maxLayerSize is far above what registries take, and keeps sums of sizes from overflowing.
const maxLayerSize = 1 << 50

func checkManifest(d v1.Descriptor, m *v1.Manifest) error {
	if len(m.Layers) > maxLayers {
		return invalidf("%s: %d layers: more than the %d that overlayfs takes", d.Digest, len(m.Layers), maxLayers)
	}
	if err := checkDescriptor(m.Config, maxDocument); err != nil {
		return err
	}
	if mt := m.Config.MediaType; mt != "" && !images.IsConfigType(mt) {
		return fmt.Errorf("engine: %s: config of type %q: no container image: %w", d.Digest, mt, errors.ErrUnsupported)
	}
	for i, l := range m.Layers {
		if err := checkDescriptor(l, maxLayerSize); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return nil
}

// setLayers joins the layers of the manifest with the diffIDs of the config.
func (c *contents) setLayers(m *v1.Manifest) error {
	ids := c.config.RootFS.DiffIDs
	if len(ids) != len(m.Layers) {
		return invalidf("%s: %d layers, %d diff_ids in the config", c.manifest.Digest, len(m.Layers), len(ids))
	}
	for i, l := range m.Layers {
		if err := ids[i].Validate(); err != nil {
			return invalidf("layer %d: diff_id %q: %v", i, ids[i], err)
		}
		c.layers = append(c.layers, layer{desc: l, diffID: ids[i]})
	}
	return nil
}

// parseJSON reads a document.
func parseJSON(d v1.Descriptor, b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return invalidf("%s: %v", d.Digest, err)
	}
	return nil
}

// childLabels are the labels that keep children from being collected, as containerd names them.
func childLabels(children []v1.Descriptor) map[string]string {
	labels := map[string]string{}
	next := map[string]int{}
	for _, d := range children {
		for _, key := range images.ChildGCLabels(d) {
			n := next[key]
			next[key]++
			if strings.HasSuffix(key, ".") || n > 0 {
				key = fmt.Sprintf("%s%d", key, n)
			}
			labels[key] = d.Digest.String()
		}
	}
	return labels
}

// matcher is what chooses from an index: the platform that was asked for, or what this machine can run.
func matcher(platform string) (platforms.MatchComparer, error) {
	if platform == "" {
		p := platforms.DefaultSpec()
		p.OS = "linux" // images are for the containers of a Linux kernel wherever they are pulled
		if runtime.GOOS == "linux" {
			return platforms.Default(), nil
		}
		return platforms.Only(p), nil
	}
	p, err := platforms.Parse(platform)
	if err != nil {
		return nil, fmt.Errorf("engine: platform %q: %w: %w", platform, err, errdefs.ErrInvalidArgument)
	}
	return platforms.Only(p), nil
}

// isFor refuses an image without an index whose config says that it is for another platform.
func (c *contents) isFor(match platforms.MatchComparer) error {
	if images.IsManifestType(c.target.MediaType) && c.config.Architecture != "" && !match.Match(c.config.Platform) {
		return fmt.Errorf("engine: it is for %s: %w", platforms.Format(c.config.Platform), errdefs.ErrNotFound)
	}
	return nil
}

// fromContent opens what is in the content store.
func (l *Local) fromContent(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	r, err := l.content.ReaderAt(l.named(ctx), d)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	return struct {
		io.Reader
		io.Closer
	}{content.NewReader(r), r}, nil
}

// isSystem tells whether the system refused something, rather than an image being wrong.
func isSystem(err error) bool {
	var path *fs.PathError
	var errno syscall.Errno
	return errors.As(err, &path) || errors.As(err, &errno)
}
