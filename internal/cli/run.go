package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/laminafs/lamina/internal/bundle"
	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/oci"
)

// runJob is what run was asked for.
type runJob struct {
	ref      string
	platform string
	state    string
	runtime  string
	options  bundle.Options

	volumes    []string
	env        []string
	entrypoint string
	network    string
	remove     bool
	tty        bool

	progress progressFlag
}

const runLong = `Run a command in an OCI image: its layers become EROFS images in the state directory, each once, are
mounted by the kernel and joined by overlayfs, and a runtime (runc) starts the command with the
image's configuration. What the command writes is gone afterwards. Converted layers are kept. One
whose length or superblock is wrong is made again; beyond that, what is in the state directory is
trusted: the data of layers is not verified at each start.

IMAGE is oci-archive:FILE, docker-archive:FILE or oci:DIR, with :TAG behind it if there are several
images. Digests of manifest, config and layers are verified. Mounts live in a mount namespace of
their own, so nothing is left of them however lamina ends. Needs root.

Signals go to the command. SIGTERM and SIGHUP, and SIGINT without a terminal, end it after ten seconds
if it does not end by itself. The exit code is that of the command; 125 if it could not be started,
whatever the reason: also if the image is missing (5 elsewhere), corrupt (3) or not supported (4).`

func newRun(e *env) *cobra.Command {
	j := &runJob{}
	cmd := &cobra.Command{
		Use:   "run [flags] IMAGE [COMMAND [ARG...]]",
		Short: "Run a command in an OCI image",
		Long:  runLong,
		Example: `  lamina run oci-archive:debian.tar
  lamina run -v $PWD:/src -w /src oci:images/golang:1.26 go test ./...
  lamina run --network host -e DEBUG=1 docker-archive:app.tar`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			j.ref, j.options.Args = args[0], args[1:]
			if len(args) > 1 && args[1] == "--" { // habit; no program has that name
				j.options.Args = args[2:]
			}
			if cmd.Flags().Changed("entrypoint") {
				ep := []string{}
				if j.entrypoint != "" {
					ep = []string{j.entrypoint}
				}
				j.options.Entrypoint = &ep
			}
			if !cmd.Flags().Changed("tty") {
				j.tty = term.IsTerminal(int(e.stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
			}
			if err := j.complete(); err != nil {
				return err
			}
			return e.run(j)
		},
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	fs.SortFlags = false
	fs.StringVar(&j.state, "state", defaultState(), "directory for converted layers and running containers")
	fs.StringVar(&j.platform, "platform", "", "OS/ARCH[/VARIANT] to choose from an index (default: this machine's)")
	fs.StringVar(&j.runtime, "runtime", "runc", "OCI runtime to start")
	fs.StringArrayVarP(&j.env, "env", "e", nil, "set NAME=VALUE, or pass NAME on (repeatable)")
	fs.StringArrayVarP(&j.volumes, "volume", "v", nil, "bind mount SOURCE:TARGET[:ro] (repeatable)")
	fs.StringVarP(&j.options.Workdir, "workdir", "w", "", "working directory")
	fs.StringVarP(&j.options.User, "user", "u", "", "USER[:GROUP], names or numbers")
	fs.StringVar(&j.entrypoint, "entrypoint", "", "replace the image's entrypoint")
	fs.StringVar(&j.options.Hostname, "hostname", "", "host name (default: the container's id)")
	fs.StringVar(&j.network, "network", "none", "network: none (loopback only), host")
	fs.BoolVar(&j.options.ReadOnly, "read-only", false, "make the root read-only")
	fs.BoolP("interactive", "i", false, "nothing: the command has our stdin always (for those who write -it)")
	fs.BoolVarP(&j.tty, "tty", "t", false, "give the command a terminal (default: if stdin and stdout are one)")
	fs.BoolVar(&j.remove, "rm", true, "remove what the command wrote; else it stays in STATE/run/ID.upper")
	fs.BoolVar(&j.options.NoCgroup, "no-cgroup", false, "leave cgroups alone")
	j.progress.register(fs)
	return cmd
}

// complete reads what the flags mean.
func (j *runJob) complete() error {
	o := &j.options
	switch j.network {
	case "none":
		o.Network = bundle.NetworkNone
	case "host":
		o.Network = bundle.NetworkHost
	default:
		return usagef("--network: %q: not one of none, host", j.network)
	}
	if j.tty && !term.IsTerminal(int(os.Stdin.Fd())) {
		return usagef("--tty: stdin is not a terminal")
	}
	o.Terminal = j.tty
	o.Env = hostEnv(j.env)
	for _, v := range j.volumes {
		vol, err := bundle.ParseVolume(v)
		if err != nil {
			return &usageError{err}
		}
		o.Volumes = append(o.Volumes, vol)
	}
	return nil
}

// hostEnv takes variables without a value from our environment; those that are not there are left out.
func hostEnv(list []string) []string {
	var out []string
	for _, v := range list {
		for i := range len(v) + 1 {
			if i == len(v) {
				if value, ok := os.LookupEnv(v); ok {
					out = append(out, v+"="+value)
				}
			} else if v[i] == '=' {
				out = append(out, v)
				break
			}
		}
	}
	return out
}

// run converts, mounts and starts. Errors before the command has started have exit code 125, except
// those of the command line.
func (e *env) run(j *runJob) error {
	var o oci.Options
	var err error
	if j.platform != "" {
		if o.Platform, err = oci.ParsePlatform(j.platform); err != nil {
			return &usageError{err}
		}
	}
	err = e.runImage(j, o)
	var code *codeError
	var sig *signalError
	if err == nil || errors.As(err, &code) || errors.As(err, &sig) {
		return err
	}
	return &codeError{exitNotStarted, err}
}

func (e *env) runImage(j *runJob, o oci.Options) (err error) {
	e.undoes.Store(true)
	if err := mayMount(j.ref); err != nil {
		return err
	}
	if _, err := exec.LookPath(j.runtime); err != nil {
		return fmt.Errorf("--runtime %s: %w", j.runtime, errors.Unwrap(err))
	}
	im, err := oci.Open(j.ref, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, im.Close()) }()
	if arch := im.Config.Architecture; arch != "" && arch != runtime.GOARCH {
		e.warn("%s: the image is for %s, this machine is %s", j.ref, arch, runtime.GOARCH)
	}
	s, err := openState(j.state)
	if err != nil {
		return err
	}
	if err := s.sweep(j.runtime); err != nil {
		return err
	}
	k, err := mount.Probe(s.dir) // before the work: without the right to mount it would be in vain
	if err != nil {
		return fmt.Errorf("%s: %w", j.ref, err)
	}
	blobs, err := e.convertLayers(j, im, s.blobs())
	if err != nil {
		return err
	}
	c, err := s.newContainer()
	if err != nil {
		return err
	}
	c.keep = !j.remove
	defer func() {
		if rmErr := c.remove(); rmErr != nil && err == nil {
			err = fmt.Errorf("%s: %w", c.dir, rmErr)
		}
	}()
	return e.runContainer(j, im.Config.Config, c, c.root(blobs), k)
}
