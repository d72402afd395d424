package engine

import (
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/differ"
	"github.com/laminafs/lamina/internal/snapshotter"
)

// unknownKey says why a key is none. Keys that containerd's own plugins have or had get their reason.
func unknownKey(path []string) string {
	switch strings.Join(path, ".") {
	case "differ.mkfs_options":
		return "unknown key: no mkfs.erofs is run that could take options"
	case "snapshotter.max_unmerged_layers":
		return "unknown key: layers are not merged; overlayfs takes 500"
	case "snapshotter.root":
		return "unknown key: it is called root_path, or root outside of any table"
	case "snapshotter.sync_remove", "snapshotter.async_remove":
		return "unknown key: removal is finished by Cleanup, which containerd calls"
	}
	return "unknown key"
}

// Validate returns every value that makes no sense, and every contradiction. What the kernel and the file
// system can do is found out when the daemon starts.
func (c *Config) Validate() []Problem {
	v := &validation{}
	if c.Version != 1 {
		v.add("version", "%d: this program knows version 1", c.Version)
	}
	v.path("root", c.Root, false)
	if c.Root == "/" {
		v.add("root", "%q: the store wants a directory of its own", c.Root)
	}
	v.path("socket", c.Socket, false)
	if len(c.Socket) > maxSocketPath {
		v.add("socket", "longer than the %d bytes that a unix socket may have", maxSocketPath)
	}
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "text", "json")
	v.path("containerd.address", c.Containerd.Address, false)
	v.path("containerd.root", c.Containerd.Root, true)
	v.path("snapshotter.root_path", c.Snapshotter.RootPath, true)
	section(v, "snapshotter", c.Snapshotter, (*snapshotter.Config).Validate)
	v.path("differ.content_root", c.Differ.ContentRoot, true)
	section(v, "differ", c.Differ, (*differ.Config).Validate)
	v.address("metrics.address", c.Metrics.Address)
	if c.Metrics.Pprof && c.Metrics.Address == "" {
		v.add("metrics.pprof", "needs metrics.address")
	}
	c.Registry.validate(v)
	return v.problems
}

// maxSocketPath is the length of sun_path without the final zero (unix(7)).
const maxSocketPath = 107

// section lets the component that a table belongs to look at each of its keys alone, so that the problem gets a
// line, and at all together.
func section[T any](v *validation, name string, c T, validate func(*T) error) {
	all, before := reflect.ValueOf(c), len(v.problems)
	for i := range all.NumField() {
		tag := all.Type().Field(i).Tag.Get("toml")
		if tag == "-" {
			continue
		}
		var one T
		reflect.ValueOf(&one).Elem().Field(i).Set(all.Field(i))
		key := name + "." + tag
		for _, err := range parts(validate(&one)) {
			v.add(key, "%s", why(err, key))
		}
	}
	if len(v.problems) > before {
		return
	}
	for _, err := range parts(validate(&c)) {
		v.add(name, "%s", why(err, name))
	}
}

// parts are the errors that errors.Join has joined.
func parts(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// why is the text of an error without the words that its line starts with already.
func why(err error, key string) string {
	s := strings.TrimPrefix(err.Error(), strings.Replace(key, ".", ": ", 1)+": ")
	return strings.TrimSuffix(s, ": "+errdefs.ErrInvalidArgument.Error())
}

func (r *Registry) validate(v *validation) {
	for _, dir := range filepath.SplitList(r.ConfigPath) {
		v.path("registry.config_path", dir, false)
	}
	v.count("registry.max_concurrent_downloads", r.MaxConcurrentDownloads)
	v.count("registry.max_concurrent_uploads", r.MaxConcurrentUploads)
	v.count("registry.max_concurrent_unpacks", r.MaxConcurrentUnpacks)
	if d, err := time.ParseDuration(r.IdleTimeout); r.IdleTimeout != "" && (err != nil || d <= 0) {
		v.add("registry.idle_timeout", "%q: wants a duration above zero, such as 60s", r.IdleTimeout)
	}
}

// maxAtOnce bounds numbers of things done at the same time: more is a slip of the finger.
const maxAtOnce = 256

// validation collects problems.
type validation struct{ problems []Problem }

func (v *validation) add(key, format string, a ...any) {
	v.problems = append(v.problems, Problem{Key: key, Why: fmt.Sprintf(format, a...)})
}

func (v *validation) path(key, value string, emptyOK bool) {
	if value == "" && emptyOK {
		return
	}
	if !filepath.IsAbs(value) || filepath.Clean(value) != value {
		v.add(key, "%q: wants an absolute path without . and ..", value)
	}
}

func (v *validation) oneOf(key, value string, values ...string) {
	if !slices.Contains(values, value) {
		v.add(key, "%q: wants %s or %s", value, strings.Join(values[:len(values)-1], ", "), values[len(values)-1])
	}
}

func (v *validation) count(key string, n int) {
	if n < 1 || n > maxAtOnce {
		v.add(key, "%d: wants 1 to %d", n, maxAtOnce)
	}
}

func (v *validation) address(key, a string) {
	if a == "" {
		return
	}
	if path, ok := strings.CutPrefix(a, "unix://"); ok {
		v.path(key, path, false)
		return
	}
	_, port, err := net.SplitHostPort(a)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		v.add(key, "%q: wants host:port with a number up to 65535, or unix:///path", a)
	}
}
