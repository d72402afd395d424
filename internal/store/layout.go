package store

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
)

// Layout is the paths below the root of a store; nobody else puts them together.
//
//	lock                           byte ranges that processes lock (lock.go)
//	metadata.db                    bbolt: snapshots (containerd's core/snapshots/storage) and our records
//	blobs/<profile>/sha256/ab/<hex>.erofs    a blob; <hex>.tar beside it is its device
//	damaged/                       blobs that recovery has set aside
//	staging/<random>/              everything unfinished, everything on its way out
//	snapshots/<id>/                directory of an active snapshot
//	m/<n>                          mount point of the blob with number n
//	empty/                         an empty directory, the lower of overlays that have none
type Layout struct{ Root string }

const (
	lockName     = "lock"
	databaseName = "metadata.db"
	blobsName    = "blobs"
	damagedName  = "damaged"
	stagingName  = "staging"
	snapsName    = "snapshots"
	mountsName   = "m"
	emptyName    = "empty"

	imageName  = "image.erofs" // in a directory of staging
	deviceName = "device.tar"

	imageExt  = ".erofs"
	deviceExt = ".tar"
)

func (l Layout) lock() string      { return filepath.Join(l.Root, lockName) }
func (l Layout) database() string  { return filepath.Join(l.Root, databaseName) }
func (l Layout) blobs() string     { return filepath.Join(l.Root, blobsName) }
func (l Layout) damaged() string   { return filepath.Join(l.Root, damagedName) }
func (l Layout) staging() string   { return filepath.Join(l.Root, stagingName) }
func (l Layout) snapshots() string { return filepath.Join(l.Root, snapsName) }
func (l Layout) mounts() string    { return filepath.Join(l.Root, mountsName) }

// dirs are the directories that Open makes.
func (l Layout) dirs() []string {
	return []string{l.blobs(), l.damaged(), l.staging(), l.snapshots(), l.mounts(), l.Empty()}
}

// Empty is a directory that stays empty.
func (l Layout) Empty() string { return filepath.Join(l.Root, emptyName) }

// image is where the EROFS image of a blob lies.
func (l Layout) image(k Key) string { return l.stem(k) + imageExt }

// device is where the device of a two-file tar index lies.
func (l Layout) device(k Key) string { return l.stem(k) + deviceExt }

func (l Layout) stem(k Key) string {
	hex := k.Digest.Encoded()
	return filepath.Join(l.blobs(), k.Profile, k.Digest.Algorithm().String(), hex[:2], hex)
}

// MountPoint is where the blob with number n is mounted, mounted or not. It is short, so that the lower
// directories of a hundred layers fit in the one page that mount(2) takes.
func (l Layout) MountPoint(n uint64) string {
	return filepath.Join(l.mounts(), strconv.FormatUint(n, 10))
}

// Snapshot is the directory of a snapshot. It is to be made inside the transaction that makes the record of the
// snapshot; one that is there already is left of a transaction that failed, whose id is given again, and is to be
// dropped. All below it is the snapshotter's.
func (l Layout) Snapshot(id string) string { return filepath.Join(l.snapshots(), id) }

// Upper is the upper directory of a snapshot without quota image.
func (l Layout) Upper(id string) string { return filepath.Join(l.Snapshot(id), "fs") }

// Work is the work directory of a snapshot without quota image.
func (l Layout) Work(id string) string { return filepath.Join(l.Snapshot(id), "work") }

// Rootfs is where the daemon mounts the overlay of a snapshot itself if it has to.
func (l Layout) Rootfs(id string) string { return filepath.Join(l.Snapshot(id), "rootfs") }

// QuotaImage is the file system image that limits a snapshot.
func (l Layout) QuotaImage(id string) string { return filepath.Join(l.Snapshot(id), "rw.img") }

// QuotaMount is where QuotaImage is mounted.
func (l Layout) QuotaMount(id string) string { return filepath.Join(l.Snapshot(id), "rw") }

// QuotaUpper is Upper in the image of QuotaImage.
func (l Layout) QuotaUpper(id string) string { return filepath.Join(l.QuotaMount(id), "fs") }

// QuotaWork is Work in the image of QuotaImage.
func (l Layout) QuotaWork(id string) string { return filepath.Join(l.QuotaMount(id), "work") }

// SnapshotID finds the snapshot that mounts belong to: the id in <root>/snapshots/<id>/... of a source,
// an upperdir= or a lowerdir=, in this order, the last mount first. It looks at nothing but its arguments.
func SnapshotID(root string, mounts []mount.Mount) (id string, ok bool) {
	prefix := Layout{filepath.Clean(root)}.snapshots() + "/"
	for i := len(mounts) - 1; i >= 0; i-- {
		for _, path := range pathsOf(mounts[i]) {
			rest, below := strings.CutPrefix(filepath.Clean(path), prefix)
			if id, _, _ := strings.Cut(rest, "/"); below && isNumber(id) {
				return id, true
			}
		}
	}
	return "", false
}

// pathsOf lists the source, the upper and the lower directories of a mount.
func pathsOf(m mount.Mount) []string {
	paths := []string{m.Source}
	var lowers []string
	for _, o := range m.Options {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "upperdir":
			paths = append(paths, unescape(value))
		case "lowerdir", "lowerdir+", "datadir+":
			lowers = append(lowers, splitLowers(value)...)
		}
	}
	return append(paths, lowers...)
}

// splitLowers splits at the colons of overlayfs' lowerdir= that no backslash escapes.
func splitLowers(s string) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ':':
			out = append(out, unescape(s[start:i]))
			start = i + 1
		}
	}
	return append(out, unescape(s[start:]))
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isNumber tells whether s is the id of a snapshot, as core/snapshots/storage writes it.
func isNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && strconv.FormatUint(n, 10) == s
}
