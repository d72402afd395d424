// Package oci reads OCI images that lie in a file or a directory: the archives that skopeo, podman,
// buildah and docker write, and OCI image layouts.
//
//	oci-archive:FILE[:TAG]     a tar of an image layout (image-spec, image-layout.md)
//	oci:DIR[:TAG]              an image layout
//	docker-archive:FILE[:TAG]  what docker save writes: manifest.json, config, layer tars
//
// Everything in them is hostile. Sizes of what is read into memory are bounded, digests are verified
// before content is believed, and no name from an archive or a manifest is ever used as a path of the
// host: archives are indexed by name in memory, directories are opened through os.Root.
package oci

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	_ "crypto/sha512" // go-digest verifies sha512 only if it is linked in
)

// ErrInvalid is what an Error matches: the image is not what its format or its digests say.
var ErrInvalid = errors.New("oci: invalid image")

// Error says what in an image is wrong.
type Error struct {
	Ref  string // the image, as the user named it
	What string // "index.json", "layer 3", a digest
	Why  string
}

// Error implements error: "oci: archive.tar: index.json: why".
func (e *Error) Error() string { return "oci: " + e.Ref + ": " + e.What + ": " + e.Why }

// Is implements errors.Is for ErrInvalid.
func (e *Error) Is(target error) bool { return target == ErrInvalid }

// Image is an opened image: its config, verified, and its layers.
type Image struct {
	Config v1.Image
	Digest digest.Digest // of the config: the image ID
	Layers []Layer       // the lowest first

	ref    string
	store  store
	native func(mediaType string) bool
}

// Layer is a changeset of an image.
type Layer struct {
	DiffID    digest.Digest // of the uncompressed tar, as the config has it
	Digest    digest.Digest // of the blob; "" in a docker archive, which has none
	Size      int64         // of the blob
	MediaType string        // "" in a docker archive
	name      string
}

// Options of Open.
type Options struct {
	// Platform is which image of an index is wanted; the zero value: that of the running system. If it is
	// given, an image whose config names another one is an error that matches errors.ErrUnsupported.
	Platform v1.Platform
	// Native tells of media types that are no tars whether the caller understands such layers; nil: none.
	Native func(mediaType string) bool
}

// Limits that keep an image from taking memory or time; all are far above what exists.
const (
	maxDocument = 8 << 20 // index, manifest, config: containerd refuses more than 8 MiB, registries 4
	maxLayers   = 1000
	maxNesting  = 4 // of indexes in indexes
	maxEntries  = 1 << 17
	maxName     = 4096     // of an archive's entry or link; nothing in an image has longer ones
	maxNames    = 32 << 20 // of all of them together
)

// Open finds an image and reads its manifest and config. ref is "KIND:PATH[:TAG]"; without KIND, the
// file or directory is looked at. The caller closes the Image.
func Open(ref string, o Options) (*Image, error) {
	kind, path, tag, err := parse(ref)
	if err != nil {
		return nil, err
	}
	st, err := openStore(path)
	switch {
	case errors.Is(err, ErrInvalid): // says all
		return nil, err
	case kind == "" && errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("oci: %q: %w; an image is a name, oci-archive:FILE, docker-archive:FILE or oci:DIR", ref, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("oci: %w", err)
	}
	im := &Image{ref: ref, store: st, native: o.Native}
	if kind == "" {
		kind = im.guess()
	}
	if kind == "docker-archive" {
		err = im.readDocker(tag)
	} else {
		err = im.readLayout(tag, platform(o.Platform))
	}
	if err == nil && o.Platform.Architecture != "" {
		err = im.isFor(platform(o.Platform))
	}
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return im, nil
}

// Close closes the archive or directory; readers of layers end.
func (im *Image) Close() error { return im.store.Close() }

func (im *Image) bad(what, why string, a ...any) error {
	return &Error{im.ref, what, fmt.Sprintf(why, a...)}
}

// guess tells the kinds apart by the files that they must have. An archive that is both, as docker
// writes since version 25, is read as a layout.
func (im *Image) guess() string {
	if _, _, err := im.store.open("index.json"); err == nil {
		return "oci"
	}
	return "docker-archive"
}

// parse splits a reference. A path may contain colons if it exists with them.
func parse(ref string) (kind, path, tag string, err error) {
	rest := ref
	for _, k := range []string{"oci-archive", "docker-archive", "oci"} {
		if r, ok := strings.CutPrefix(ref, k+":"); ok {
			kind, rest = k, r
			break
		}
	}
	path = rest
	if _, err := os.Stat(path); err != nil {
		if p, t, ok := strings.Cut(rest, ":"); ok && p != "" {
			path, tag = p, t
		}
	}
	if path == "" {
		return "", "", "", fmt.Errorf("oci: %q: not a name, oci-archive:FILE, docker-archive:FILE or oci:DIR", ref)
	}
	return kind, path, tag, nil
}

// OpenLayer returns the bytes of a layer's blob. What they are worth shows at the end: the last Read
// gives an *Error instead of io.EOF if size or digest differ from the manifest. The caller must read
// to the end for that; the diffID is for whoever decompresses.
func (im *Image) OpenLayer(i int) (io.ReadCloser, error) {
	l := &im.Layers[i]
	r, size, err := im.store.open(l.name)
	if err != nil {
		return nil, fmt.Errorf("oci: %s: layer %d: %w", im.ref, i, err)
	}
	what := fmt.Sprintf("layer %d", i)
	if l.Digest == "" {
		return r, nil
	}
	if size != l.Size {
		_ = r.Close()
		return nil, im.bad(what, "%s has %d bytes, the manifest says %d", l.Digest, size, l.Size)
	}
	return &verifier{r: r, v: l.Digest.Verifier(), fail: func() error {
		return im.bad(what, "its bytes do not have the digest %s", l.Digest)
	}}, nil
}

// verifier passes bytes on and checks their digest at the end.
type verifier struct {
	r    io.ReadCloser
	v    digest.Verifier
	fail func() error
}

// Read implements io.Reader.
func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	_, _ = v.v.Write(p[:n]) // a hash does not fail
	if err == io.EOF && !v.v.Verified() {
		err = v.fail()
	}
	return n, err
}

// Close implements io.Closer.
func (v *verifier) Close() error { return v.r.Close() }
