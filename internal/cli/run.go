//go:build linux

package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/laminafs/lamina/internal/bundle"
	"github.com/laminafs/lamina/internal/engine"
)

// runJob is what run was asked for.
type runJob struct {
	local    localFlags
	ref      string
	platform string
	pull     string
	options  engine.RunOptions

	volumes    []string
	env        []string
	entrypoint string
	network    string
	memory     string
	size       string
	cpus       float64
	userns     string
	tty        bool

	progress progressFlag
}

const runLong = `Run a command in a container. Its root is the layers of the image, each an EROFS image that the kernel mounts
once for all containers, joined by overlayfs; a runtime (runc or crun) starts the command with the image's
configuration.

IMAGE is the name of an image that was pulled, imported or committed; one that is not here is pulled. Or it is
oci-archive:FILE, docker-archive:FILE or oci:DIR, with :TAG behind it if there are several images; their layers are
converted once and kept until lamina prune. Digests of manifest, config and layers are verified.

What the command writes is gone afterwards, unless --rm=false, --name or --detach is given: then the container
stays, for lamina ps, commit, logs and rm. The mounts of a container live in a mount namespace of its own, so
nothing is left of them however lamina ends. Needs root.

Signals go to the command. SIGTERM and SIGHUP, and SIGINT without a terminal, end it after ten seconds
if it does not end by itself. The exit code is that of the command; 125 if it could not be started,
whatever the reason: also if the image is missing (5 elsewhere), corrupt (3) or not supported (4).`

func newRun(e *env) *cobra.Command {
	j := &runJob{}
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Run a command in a container",
		Long:  runLong,
		Example: `  lamina run -it debian:13
  lamina run -d --name web --memory 512M -v /srv:/srv:ro app:v1
  lamina run oci-archive:debian.tar
  lamina run -v $PWD:/src -w /src oci:images/golang:1.26 go test ./...`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			j.ref, j.options.Args = args[0], args[1:]
			if len(args) > 1 && args[1] == "--" { // habit; no program has that name
				j.options.Args = args[2:]
			}
			if err := j.complete(e, cmd.Flags()); err != nil {
				return err
			}
			return e.run(j)
		},
	}
	j.register(cmd)
	oneOf(cmd, "pull", "missing", "always", "never")
	oneOf(cmd, "network", "none", "host")
	oneOf(cmd, "progress", "auto", "json", "none")
	return e.completes(cmd, &j.local, 1, true, imageNames)
}

func (j *runJob) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	fs.SortFlags = false
	fs.BoolVarP(&j.options.Detach, "detach", "d", false, "return once the command runs, and print the id of the container")
	fs.StringVar(&j.options.Name, "name", "", "name of the container")
	fs.BoolVar(&j.options.Remove, "rm", true, "remove the container when the command ends (default: unless --detach or --name is given)")
	fs.Lookup("rm").DefValue = "false" // for the help text, which says what the default is
	fs.BoolP("interactive", "i", false, "nothing: the command has our stdin always (for those who write -it)")
	fs.BoolVarP(&j.tty, "tty", "t", false, "give the command a terminal (default: if stdin and stdout are one)")
	fs.StringArrayVarP(&j.env, "env", "e", nil, "set NAME=VALUE, or pass NAME on (repeatable)")
	fs.StringArrayVarP(&j.volumes, "volume", "v", nil, "bind mount SOURCE:TARGET[:ro] (repeatable)")
	fs.StringVarP(&j.options.Workdir, "workdir", "w", "", "working directory")
	fs.StringVarP(&j.options.User, "user", "u", "", "USER[:GROUP], names or numbers")
	fs.StringVar(&j.entrypoint, "entrypoint", "", "replace the image's entrypoint")
	fs.StringVar(&j.options.Hostname, "hostname", "", "host name (default: the container's id)")
	fs.StringVar(&j.network, "network", "none", "network: none (loopback only), host")
	fs.BoolVar(&j.options.ReadOnly, "read-only", false, "make the root read-only")
	fs.StringVarP(&j.memory, "memory", "m", "", "limit of memory: 512M, 2G")
	fs.Float64Var(&j.cpus, "cpus", 0, "limit of processors: 1.5")
	fs.Int64Var(&j.options.Pids, "pids-limit", 0, "limit of processes and threads")
	fs.StringVar(&j.size, "size", "", "limit of what the container writes: 10G")
	fs.StringVar(&j.userns, "userns", "host", "ids of the container: host (the same), HOSTID:SIZE, auto (a range from /etc/subuid)")
	fs.StringVar(&j.platform, "platform", "", "OS/ARCH[/VARIANT] to choose from an index (default: this machine's)")
	fs.StringVar(&j.pull, "pull", "missing", "fetch the image: missing (if it is not here), always, never")
	fs.StringVar(&j.options.Runtime, "runtime", "runc", "OCI runtime to start")
	fs.BoolVar(&j.options.NoCgroup, "no-cgroup", false, "leave cgroups alone")
	j.progress.register(fs)
	j.local.register(cmd)
	fs.StringVar(&j.local.root, "state", "", "the same as --root")
}

// complete reads what the flags mean.
func (j *runJob) complete(e *env, fs *pflag.FlagSet) error {
	o := &j.options
	if fs.Changed("entrypoint") {
		ep := []string{}
		if j.entrypoint != "" {
			ep = []string{j.entrypoint}
		}
		o.Entrypoint = &ep
	}
	if !fs.Changed("rm") {
		o.Remove = !o.Detach && o.Name == ""
	}
	switch {
	case o.Detach && fs.Changed("tty") && j.tty:
		return errBothOf("--detach", "--tty")
	case o.Detach:
		j.tty = false
	case !fs.Changed("tty"):
		j.tty = term.IsTerminal(int(e.stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	}
	if j.tty && !term.IsTerminal(int(os.Stdin.Fd())) {
		return usagef("--tty: stdin is not a terminal")
	}
	o.Terminal = j.tty
	switch j.network {
	case "none":
		o.Network = bundle.NetworkNone
	case "host":
		o.Network = bundle.NetworkHost
	default:
		return usagef("--network: %q: not one of none, host", j.network)
	}
	if j.pull != "missing" && j.pull != "always" && j.pull != "never" {
		return usagef("--pull: %q: not one of missing, always, never", j.pull)
	}
	var err error
	if o.Env, err = hostEnv(j.env); err != nil {
		return err
	}
	for _, v := range j.volumes {
		vol, err := bundle.ParseVolume(v)
		if err != nil {
			return &usageError{err}
		}
		o.Volumes = append(o.Volumes, vol)
	}
	if err := j.checkNames(); err != nil {
		return err
	}
	return j.completeLimits()
}

func (j *runJob) completeLimits() (err error) {
	o := &j.options
	if j.memory != "" {
		if o.Memory, err = parseSize(strings.ToUpper(j.memory)); err != nil {
			return fmt.Errorf("--memory: %w", err)
		}
		if o.Memory < bundle.MinMemory {
			return usagef("--memory: %q: less than %s, with which nothing starts", j.memory, bytesText(bundle.MinMemory))
		}
	}
	if j.size != "" {
		n, err := parseSize(j.size)
		if err != nil {
			return fmt.Errorf("--size: %w", err)
		}
		o.Size = strconv.FormatInt(n, 10)
	}
	if j.cpus != 0 && !(j.cpus >= bundle.MinCPUs && j.cpus <= bundle.MaxCPUs) { // not a number, too
		return usagef("--cpus: %g: not from %g to %g", j.cpus, bundle.MinCPUs, float64(bundle.MaxCPUs))
	}
	o.CPUs = j.cpus
	if o.Pids < 0 {
		return usagef("--pids-limit: %d: negative", o.Pids)
	}
	if o.NoCgroup && (o.Memory > 0 || o.CPUs > 0 || o.Pids > 0) {
		return usagef("--no-cgroup: limits of memory, processors and processes need cgroups")
	}
	o.UserNS, err = parseUserns(j.userns)
	return err
}

// minIDs is how many ids images expect: nobody has 65534.
const minIDs = 65536

// parseUserns reads --userns.
func parseUserns(s string) (*bundle.IDMap, error) {
	switch s {
	case "host", "":
		return nil, nil
	case "auto":
		return subordinateIDs("/etc/subuid")
	}
	first, size, ok := strings.Cut(s, ":")
	m := &bundle.IDMap{}
	for _, p := range []struct {
		text string
		to   *uint32
	}{{first, &m.HostID}, {size, &m.Size}} {
		n, err := strconv.ParseUint(p.text, 10, 32)
		if !ok || err != nil {
			return nil, usagef("--userns: %q: not host, auto or HOSTID:SIZE", s)
		}
		*p.to = uint32(n)
	}
	if m.Size == 0 || uint64(m.HostID)+uint64(m.Size) > 1<<32-1 {
		return nil, usagef("--userns: %q: no ids, or more than there are", s)
	}
	return m, nil
}

// subordinateIDs takes the first range that is long enough of those for whom containers are run.
func subordinateIDs(path string) (*bundle.IDMap, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--userns auto: %w", err)
	}
	for _, who := range []string{"lamina", "containers", "root"} {
		for line := range strings.SplitSeq(string(b), "\n") {
			name, ids, _ := strings.Cut(strings.TrimSpace(line), ":")
			if name != who {
				continue
			}
			if m, err := parseUserns(ids); err == nil && m != nil && m.Size >= minIDs {
				return m, nil
			}
		}
	}
	return nil, usagef("--userns auto: %s has no range of %d ids for lamina, containers or root", path, minIDs)
}

// hostEnv takes variables without a value from our environment; those that are not there are left out.
func hostEnv(list []string) ([]string, error) {
	var out []string
	for _, v := range list {
		name, _, set := strings.Cut(v, "=")
		if name == "" {
			return nil, usagef("--env: %q: no name", v)
		}
		if set {
			out = append(out, v)
		} else if value, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+value)
		}
	}
	return out, nil
}
