package engine

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/tartree"
)

// ImportOptions say what is taken from an archive; the zero value is all that is for this machine.
type ImportOptions struct {
	Platform string
	Name     string // of the image, if there is one only; or what stands before the tags of images without a whole name
	Watch    Watcher
}

// Import reads an OCI archive or a docker archive, with any number of images, and converts their layers.
func (l *Local) Import(ctx context.Context, in io.Reader, o ImportOptions) ([]Image, error) {
	match, err := matcher(o.Platform)
	if err != nil {
		return nil, err
	}
	target, err := l.readArchive(ctx, in)
	if err != nil {
		if ctx.Err() == nil && !isSystem(err) && !errors.Is(err, errors.ErrUnsupported) {
			err = invalidf("archive: %v", err)
		}
		return nil, err
	}
	b, err := readDocument(ctx, l.fromContent, target)
	if err != nil {
		return nil, err
	}
	var index v1.Index
	if err := parseJSON(target, b, &index); err != nil {
		return nil, err
	}
	var out []Image
	for _, d := range index.Manifests {
		name, err := importName(d, o.Name, len(index.Manifests) == 1)
		if err != nil {
			return out, err
		}
		im, err := l.importOne(ctx, name, d, match, o.Watch)
		if errdefs.IsNotFound(err) && len(index.Manifests) > 1 && d.Platform != nil && !match.Match(*d.Platform) {
			continue // the archive is an index of one image for several platforms
		}
		if err != nil {
			return out, fmt.Errorf("%s: %w", Familiar(name), err)
		}
		out = append(out, im)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("engine: archive: no image for %s: %w", platformName(o.Platform), errdefs.ErrNotFound)
	}
	return out, nil
}

// readArchive takes all that is in an archive, which may be compressed as a whole, into the content store.
func (l *Local) readArchive(ctx context.Context, in io.Reader) (v1.Descriptor, error) {
	if err := looksLikeArchive(in); err != nil {
		return v1.Descriptor{}, err
	}
	r, _, err := tartree.Decompress(&cancelled{ctx, in})
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer func() { _ = r.Close() }()
	target, err := archive.ImportIndex(l.named(ctx), l.content, r)
	if err == nil {
		_, err = io.Copy(io.Discard, r) // the sum of what is compressed is at the end
	}
	return target, err
}

// looksLikeArchive saves the work with a tar of files, where that can be seen without reading all of it: every one
// of them would be written to the content store, to find out at the end that none says what the image is.
func looksLikeArchive(in io.Reader) error {
	f, ok := in.(io.ReadSeeker)
	if !ok {
		return nil
	}
	start, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil // a pipe
	}
	tr := tar.NewReader(f)
	found := false
	for n := 0; !found; n++ {
		h, err := tr.Next()
		if n == 0 && err != nil {
			found = true // compressed perhaps; else what reads it says what is wrong
			break
		}
		if err != nil {
			break
		}
		name := path.Clean(h.Name)
		found = name == v1.ImageLayoutFile || name == "manifest.json"
	}
	if !found {
		return errors.New("no image: neither oci-layout nor manifest.json is in it; a layer or a root file system is for lamina build")
	}
	_, err = f.Seek(start, io.SeekStart)
	return err
}

func platformName(p string) string {
	if p == "" {
		return platforms.DefaultString()
	}
	return p
}

// importName is the name of an image of an archive: its own, or the one that was asked for.
func importName(d v1.Descriptor, asked string, only bool) (string, error) {
	own := d.Annotations[images.AnnotationImageName]
	tag := d.Annotations[v1.AnnotationRefName]
	bare := false // only stands before a tag
	if named, err := reference.ParseNormalizedNamed(asked); err == nil {
		bare = reference.IsNameOnly(named)
	}
	switch {
	case asked != "" && only && bare && tag != "" && !strings.ContainsAny(tag, "/:"):
		return Normalize(asked + ":" + tag)
	case asked != "" && only:
		return Normalize(asked)
	case own != "":
		return Normalize(own)
	case strings.ContainsAny(tag, "/:"):
		return Normalize(tag)
	case asked != "" && tag != "":
		return Normalize(asked + ":" + tag)
	case asked != "":
		return Normalize(asked + "@" + d.Digest.String())
	}
	return "", fmt.Errorf("engine: archive: image %s has no name (tag %q): give one by --name: %w", d.Digest, tag, errdefs.ErrInvalidArgument)
}

func (l *Local) importOne(ctx context.Context, name string, d v1.Descriptor, match platforms.MatchComparer, w Watcher) (Image, error) {
	c, err := readContents(ctx, l.fromContent, d, forPlatform(match))
	if err != nil {
		return Image{}, err
	}
	if d.Platform == nil {
		if err := c.isFor(match); err != nil {
			return Image{}, err
		}
	}
	for i, la := range c.layers {
		info, err := l.content.Info(l.named(ctx), la.desc.Digest)
		if err == nil && info.Size != la.desc.Size {
			return Image{}, invalidf("layer %d: %s has %d bytes, the manifest says %d", i, la.desc.Digest, info.Size, la.desc.Size)
		}
	}
	if w == nil {
		w = nobody{}
	}
	t := &transfer{Local: l, source: l.nowhere, watch: w}
	if err := t.layers(ctx, c.layers); err != nil {
		return Image{}, err
	}
	return l.record(ctx, name, c, nil)
}

// ExportOptions say what goes into an archive; the zero value is all that is here.
type ExportOptions struct {
	Platform string
	OCIOnly  bool // no manifest.json, which docker load wants
}

// Export writes images into one archive that is an OCI archive and a docker archive at once. Layers that were
// not fetched because the store had them are fetched now.
func (l *Local) Export(ctx context.Context, out io.Writer, refs []string, o ExportOptions) error {
	match, err := matcher(o.Platform)
	if err != nil {
		return err
	}
	opts := []archive.ExportOpt{archive.WithPlatform(match)}
	if o.OCIOnly {
		opts = append(opts, archive.WithSkipDockerManifest())
	}
	for _, ref := range refs {
		im, err := l.Lookup(ctx, ref)
		if err != nil {
			return err
		}
		c, err := l.contentsOf(ctx, im.target, o.Platform)
		if err != nil {
			return fmt.Errorf("%s: %w", Familiar(im.Name), err)
		}
		for i, la := range c.layers {
			_, err := l.content.Info(l.named(ctx), la.desc.Digest)
			if errdefs.IsNotFound(err) {
				err = l.refetch(ctx, im.Name, la.desc)
			}
			if err != nil {
				return fmt.Errorf("%s: layer %d: %w", Familiar(im.Name), i, err)
			}
		}
		// The manifest alone: what an index names beside it may not be here.
		opts = append(opts, archive.WithManifest(withPlatform(c), im.Name))
	}
	if err := archive.Export(l.named(ctx), l.content, out, opts...); err != nil {
		return fmt.Errorf("engine: archive: %w", err)
	}
	return nil
}

// withPlatform is the descriptor of a manifest as an index has it.
func withPlatform(c *contents) v1.Descriptor {
	d := c.manifest
	if d.Platform == nil && c.config.Architecture != "" {
		p := c.config.Platform
		d.Platform = &p
	}
	return d
}
