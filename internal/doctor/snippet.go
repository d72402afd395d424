package doctor

import (
	"fmt"
	"runtime"
	"strings"
)

// Version is a release of containerd.
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads "v1.7.23", "2.4.2", "2.3.0-rc.1+unknown"; ok is false for anything else.
func ParseVersion(s string) (v Version, ok bool) {
	n, err := fmt.Sscanf(strings.TrimPrefix(strings.TrimSpace(s), "v"), "%d.%d.%d", &v.Major, &v.Minor, &v.Patch)
	if n == 2 {
		return v, true
	}
	return v, err == nil
}

// String is the version as containerd prints it, without the v.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// atLeast compares with a release.
func (v Version) atLeast(major, minor, patch int) bool {
	if v.Major != major {
		return v.Major > major
	}
	if v.Minor != minor {
		return v.Minor > minor
	}
	return v.Patch >= patch
}

// Oldest is the first release that works: it has proxies for differs.
var Oldest = Version{1, 7, 4}

// Supported tells whether the proxies that are needed are there.
func (v Version) Supported() bool { return v.atLeast(Oldest.Major, Oldest.Minor, Oldest.Patch) }

// Wiring is what a configuration of containerd has to name.
type Wiring struct {
	Socket string // of the daemon
	Root   string // of its store
}

// unpacks is how many layers are unpacked at once where that is possible: conversions use two processors each.
const unpacks = 4

// Names of the proxy plugins.
const (
	SnapshotterName = "lamina"
	DifferName      = "lamina-diff"
)

// Snippet is what is to be merged into the configuration of containerd. Tables that are there already must not
// be written a second time.
func Snippet(v Version, w Wiring) string {
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	platform := "linux/" + runtime.GOARCH
	if v.Major < 2 {
		line("version = 2\n")
	} else {
		line("version = 3\n")
	}
	line("[proxy_plugins.%s]", SnapshotterName)
	line("  type = \"snapshot\"\n  address = %q", w.Socket)
	if c := capabilities(v); len(c) > 0 {
		line("  capabilities = [%q]", strings.Join(c, `", "`))
	}
	if v.atLeast(1, 7, 16) {
		line("  [proxy_plugins.%s.exports]", SnapshotterName)
		line("    root = %q # sizes of images for the kubelet", w.Root)
		if v.atLeast(2, 1, 0) {
			line("    enable_remote_snapshot_annotations = \"true\"")
		}
	}
	line("\n[proxy_plugins.%s]\n  type = \"diff\"\n  address = %q", DifferName, w.Socket)
	if v.atLeast(1, 7, 16) {
		line("  platform = %q", platform)
	}
	line("\n# The first differ that knows a snapshot takes it; walking has all other snapshotters.")
	line("[plugins.\"io.containerd.service.v1.diff-service\"]\n  default = [%q, \"walking\"]", DifferName)
	if v.Major >= 2 {
		transfer(line, v, platform)
	}
	cri(line, v)
	return strings.ReplaceAll(b.String(), `\", \"`, `", "`)
}

// capabilities are those that a version honours and that are needed: remap-ids for user namespaces (read from
// 1.7.23 on), rebase for parallel unpacking (the parent of a Commit goes over the proxy from 2.2 on; before that
// layers would end without their parents).
func capabilities(v Version) []string {
	var c []string
	if v.atLeast(1, 7, 23) {
		c = append(c, "remap-ids")
	}
	if v.atLeast(2, 2, 0) {
		c = append(c, "rebase")
	}
	return c
}

// transfer is the service that pulls from 2.0 on. What is set here replaces its defaults, so overlayfs is
// written as well.
func transfer(line func(string, ...any), v Version, platform string) {
	line("\n[plugins.\"io.containerd.transfer.v1.local\"]")
	if v.atLeast(2, 2, 0) {
		line("  max_concurrent_unpacks = %d", unpacks)
	}
	line("  [[plugins.\"io.containerd.transfer.v1.local\".unpack_config]]")
	line("    platform = %q\n    snapshotter = \"overlayfs\"\n    differ = \"walking\" # not named, it might be ours", platform)
	line("  [[plugins.\"io.containerd.transfer.v1.local\".unpack_config]]")
	line("    platform = %q\n    snapshotter = %q\n    differ = %q", platform, SnapshotterName, DifferName)
	if v.atLeast(2, 1, 0) {
		line("    layer_types = [\"application/vnd.erofs\", \"application/vnd.erofs+zstd\"]")
	}
}

// cri makes Kubernetes use the snapshotter.
func cri(line func(string, ...any), v Version) {
	line("\n# Kubernetes: leave the rest out to use the snapshotter for single images only (ctr --snapshotter, nerdctl).")
	if v.Major < 2 {
		line("[plugins.\"io.containerd.grpc.v1.cri\".containerd]")
	} else {
		line("[plugins.\"io.containerd.cri.v1.images\"]")
	}
	line("  snapshotter = %q", SnapshotterName)
	if v.Major < 2 {
		line("  disable_snapshot_annotations = false")
	}
}
