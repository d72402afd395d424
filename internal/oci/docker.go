package oci

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// dockerEntry is an image of manifest.json.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// readDocker reads the archive form of docker save. It has no digests of its own: the config is named by
// its digest, and its diff_ids authenticate the layers.
func (im *Image) readDocker(tag string) error {
	b, err := im.document("manifest.json", -1)
	if err != nil {
		return err
	}
	var all []dockerEntry
	if err := im.decode("manifest.json", b, &all); err != nil {
		return err
	}
	e, err := im.dockerImage(all, tag)
	if err != nil {
		return err
	}
	config, err := im.document(e.Config, -1)
	if err != nil {
		return err
	}
	id := digest.FromBytes(config)
	if name := configDigest(e.Config); name != "" && name != id.Encoded() {
		return im.bad(e.Config, "its bytes have the digest %s", id)
	}
	if err := im.setConfig(id, config, len(e.Layers)); err != nil {
		return err
	}
	for i, name := range e.Layers {
		r, size, err := im.store.open(name)
		if err != nil {
			return fmt.Errorf("oci: %s: layer %d: %w", im.ref, i, err)
		}
		_ = r.Close()
		im.Layers = append(im.Layers, Layer{DiffID: im.Config.RootFS.DiffIDs[i], Size: size, name: name})
	}
	return nil
}

// configDigest is the digest that a config's name is: "<hex>.json" or "blobs/sha256/<hex>".
func configDigest(name string) string {
	hex := strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], ".json")
	if digest.NewDigestFromEncoded(digest.SHA256, hex).Validate() != nil {
		return ""
	}
	return hex
}

// named tells whether a reference is what the user calls name: "app" and "app:v1" are short for
// "docker.io/library/app:latest" and "registry/team/app:v1".
func named(ref, name string) bool {
	for _, n := range []string{name, name + ":latest"} {
		if ref == n || strings.HasSuffix(ref, "/"+n) {
			return true
		}
	}
	return false
}

func (im *Image) dockerImage(all []dockerEntry, tag string) (*dockerEntry, error) {
	var names []string
	for i := range all {
		e := &all[i]
		names = append(names, e.RepoTags...)
		if tag != "" && slices.ContainsFunc(e.RepoTags, func(have string) bool { return named(have, tag) }) {
			return e, nil
		}
	}
	switch {
	case len(all) == 0:
		return nil, im.bad("manifest.json", "no images")
	case tag != "":
		return nil, fmt.Errorf("oci: %s: %q: %w; there are %s", im.ref, tag, fs.ErrNotExist, strings.Join(names, ", "))
	case len(all) > 1:
		return nil, fmt.Errorf("oci: %s: several images, name one of %s behind the path", im.ref, strings.Join(names, ", "))
	}
	return &all[0], nil
}
