//go:build linux

package harness

import (
	"os"
)

// cri writes the sections of the Kubernetes interface: no network but the loopback of the sandbox itself.
func (d *Containerd) cri(p func(string, ...any)) {
	conf := d.bench.Path(d.Config.Name + "-cni")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		panic(err) // the bench made its directory
	}
	images, runtime := `"io.containerd.cri.v1.images"`, `"io.containerd.cri.v1.runtime"`
	if d.Config.old() {
		const cri = `"io.containerd.grpc.v1.cri"`
		p("[plugins.%s]\n  sandbox_image = \"localhost/pause:test\"\n  disable_apparmor = true\n  restrict_oom_score_adj = true", cri)
		p("  [plugins.%s.containerd]\n    snapshotter = %q\n    disable_snapshot_annotations = false", cri, d.Config.Snapshotter)
		p("  [plugins.%s.cni]\n    bin_dir = %q\n    conf_dir = %q", cri, d.Config.CNI, conf)
		return
	}
	p("[plugins.%s]\n  snapshotter = %q\n  disable_snapshot_annotations = false", images, d.Config.Snapshotter)
	p("  [plugins.%s.pinned_images]\n    sandbox = \"localhost/pause:test\"", images)
	p("[plugins.%s]\n  disable_apparmor = true\n  restrict_oom_score_adj = true", runtime)
	p("  [plugins.%s.cni]\n    bin_dirs = [%q]\n    conf_dir = %q", runtime, d.Config.CNI, conf)
}
