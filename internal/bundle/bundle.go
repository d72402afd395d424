// Package bundle makes the runtime configuration (config.json of the OCI runtime specification) that
// runs a command of an OCI image.
//
// The defaults are those that people know from docker: its capabilities, masked paths, mounts. Names of
// users are looked up in the image's own /etc/passwd; the image is hostile, so nothing in it is followed
// outside of its root, and nothing is read without a bound.
package bundle

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Network is where a container's network comes from.
type Network uint8

const (
	// NetworkNone gives the container a network namespace of its own with the loopback device only.
	NetworkNone Network = iota
	// NetworkHost lets it use that of the host.
	NetworkHost
)

// Volume is a file or directory of the host that the container sees.
type Volume struct {
	Source, Target string // absolute paths
	ReadOnly       bool
}

// Options are what a user asks for beside the image config. The zero value runs the image's own command.
type Options struct {
	ID         string // of the container: names its cgroup
	Args       []string
	Entrypoint *[]string // replaces that of the image, and its Cmd
	Env        []string  // NAME=VALUE
	Workdir    string
	User       string // NAME or UID, with :GROUP or :GID behind it
	Hostname   string
	Terminal   bool
	ReadOnly   bool
	Network    Network
	Volumes    []Volume
	Rootfs     string // path of the root, for the runtime
	NoCgroup   bool   // leave cgroups alone

	Memory int64   // limit in bytes; 0: none
	CPUs   float64 // limit in processors; 0: none
	Pids   int64   // limit of processes and threads; 0: none
	UserNS *IDMap  // ids of the container are others of the host; nil: they are the same
}

// IDMap maps the users and groups from 0 to Size-1 of a container to those of the host from HostID on.
type IDMap struct{ HostID, Size uint32 }

// Bounds of limits: what is below makes a container that cannot start.
const (
	MinMemory = 6 << 20 // docker's
	MinCPUs   = 0.01
	MaxCPUs   = 8192 // of Linux
)

// CommandError says that the command of a container cannot be executed.
type CommandError struct {
	Command string
	Err     error // matches fs.ErrNotExist or fs.ErrPermission
}

// Error implements error.
func (e *CommandError) Error() string { return fmt.Sprintf("bundle: command %q: %v", e.Command, e.Err) }

// Unwrap returns Err.
func (e *CommandError) Unwrap() error { return e.Err }

// Spec returns the runtime configuration for an image whose root is open as root.
func Spec(image v1.ImageConfig, root *os.Root, o Options) (*specs.Spec, error) {
	args, err := command(image, o)
	if err != nil {
		return nil, err
	}
	userName := o.User
	if userName == "" {
		userName = image.User
	}
	who, err := lookup(root, userName)
	if err != nil {
		return nil, err
	}
	env := environment(image, who, o)
	cwd := o.Workdir
	if cwd == "" {
		cwd = image.WorkingDir
	}
	cwd = path.Clean("/" + cwd)
	if err := executable(root, args[0], cwd, pathOf(env)); err != nil {
		return nil, &CommandError{args[0], err}
	}
	s := &specs.Spec{
		Version: specsVersion,
		Process: &specs.Process{
			Terminal: o.Terminal, Args: args, Env: env, Cwd: cwd,
			User:         specs.User{UID: who.uid, GID: who.gid, AdditionalGids: who.groups},
			Capabilities: capabilities(),
		},
		Root:     &specs.Root{Path: o.Rootfs, Readonly: o.ReadOnly},
		Hostname: o.Hostname,
		Mounts:   mounts(o),
		Linux: &specs.Linux{
			Namespaces:    namespaces(o),
			MaskedPaths:   slices.Clone(maskedPaths),
			ReadonlyPaths: slices.Clone(readonlyPaths),
		},
	}
	if !o.NoCgroup {
		s.Linux.CgroupsPath = "/lamina-" + o.ID // no directory above it that would stay
		s.Linux.Resources = resources(o)
	}
	if m := o.UserNS; m != nil {
		ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: m.HostID, Size: m.Size}}
		s.Linux.UIDMappings, s.Linux.GIDMappings = ids, slices.Clone(ids)
	}
	return s, nil
}

// cpuPeriod is the period of CPU limits in microseconds: the kernel's default.
const cpuPeriod = 100_000

func resources(o Options) *specs.LinuxResources {
	r := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
	if o.Memory > 0 {
		r.Memory = &specs.LinuxMemory{Limit: &o.Memory}
	}
	if o.CPUs > 0 {
		period, quota := uint64(cpuPeriod), int64(o.CPUs*cpuPeriod)
		r.CPU = &specs.LinuxCPU{Period: &period, Quota: &quota}
	}
	if o.Pids > 0 {
		r.Pids = &specs.LinuxPids{Limit: &o.Pids}
	}
	return r
}

// specsVersion is what runtimes of the last years accept; nothing newer is used.
const specsVersion = "1.0.2"

// command joins entrypoint and arguments as docker does: arguments replace Cmd, a new entrypoint drops it.
func command(image v1.ImageConfig, o Options) ([]string, error) {
	entrypoint, cmd := image.Entrypoint, image.Cmd
	if o.Entrypoint != nil {
		entrypoint, cmd = *o.Entrypoint, nil
	}
	if len(o.Args) > 0 {
		cmd = o.Args
	}
	args := slices.Concat(entrypoint, cmd)
	if len(args) == 0 || args[0] == "" {
		return nil, errors.New("bundle: the image names no command: give one")
	}
	return args, nil
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is the image's, then what is missing in it, then the user's.
func environment(image v1.ImageConfig, who account, o Options) []string {
	env := setAll(nil, image.Env)
	for _, d := range []struct {
		name, value string
		set         bool
	}{
		{"PATH", defaultPath, true},
		{"HOSTNAME", o.Hostname, o.Hostname != ""},
		{"HOME", who.home, true},
		{"TERM", "xterm", o.Terminal},
	} {
		if d.set && !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, d.name+"=") }) {
			env = append(env, d.name+"="+d.value)
		}
	}
	return setAll(env, o.Env)
}

// setAll adds or replaces variables.
func setAll(env, with []string) []string {
	for _, v := range with {
		name, _, ok := strings.Cut(v, "=")
		if !ok || name == "" || strings.Contains(v, "\x00") {
			continue // not a variable: execve could not pass it
		}
		i := slices.IndexFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
		if i < 0 {
			env = append(env, v)
		} else {
			env[i] = v
		}
	}
	return env
}

func pathOf(env []string) string {
	for _, e := range env {
		if p, ok := strings.CutPrefix(e, "PATH="); ok {
			return p
		}
	}
	return ""
}

// ParseVolume reads SOURCE:TARGET[:ro|rw].
func ParseVolume(s string) (v Volume, err error) {
	parts := strings.Split(s, ":")
	if len(parts) == 3 && (parts[2] == "ro" || parts[2] == "rw") {
		v.ReadOnly = parts[2] == "ro"
		parts = parts[:2]
	}
	if len(parts) != 2 || parts[0] == "" || !path.IsAbs(parts[1]) {
		return v, fmt.Errorf("bundle: volume %q: not SOURCE:TARGET or SOURCE:TARGET:ro with an absolute TARGET", s)
	}
	if v.Source, err = filepath.Abs(parts[0]); err != nil {
		return v, fmt.Errorf("bundle: volume %q: %w", s, err)
	}
	if _, err := os.Stat(v.Source); err != nil {
		return v, fmt.Errorf("bundle: volume %q: %w", s, err)
	}
	v.Target = path.Clean(parts[1])
	return v, nil
}
