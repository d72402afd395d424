package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of the Docker registry protocol that mean the same as those of OCI.
const (
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
)

// readLayout goes from index.json to the manifest of the platform to the config.
func (im *Image) readLayout(tag string, p v1.Platform) error {
	b, err := im.document("index.json", -1)
	if err != nil {
		return err
	}
	var index v1.Index
	if err := im.decode("index.json", b, &index); err != nil {
		return err
	}
	desc, err := im.tagged(index.Manifests, tag)
	if err != nil {
		return err
	}
	return im.readDescriptor(desc, p, 0)
}

// tagged chooses the entries of index.json that have the tag; without a tag there must be one image.
func (im *Image) tagged(all []v1.Descriptor, tag string) ([]v1.Descriptor, error) {
	var found []v1.Descriptor
	var names []string
	for _, d := range all {
		name := d.Annotations[v1.AnnotationRefName]
		full := d.Annotations["io.containerd.image.name"]
		names = append(names, fmt.Sprintf("%q", name))
		if tag == "" || tag == name || tag == full {
			found = append(found, d)
		}
	}
	switch {
	case len(all) == 0:
		return nil, im.bad("index.json", "no images")
	case len(found) == 0:
		return nil, fmt.Errorf("oci: %s: tag %q: %w; there are %s", im.ref, tag, fs.ErrNotExist, strings.Join(names, ", "))
	case tag == "" && len(distinctNames(found)) > 1:
		return nil, fmt.Errorf("oci: %s: index.json: several images, name one of %s behind the path", im.ref, strings.Join(names, ", "))
	}
	return found, nil
}

func distinctNames(ds []v1.Descriptor) map[string]bool {
	set := make(map[string]bool)
	for _, d := range ds {
		set[d.Annotations[v1.AnnotationRefName]] = true
	}
	return set
}

// readDescriptor follows the best of the descriptors for the platform.
func (im *Image) readDescriptor(list []v1.Descriptor, p v1.Platform, depth int) error {
	desc, err := im.choose(list, p)
	if err != nil {
		return err
	}
	b, err := im.blob(desc)
	if err != nil {
		return err
	}
	switch mediaType(desc, b) {
	case v1.MediaTypeImageIndex, dockerList:
		var index v1.Index
		if err := im.decode(desc.Digest.String(), b, &index); err != nil {
			return err
		}
		if depth+1 >= maxNesting {
			return im.bad(desc.Digest.String(), "indexes nested deeper than %d", maxNesting)
		}
		return im.readDescriptor(index.Manifests, p, depth+1)
	case v1.MediaTypeImageManifest, dockerManifest:
		return im.readManifest(desc, b)
	}
	return fmt.Errorf("oci: %s: %s: media type %q: %w", im.ref, desc.Digest, desc.MediaType, errors.ErrUnsupported)
}

// mediaType is that of the descriptor; some tools leave it out, then the document says it.
func mediaType(d v1.Descriptor, b []byte) string {
	if d.MediaType != "" {
		return d.MediaType
	}
	var doc struct {
		MediaType string            `json:"mediaType"`
		Manifests []json.RawMessage `json:"manifests"`
	}
	if json.Unmarshal(b, &doc) == nil && (doc.MediaType != "" || doc.Manifests == nil) {
		if doc.MediaType == "" {
			return v1.MediaTypeImageManifest
		}
		return doc.MediaType
	}
	return v1.MediaTypeImageIndex
}

// choose takes the first descriptor of the platform; one that names no platform fits every one.
func (im *Image) choose(list []v1.Descriptor, p v1.Platform) (v1.Descriptor, error) {
	var have []string
	for _, d := range list {
		if d.Platform == nil || fits(*d.Platform, p) {
			return d, nil
		}
		have = append(have, platformText(*d.Platform))
	}
	if len(list) == 0 {
		return v1.Descriptor{}, im.bad("index", "no manifests")
	}
	return v1.Descriptor{}, fmt.Errorf("oci: %s: platform %s: %w; there are %s", im.ref, platformText(p), fs.ErrNotExist, strings.Join(have, ", "))
}

func fits(have, want v1.Platform) bool {
	return have.OS == want.OS && have.Architecture == want.Architecture &&
		(want.Variant == "" || have.Variant == want.Variant)
}

// isFor refuses an image whose config names another platform. A config may leave the variant out.
func (im *Image) isFor(p v1.Platform) error {
	have := im.Config.Platform
	if have.Architecture == "" {
		return nil
	}
	if have.OS == "" {
		have.OS = "linux"
	}
	if have.Variant == "" {
		p.Variant = ""
	}
	if !fits(have, p) {
		return fmt.Errorf("oci: %s: the image is for %s, not %s: %w", im.ref, platformText(have), platformText(p), errors.ErrUnsupported)
	}
	return nil
}

func platform(p v1.Platform) v1.Platform {
	if p.OS == "" {
		p.OS = "linux"
	}
	if p.Architecture == "" {
		p.Architecture = runtime.GOARCH
	}
	return p
}

func platformText(p v1.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// ParsePlatform reads OS/ARCH[/VARIANT].
func ParsePlatform(s string) (v1.Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return v1.Platform{}, fmt.Errorf("oci: platform %q: not OS/ARCH or OS/ARCH/VARIANT", s)
	}
	p := v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}

// readManifest fills Config and Layers.
func (im *Image) readManifest(desc v1.Descriptor, b []byte) error {
	var m v1.Manifest
	what := "manifest " + desc.Digest.String()
	if err := im.decode(what, b, &m); err != nil {
		return err
	}
	if mt := m.Config.MediaType; mt != "" && mt != v1.MediaTypeImageConfig && mt != dockerConfig {
		return fmt.Errorf("oci: %s: config of type %q: no container image: %w", im.ref, mt, errors.ErrUnsupported)
	}
	config, err := im.blob(m.Config)
	if err != nil {
		return err
	}
	if err := im.setConfig(m.Config.Digest, config, len(m.Layers)); err != nil {
		return err
	}
	for i, l := range m.Layers {
		if err := l.Digest.Validate(); err != nil {
			return im.bad(fmt.Sprintf("layer %d", i), "digest %q: %v", l.Digest, err)
		}
		if !layerTypes[l.MediaType] && (im.native == nil || !im.native(l.MediaType)) {
			return fmt.Errorf("oci: %s: layer %d: media type %q: %w", im.ref, i, l.MediaType, errors.ErrUnsupported)
		}
		im.Layers = append(im.Layers, Layer{
			DiffID: im.Config.RootFS.DiffIDs[i], Digest: l.Digest, Size: l.Size, MediaType: l.MediaType, name: blobName(l.Digest),
		})
	}
	return nil
}

// dockerConfig is the media type of docker's config, which has the same form.
const dockerConfig = "application/vnd.docker.container.image.v1+json"

// layerTypes are the media types of tar changesets.
var layerTypes = map[string]bool{
	v1.MediaTypeImageLayer:                                         true,
	v1.MediaTypeImageLayerGzip:                                     true,
	v1.MediaTypeImageLayerZstd:                                     true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar":      true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": true,
	"application/vnd.docker.image.rootfs.diff.tar":                 true,
	"application/vnd.docker.image.rootfs.diff.tar.gzip":            true,
	"application/vnd.docker.image.rootfs.diff.tar.zstd":            true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    true,
}

// setConfig decodes the image config and checks that it has a diffID for each layer.
func (im *Image) setConfig(d digest.Digest, b []byte, layers int) error {
	what := "config " + d.String()
	if err := im.decode(what, b, &im.Config); err != nil {
		return err
	}
	im.Digest = d
	ids := im.Config.RootFS.DiffIDs
	switch {
	case layers > maxLayers:
		return im.bad(what, "%d layers: more than %d", layers, maxLayers)
	case len(ids) != layers:
		return im.bad(what, "%d diff_ids for %d layers", len(ids), layers)
	case im.Config.OS != "" && im.Config.OS != "linux":
		return fmt.Errorf("oci: %s: image for %s: %w", im.ref, im.Config.OS, errors.ErrUnsupported)
	}
	for i, id := range ids {
		if err := id.Validate(); err != nil {
			return im.bad(what, "diff_id %d: %q: %v", i, string(id), err)
		}
		if id.Algorithm() != digest.SHA256 {
			return fmt.Errorf("oci: %s: %s: diff_id %d: algorithm %s: %w", im.ref, what, i, id.Algorithm(), errors.ErrUnsupported)
		}
	}
	return nil
}

func blobName(d digest.Digest) string {
	return "blobs/" + d.Algorithm().String() + "/" + d.Encoded()
}

// blob reads a small blob and verifies it.
func (im *Image) blob(d v1.Descriptor) ([]byte, error) {
	if err := d.Digest.Validate(); err != nil { // before it becomes a name
		return nil, im.bad("digest", "%q: %v", string(d.Digest), err)
	}
	b, err := im.document(blobName(d.Digest), d.Size)
	if err != nil {
		return nil, err
	}
	if got := d.Digest.Algorithm().FromBytes(b); got != d.Digest {
		return nil, im.bad("blob "+d.Digest.String(), "its bytes have the digest %s", got)
	}
	return b, nil
}

// document reads a file of at most maxDocument bytes, of exactly size if that is not negative.
func (im *Image) document(name string, size int64) ([]byte, error) {
	r, have, err := im.store.open(name)
	if err != nil {
		return nil, fmt.Errorf("oci: %s: %w", im.ref, err)
	}
	defer func() { _ = r.Close() }()
	switch {
	case have > maxDocument:
		return nil, im.bad(name, "%d bytes: more than %d", have, maxDocument)
	case size >= 0 && have != size:
		return nil, im.bad(name, "%d bytes, the descriptor says %d", have, size)
	}
	b, err := io.ReadAll(io.LimitReader(r, maxDocument))
	if err != nil {
		return nil, fmt.Errorf("oci: %s: %s: %w", im.ref, name, err)
	}
	if int64(len(b)) != have {
		return nil, im.bad(name, "%d of %d bytes: the archive is truncated", len(b), have)
	}
	return b, nil
}

func (im *Image) decode(what string, b []byte, v any) error {
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(v); err != nil {
		return im.bad(what, "%v", err)
	}
	return nil
}
