package differ

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/tartree"
)

// Media types of layers that are EROFS images: containerd's, and that of the image specification of EROFS.
// With "+zstd" they are compressed.
const (
	MediaTypeErofsLayer = images.MediaTypeErofsLayer
	MediaTypeErofs      = "application/vnd.erofs"
)

// mediaTypeNonDistributable is deprecated, and there are such layers.
const mediaTypeNonDistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar"

// layerType is what a media type means.
type layerType struct {
	native      bool                // an EROFS image, not a tar
	base        string              // of native layers: without the suffix
	compression tartree.Compression // as declared
	declared    bool                // whether the type says so for sure
}

// tars are the base types of tar layers. Docker's type without a suffix has been used for compressed
// layers too.
var tars = map[string]layerType{
	ocispec.MediaTypeImageLayer:                   {declared: true},
	mediaTypeNonDistributable:                     {declared: true},
	images.MediaTypeDockerSchema2Layer:            {},
	images.MediaTypeDockerSchema2LayerForeign:     {},
	images.MediaTypeDockerSchema2LayerGzip:        {compression: tartree.Gzip, declared: true},
	images.MediaTypeDockerSchema2LayerForeignGzip: {compression: tartree.Gzip, declared: true},
	images.MediaTypeDockerSchema2LayerZstd:        {compression: tartree.Zstd, declared: true},
}

// parseType tells what a media type means: an ErrNotImplemented if Apply cannot take it.
func parseType(mediaType string) (layerType, error) {
	refuse := func(why string) (layerType, error) {
		return layerType{}, fmt.Errorf("differ: media type %q: %s: %w", mediaType, why, errdefs.ErrNotImplemented)
	}
	parts := strings.Split(mediaType, "+")
	base, suffixes := parts[0], parts[1:]
	t, tar := tars[base]
	native := base == MediaTypeErofsLayer || base == MediaTypeErofs
	switch {
	case slices.Contains(suffixes, "encrypted"):
		return refuse("encrypted layers need a stream processor, which a differ outside containerd does not have")
	case !tar && !native:
		return refuse("no layer that is known")
	case len(suffixes) > 1:
		return refuse("more than one suffix")
	}
	t.native, t.base = native, base
	if len(suffixes) == 0 {
		if native {
			t.declared = true
		}
		return t, nil
	}
	docker := tar && base != ocispec.MediaTypeImageLayer && base != mediaTypeNonDistributable
	switch s := suffixes[0]; {
	case s == "zstd" && !docker:
		t.compression = tartree.Zstd
	case s == "gzip" && tar && !docker:
		t.compression = tartree.Gzip
	default:
		return refuse("unknown suffix")
	}
	t.declared = true
	return t, nil
}

// plain tells whether the digest of the layer is its diffID.
func (t *layerType) plain() bool { return t.declared && t.compression == tartree.None }
