//go:build linux

package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ContainerdConfig says how containerd is set up; Root, State and Socket are below the bench if they are empty.
type ContainerdConfig struct {
	Name    string // of the instance; "c"
	Version string // a directory of .cache/containerd
	Root    string // where content, metadata and built-in snapshotters are
	Unpacks int    // max_concurrent_unpacks of the transfer service, from 2.1
	Lamina  string // socket of `lamina serve`; "": not plugged in
	// Exports is the root of the store, which CRI wants to know.
	Exports string
	// Differ of the snapshotter lamina: "lamina-diff" if empty; "walking" is containerd's own.
	Differ      string
	Erofs       bool     // containerd's erofs differ is there: mkfs.erofs is in Path
	ErofsOption []string // its mkfs_options
	ErofsDiffer string   // of the snapshotter erofs: "erofs" if empty
	SyncFS      bool     // sync_fs of the diff service
	CRI         bool
	CNI         string   // directory of the network plugins
	Snapshotter string   // of CRI
	Path        []string // put before PATH: mkfs.erofs
	Config      string   // added at the end of the configuration
	LogLevel    string
}

// A Containerd is a running daemon.
type Containerd struct {
	*Process
	Config    ContainerdConfig
	Address   string // socket
	State     string
	Namespace string // of ctr: a name of its own, because cgroups and the state of runc are named after it
	bench     *Bench
	env       []string
}

func (c *ContainerdConfig) old() bool { return strings.HasPrefix(c.Version, "1.") }

// StartContainerd starts a daemon and waits until it answers.
func (b *Bench) StartContainerd(ctx context.Context, c ContainerdConfig) (*Containerd, error) {
	if c.Name == "" {
		c.Name = "c"
	}
	if c.Root == "" {
		c.Root = b.Path(c.Name + "-root")
	}
	if c.Differ == "" {
		c.Differ = "lamina-diff"
	}
	if c.ErofsDiffer == "" {
		c.ErofsDiffer = "erofs"
	}
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
	d := &Containerd{Config: c, bench: b, Address: b.Path(c.Name + ".sock"), State: b.Path(c.Name + "-state"),
		Namespace: filepath.Base(b.Dir)}
	path := strings.Join(append(append([]string{b.Tools.Containerd(c.Version)}, c.Path...), os.Getenv("PATH")), ":")
	d.env = []string{"PATH=" + path, "CONTAINERD_ADDRESS=" + d.Address, "CONTAINERD_NAMESPACE=" + d.Namespace}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	b.Defer(d.shutdown)
	return d, nil
}

func (d *Containerd) start(ctx context.Context) (err error) {
	config := d.bench.Path(d.Config.Name + ".toml")
	if err := os.WriteFile(config, []byte(d.toml()), 0o644); err != nil {
		return err
	}
	d.Process, err = Start("containerd "+d.Config.Version, d.bench.Path(d.Config.Name+".log"), d.env,
		filepath.Join(d.bench.Tools.Containerd(d.Config.Version), "containerd"), "-c", config, "-l", d.Config.LogLevel)
	if err != nil {
		return err
	}
	err = d.waitReady(30*time.Second, func() error {
		if _, err := os.Stat(d.Address); err != nil {
			return err
		}
		_, err := d.Ctr(ctx, "version")
		return err
	})
	if err != nil {
		d.Kill()
	}
	return err
}

// Restart stops the daemon, or kills it, and starts it again on the same paths.
func (d *Containerd) Restart(ctx context.Context, kill bool) error {
	if kill {
		d.Kill()
	} else if err := d.Stop(); err != nil {
		return err
	}
	return d.start(ctx)
}

// Ctr runs ctr of the same version.
func (d *Containerd) Ctr(ctx context.Context, args ...string) (string, error) {
	return Run(ctx, d.env, append([]string{filepath.Join(d.bench.Tools.Containerd(d.Config.Version), "ctr")}, args...)...)
}

// Env is the environment in which its clients find it.
func (d *Containerd) Env() []string { return d.env }

// shutdown ends the daemon, and takes away containers that nobody removed, which is an error, and what stock containerd
// leaves of itself: empty cgroups.
func (d *Containerd) shutdown() (err error) {
	if d.Running() {
		for _, namespace := range []string{d.Namespace, "k8s.io"} {
			err = errors.Join(err, d.removeTasks(namespace))
		}
	}
	err = errors.Join(err, d.Stop())
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/", "/run/containerd/runc/"} {
		empty, _ := filepath.Glob(pattern + d.Namespace)
		for _, dir := range empty {
			_ = os.Remove(dir) // only if nobody is in it
		}
	}
	return err
}

func (d *Containerd) removeTasks(namespace string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tasks, e := d.Ctr(ctx, "-n", namespace, "tasks", "ls", "-q")
	for _, id := range strings.Fields(tasks) {
		err = errors.Join(err, fmt.Errorf("container %s was not removed", id))
		_, _ = d.Ctr(ctx, "-n", namespace, "tasks", "kill", "-s", "KILL", id)
		_, rm := d.Ctr(ctx, "-n", namespace, "tasks", "rm", "-f", id)
		e = errors.Join(e, rm)
	}
	return errors.Join(err, e)
}

// toml is the whole configuration file.
func (d *Containerd) toml() string {
	c := &d.Config
	var w strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	if c.old() {
		p("version = 2")
	} else {
		p("version = 3")
	}
	p("root = %q\nstate = %q", c.Root, d.State)
	disabled := []string{"io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"}
	if !c.CRI {
		disabled = append(disabled, "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri")
	}
	p("disabled_plugins = %s", list(disabled))
	p("[grpc]\n  address = %q\n[ttrpc]\n  address = %q", d.Address, d.Address+".ttrpc")
	if c.Lamina != "" {
		d.proxy(p)
	}
	if !c.old() {
		d.transfer(p)
		if len(c.ErofsOption) > 0 {
			p("[plugins.\"io.containerd.differ.v1.erofs\"]\n  mkfs_options = %s", list(c.ErofsOption))
		}
	}
	differs := []string{"walking"}
	if c.Erofs {
		differs = []string{"erofs", "walking"}
	}
	if c.Lamina != "" && c.Differ != "walking" {
		differs = append([]string{"lamina-diff"}, differs...)
	}
	p("[plugins.\"io.containerd.service.v1.diff-service\"]\n  default = %s", list(differs))
	if c.SyncFS {
		p("  sync_fs = true")
	}
	if c.CRI {
		d.cri(p)
	}
	return w.String() + c.Config
}

func (d *Containerd) proxy(p func(string, ...any)) {
	capabilities := ""
	if !d.Config.old() {
		capabilities = "\n  capabilities = [\"rebase\", \"remap-ids\"]"
	}
	p("[proxy_plugins.lamina]\n  type = \"snapshot\"\n  address = %q%s", d.Config.Lamina, capabilities)
	p("  [proxy_plugins.lamina.exports]\n    root = %q\n    enable_remote_snapshot_annotations = \"true\"", d.Config.Exports)
	p("[proxy_plugins.lamina-diff]\n  type = \"diff\"\n  address = %q\n  platform = \"linux/amd64\"", d.Config.Lamina)
}

func (d *Containerd) transfer(p func(string, ...any)) {
	p("[plugins.\"io.containerd.transfer.v1.local\"]")
	if d.Config.Unpacks > 0 {
		p("  max_concurrent_unpacks = %d", d.Config.Unpacks)
	}
	unpack := func(snapshotter, differ string) {
		p("  [[plugins.\"io.containerd.transfer.v1.local\".unpack_config]]")
		p("    platform = \"linux/amd64\"\n    snapshotter = %q\n    differ = %q", snapshotter, differ)
	}
	unpack("overlayfs", "walking")
	if d.Config.Erofs {
		unpack("erofs", d.Config.ErofsDiffer)
	}
	if d.Config.Lamina != "" {
		unpack("lamina", d.Config.Differ)
	}
}

func list(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
