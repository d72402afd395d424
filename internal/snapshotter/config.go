package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/store"
)

// Config of a Snapshotter; the zero value works. Keys that containerd's erofs snapshotter has as well
// have its names and meaning.
type Config struct {
	RootPath           string   `toml:"root_path"`            // root of the store; whoever opens the store looks at it
	OvlMountOptions    []string `toml:"ovl_mount_options"`    // added to the options of every overlay
	EnableFsverity     bool     `toml:"enable_fsverity"`      // must be false: blobs are not sealed yet
	SetImmutable       bool     `toml:"set_immutable"`        // blobs get the immutable flag; kept by the store
	DefaultSize        string   `toml:"default_size"`         // limit of what an active snapshot takes, in bytes with an optional unit of 1024; "" or "0": none
	DmverityMode       string   `toml:"dmverity_mode"`        // "auto", "off" or "": no blob has dm-verity yet, so "on" is refused
	LayerContentCaches []string `toml:"layer_content_caches"` // absolute paths of directories of finished blobs
	MountMode          string   `toml:"mount_mode"`           // "host" (default) or "managed"
	// ContentSharingPolicy says who gets a layer that the store has, named as containerd's key of its metadata: "shared"
	// (default): who names its diffID, without a download; "isolated": who brings its content.
	ContentSharingPolicy string `toml:"content_sharing_policy"`
	Quota                string `toml:"quota"` // "image" (default, the same as "ext4"), "xfs" or "project": what keeps an active snapshot to its size

	// Rebuild, if set, makes the blob of a layer again that is lost or damaged, for all snapshots that refer to it; it is
	// called outside of transactions, on any goroutine, with the context of who asked for the snapshot. It is an
	// ErrNotFound that says what the user can do if there is nothing to make it of.
	Rebuild func(context.Context, store.Key) error `toml:"-"`

	// Observe, if set, is told of what the snapshotter went on without, on any goroutine.
	Observe func(Event) `toml:"-"`
}

// Event is something that the snapshotter went on without.
type Event struct {
	Path string // a file of a cache
	Err  error  // why it was not used
}

// mode is the form of the mounts that are returned.
type mode string

const (
	modeHost    mode = "host"    // one overlay or bind; blobs are mounted here, once
	modeManaged mode = "managed" // containerd's own forms, for shims that hand image files to a virtual machine
)

// quotaKind is what keeps an active snapshot to its size.
type quotaKind string

const (
	quotaImage   quotaKind = "image"   // a file system of that size in a file
	quotaProject quotaKind = "project" // a project quota of the file system that holds the store
	quotaXFS     quotaKind = "xfs"     // as quotaImage, which has ext4
)

// Isolated tells whether a layer that the store has is only for those who bring its content.
func (c *Config) Isolated() bool { return c.ContentSharingPolicy == "isolated" }

// parsed is a Config that holds nothing wrong.
type parsed struct {
	mode        mode
	quota       quotaKind
	defaultSize int64
	isolated    bool
	caches      []string
	overlay     []string
	observe     func(Event)
	rebuild     func(context.Context, store.Key) error
}

// Validate reports everything that is wrong with a configuration, each with its reason; the error
// matches errdefs.ErrInvalidArgument.
func (c *Config) Validate() error {
	_, err := c.parse()
	return err
}

func (c *Config) parse() (parsed, error) {
	var p parsed
	var errs []error
	refuse := func(key string, value any, why string) {
		errs = append(errs, fmt.Errorf("snapshotter: %s: %q: %s: %w", key, fmt.Sprint(value), why, errdefs.ErrInvalidArgument))
	}
	if c.EnableFsverity {
		refuse("enable_fsverity", true, "blobs are not sealed with fs-verity yet; leave it false")
	}
	switch c.DmverityMode {
	case "", "auto", "off":
	case "on":
		refuse("dmverity_mode", c.DmverityMode, "blobs have no dm-verity trees yet; use auto or off")
	default:
		refuse("dmverity_mode", c.DmverityMode, "must be auto, on or off")
	}
	switch p.mode = mode(c.MountMode); p.mode {
	case "":
		p.mode = modeHost
	case modeHost, modeManaged:
	default:
		refuse("mount_mode", c.MountMode, "must be host or managed")
	}
	switch p.quota = quotaKind(c.Quota); p.quota {
	case "":
		p.quota = quotaImage
	case quotaImage, quotaProject, quotaXFS:
	case "ext4":
		p.quota = quotaImage
	default:
		refuse("quota", c.Quota, "must be image (which is ext4), ext4, xfs or project")
	}
	p.isolated = c.Isolated()
	switch c.ContentSharingPolicy {
	case "", "shared":
	case "isolated":
		if len(c.LayerContentCaches) > 0 {
			refuse("content_sharing_policy", c.ContentSharingPolicy, "layer_content_caches gives layers to whoever names them: leave that empty")
		}
	default:
		refuse("content_sharing_policy", c.ContentSharingPolicy, "must be shared or isolated")
	}
	var err error
	if p.defaultSize, err = parseSize(c.DefaultSize); err != nil {
		refuse("default_size", c.DefaultSize, err.Error())
	}
	for _, dir := range c.LayerContentCaches {
		if !filepath.IsAbs(dir) {
			refuse("layer_content_caches", dir, "must be an absolute path")
		}
	}
	p.caches = c.LayerContentCaches
	for _, o := range c.OvlMountOptions {
		if why := wrongOption(o); why != "" {
			refuse("ovl_mount_options", o, why)
		}
	}
	p.overlay = c.OvlMountOptions
	p.observe, p.rebuild = c.Observe, c.Rebuild
	return p, errors.Join(errs...)
}

// wrongOption says why an option cannot be one of all overlays, "" if it can.
func wrongOption(o string) string {
	key, value, _ := strings.Cut(o, "=")
	switch key {
	case "":
		return "is empty"
	case "lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir", "source":
		return "is what the snapshotter itself decides"
	case "ro", "rw", "bind", "rbind", "remount", "loop", "uidmap", "gidmap":
		return "is not an option of overlayfs"
	case "metacopy", "redirect_dir":
		if value == "on" || value == "" {
			return "a committed layer would depend on the layers below by more than its names"
		}
	}
	if strings.ContainsAny(o, "\n\x00") {
		return "has a line feed or a NUL"
	}
	return ""
}

// The sizes that a quota may have. Those of file system images are narrower: see SizeLimits.
const (
	MinSize = 1 << 20
	maxSize = 1 << 50
)

// SizeLimits are the smallest and the largest size, in bytes, that the quota of a snapshot may have.
func (c *Config) SizeLimits() (least, most int64) {
	switch quotaKind(c.Quota) {
	case quotaProject:
		return MinSize, maxSize
	case quotaXFS:
		return mount.MinXFS, mount.MaxImage
	}
	return mount.MinExt4, mount.MaxImage
}

// parseSize reads a number of bytes with an optional unit, all of them powers of 1024: k, m, g, t, p with an
// optional "b" or "ib", as containerd's default_size.
func parseSize(s string) (int64, error) {
	t := strings.ToLower(strings.TrimSpace(s))
	if t == "" || t == "0" {
		return 0, nil
	}
	t = strings.TrimSuffix(strings.TrimSuffix(t, "b"), "i")
	shift := 0
	if n := len(t); n > 0 {
		if i := strings.IndexByte("kmgtp", t[n-1]); i >= 0 {
			shift, t = 10*(i+1), t[:n-1]
		}
	}
	t = strings.TrimSpace(t)
	f, err := strconv.ParseFloat(t, 64)
	if err != nil || math.IsNaN(f) || strings.ContainsAny(t, "xpe_+") {
		return 0, errors.New(`must be a number of bytes with an optional unit, like "10GiB"`)
	}
	f *= float64(int64(1) << shift)
	return boundSize(f)
}

func boundSize(f float64) (int64, error) {
	switch {
	case f == 0:
		return 0, nil
	case f < MinSize:
		return 0, fmt.Errorf("must be at least %d bytes", MinSize)
	case f > maxSize:
		return 0, errors.New("must be at most 1 PiB")
	}
	return int64(f), nil
}
