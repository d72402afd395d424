// Package differ makes blobs of the store out of layers, and layers out of snapshots: containerd's
// diff.Applier and diff.Comparer.
//
//	Apply     content store ─► decode ─► EROFS ─► staging ─► synced, named, linked to the snapshot
//	          a layer that is a blob already is only linked; an uncompressed EROFS layer is a link or
//	          reflink of the file in the content store, once fsck has nothing against it
//	Compare   upper directory, or blob, of the snapshot ─► tar or EROFS ─► content store
//
// Apply takes snapshots that are made for unpacking (containerd's "extract-" snapshots); into any other
// snapshot of the store it unpacks the layer as containerd does. Mounts that are not of the store are
// not implemented: containerd goes on to its next differ.
package differ

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/store"
)

// Config of a Differ; the zero value works.
type Config struct {
	// EnableTarIndex keeps the tar of a layer and makes an index of it, instead of an image.
	EnableTarIndex bool `toml:"enable_tar_index"`
	// EnableDmverity must be false: blobs are not sealed yet.
	EnableDmverity bool `toml:"enable_dmverity"`
	// ContentRoot is the directory of a local content store, the one that has "blobs" in it: layers are
	// read from its files where possible. "": they are read through the content store only.
	ContentRoot string `toml:"content_root"`
	// Isolated keeps a layer that the store has from those who name its diffID and have not its content: the policy of the
	// snapshotter.
	Isolated bool `toml:"-"`
	// Observe, if set, is told of every layer, on any goroutine.
	Observe func(Event) `toml:"-"`
}

// Validate reports everything that is wrong with a configuration; the error matches
// errdefs.ErrInvalidArgument.
func (c *Config) Validate() error {
	var errs []error
	if c.EnableDmverity {
		errs = append(errs, fmt.Errorf("differ: enable_dmverity: true: blobs have no dm-verity trees yet; leave it false: %w", errdefs.ErrInvalidArgument))
	}
	if c.ContentRoot != "" && !filepath.IsAbs(c.ContentRoot) {
		errs = append(errs, fmt.Errorf("differ: content_root: %q: must be an absolute path: %w", c.ContentRoot, errdefs.ErrInvalidArgument))
	}
	return errors.Join(errs...)
}

// How says what Apply or Compare did.
type How string

// What Event.How can be.
const (
	Converted How = "converted" // a tar became an EROFS image
	Indexed   How = "indexed"   // a tar got an index
	Native    How = "native"    // an EROFS image was taken over
	Linked    How = "linked"    // the blob was there already
	Unpacked  How = "unpacked"  // into the upper directory of a snapshot that is not for unpacking
	Streamed  How = "streamed"  // Compare: from the upper directory, or the blob
	Compared  How = "compared"  // Compare: of two mounted roots
)

// Event is a layer that was applied or made.
type Event struct {
	How       How
	MediaType string
	Bytes     int64 // of the layer as it is in the content store
}

// Differ is a diff.Applier and a diff.Comparer on a store. It may be used by any number of goroutines.
type Differ struct {
	store   *store.Store
	content content.Store
	config  Config
	flights flights // by the digests of layers

	rebuilds flights       // by the digests of the keys of blobs
	slots    chan struct{} // has room for the rebuilds that work
}

// New returns a Differ that takes layers from cs and puts layers there. It needs no closing.
func New(s *store.Store, cs content.Store, c Config) (*Differ, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Differ{store: s, content: cs, config: c, slots: make(chan struct{}, maxRebuilds)}, nil
}

func (d *Differ) observe(how How, mediaType string, bytes int64) {
	if d.config.Observe != nil {
		d.config.Observe(Event{how, mediaType, bytes})
	}
}
