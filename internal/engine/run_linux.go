package engine

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/bundle"
)

// stopAfter is how long a container may go on after a signal that asks it to end.
const stopAfter = 10 * time.Second

// Streams are what a command reads and writes, and the signals that go to it.
type Streams struct {
	Stdin          *os.File
	Stdout, Stderr *os.File
	Signals        <-chan os.Signal
	// Keyboard tells of a signal that the terminal has sent to the runtime as well.
	Keyboard func(os.Signal) (fromKeyboard, delivered bool)
	Started  func() // called once the command runs; may be nil
}

// NotStartedError says that the runtime could not start a container.
type NotStartedError struct {
	Said string // by the runtime, on stderr too; "": nothing
}

func (n *NotStartedError) Error() string { return "engine: the runtime could not start the container" }

// Run mounts the root in a new mount namespace and runs the command; it returns its exit code, 128 + n if
// signal n ended it; with an OutputError too. All of it happens on one thread, which alone is in that namespace and ends with it; so
// does every mount of ours there.
func (t *Task) Run(ctx context.Context, s Streams) (code int, err error) {
	defer func() {
		var lost *OutputError
		if err != nil && !errors.As(err, &lost) && !t.c.Remove {
			code = notStarted(err)
		}
		if ferr := t.finish(ctx, code); err == nil {
			err = ferr
		}
	}()
	if err := t.writeHosts(); err != nil {
		return 0, err
	}
	type result struct {
		code int
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is of no use to others
		code, err := t.inNamespace(ctx, s)
		done <- result{code, err}
	}()
	r := <-done
	return r.code, r.err
}

// notStarted is the exit code of what never ran, as docker and shells have them.
func notStarted(err error) int {
	var cmd *bundle.CommandError
	switch {
	case !errors.As(err, &cmd):
		return 125
	case errors.Is(err, fs.ErrNotExist):
		return 127
	}
	return 126
}

// inNamespace runs on a thread of its own.
func (t *Task) inNamespace(ctx context.Context, s Streams) (code int, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return 0, fmt.Errorf("mount namespace: %w", err)
	}
	// What the host unmounts goes away here too; what is mounted here never shows there.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return 0, fmt.Errorf("mount namespace: %w", err)
	}
	rootfs := filepath.Join(t.dir, "rootfs")
	if t.o.UserNS != nil {
		if rootfs, err = openPath(); err != nil {
			return 0, err
		}
	}
	if err := t.mountRoot(rootfs); err != nil {
		return 0, err
	}
	defer func() {
		if uerr := unix.Unmount(rootfs, unix.MNT_DETACH); err == nil && uerr != nil {
			err = fmt.Errorf("%s: unmount: %w", rootfs, uerr)
		}
	}()
	if err := t.writeSpec(rootfs); err != nil {
		return 0, err
	}
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	defer runtimeDelete(context.WithoutCancel(ctx), t.dir, t.c.ID, t.c.Runtime)
	return t.start(s)
}

// openPath makes a directory for the root that the users of another user namespace may reach: the store is
// for its owner only. It is on a tmpfs that only this mount namespace has, at a place of its own: nothing that is bound
// into the container may be hidden, such as what resolv.conf is a link to, below /run.
func openPath() (string, error) {
	const dir = "/run/lamina-userns"
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	if err := unix.Mount("lamina", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=1m"); err != nil {
		return "", fmt.Errorf("%s: tmpfs: %w", dir, err)
	}
	return dir + "/rootfs", os.Mkdir(dir+"/rootfs", 0o755)
}

// mountRoot does the mounts of the snapshot.
func (t *Task) mountRoot(rootfs string) error {
	err := mount.All(t.mounts, rootfs)
	if !errors.Is(err, unix.EINVAL) || !t.c.Remove {
		return err
	}
	// The store may lie on a file system that cannot be an upper layer, an overlay for one: then what the
	// container writes goes to memory, since nobody will look at it afterwards.
	memory, merr := t.inMemory()
	if merr != nil || mount.All(memory, rootfs) != nil {
		return err // the first refusal says more
	}
	return nil
}

// inMemory is the mounts of the snapshot with a tmpfs for the upper directory; it goes with the mount namespace.
func (t *Task) inMemory() ([]mount.Mount, error) {
	dir := filepath.Join(t.dir, "memory")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := unix.Mount("lamina", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=700"); err != nil {
		return nil, err
	}
	list := slices.Clone(t.mounts)
	for i := range list {
		list[i].Options = slices.Clone(list[i].Options)
		for j, o := range list[i].Options {
			key, path, _ := strings.Cut(o, "=")
			if key != "upperdir" && key != "workdir" {
				continue
			}
			mine := filepath.Join(dir, key)
			if err := os.Mkdir(mine, 0o755); err != nil {
				return nil, err
			}
			if st, err := os.Stat(path); err == nil && key == "upperdir" {
				sys := st.Sys().(*syscall.Stat_t)
				if err := errors.Join(os.Chown(mine, int(sys.Uid), int(sys.Gid)), unix.Chmod(mine, sys.Mode&0o7777)); err != nil {
					return nil, err
				}
			}
			list[i].Options[j] = key + "=" + mine
		}
	}
	return list, nil
}

// writeHosts makes the files that name the container, and with the host's network lets it see the host's.
func (t *Task) writeHosts() error {
	o := &t.o.Options
	if o.Hostname == "" {
		o.Hostname = t.c.ID
	}
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	if o.Network == bundle.NetworkNone {
		hosts += "127.0.1.1\t" + o.Hostname + "\n"
	} else if b, err := os.ReadFile("/etc/hosts"); err == nil {
		hosts = string(b)
	}
	var own []bundle.Volume
	for _, f := range []struct{ name, text string }{{"hosts", hosts}, {"hostname", o.Hostname + "\n"}} {
		path := filepath.Join(t.dir, f.name)
		if err := os.WriteFile(path, []byte(f.text), 0o644); err != nil {
			return err
		}
		if m := o.UserNS; m != nil {
			if err := os.Chown(path, int(m.HostID), int(m.HostID)); err != nil {
				return err
			}
		}
		own = append(own, bundle.Volume{Source: path, Target: "/etc/" + f.name})
	}
	if _, err := os.Stat("/etc/resolv.conf"); err == nil && o.Network == bundle.NetworkHost {
		own = append(own, bundle.Volume{Source: "/etc/resolv.conf", Target: "/etc/resolv.conf", ReadOnly: true})
	}
	o.Volumes = append(own, o.Volumes...)
	return nil
}

// writeSpec writes config.json.
func (t *Task) writeSpec(rootfs string) error {
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	t.o.ID, t.o.Rootfs = t.c.ID, rootfs
	spec, err := bundle.Spec(t.c.Config.Config, root, t.o.Options)
	if err != nil {
		return err
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(t.dir, "config.json"), b, 0o600)
}

func (t *Task) path(name string) string { return filepath.Join(t.dir, name) }

// start runs the runtime in the foreground and waits for it.
func (t *Task) start(s Streams) (int, error) {
	cmd := exec.Command(t.c.Runtime, "--root", t.path("runtime"), "--log", t.path("log"), "--log-format", "json",
		"run", "--bundle", t.dir, "--pid-file", t.path("pid"), t.c.ID)
	cmd.ExtraFiles = []*os.File{t.lock} // held as long as the runtime lives, should lamina be killed
	out, err := t.connect(cmd, s)
	if err == nil {
		err = cmd.Start()
	}
	out.started()
	if err != nil {
		return 0, errors.Join(err, out.wait())
	}
	done := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() { t.passSignals(cmd.Process, s, done) })
	started := func() {}
	if s.Started != nil {
		started = sync.OnceFunc(s.Started)
		beside.Go(func() { t.tellStart(started, done) })
	}
	err = cmd.Wait()
	close(done)
	beside.Wait()
	lost := out.wait()
	if t.runtimeError() == "" && readPid(t.path("pid")) > 0 { // it was so quick that nobody saw it
		started()
	}
	code, err := t.exit(cmd.ProcessState, err)
	_ = os.Remove(t.path("pid"))
	return code, errors.Join(err, lost)
}

// connect gives the runtime its streams. A detached container writes to a file of its own, whatever becomes of it.
func (t *Task) connect(cmd *exec.Cmd, s Streams) (*relays, error) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Stdin, s.Stdout, s.Stderr
	r := &relays{}
	if t.o.Detach || t.o.Terminal {
		return r, nil
	}
	stdout, err := r.outlet("stdout", s.Stdout)
	if err != nil {
		return r, err
	}
	stderr, err := r.outlet("stderr", s.Stderr)
	if err != nil {
		return r, err
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return r, nil
}

// tellStart waits for the runtime to have started the command: it writes the pid then.
func (t *Task) tellStart(started func(), done <-chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if readPid(t.path("pid")) > 0 {
			started()
			return
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// passSignals hands signals to the runtime, which hands them to the command, and kills a container that
// goes on after it was asked to end.
func (t *Task) passSignals(p *os.Process, s Streams, done <-chan struct{}) {
	var kill <-chan time.Time
	for {
		select {
		case <-done:
			return
		case sig := <-s.Signals:
			fromKeyboard, delivered := false, false
			if s.Keyboard != nil {
				fromKeyboard, delivered = s.Keyboard(sig)
			}
			if delivered {
				continue
			}
			_ = p.Signal(sig) // if it has ended meanwhile, Wait says so
			if kill == nil && !fromKeyboard && sig != syscall.SIGQUIT {
				kill = time.After(stopAfter)
			}
		case <-kill:
			runtimeKill(context.Background(), t.dir, t.c.ID, t.c.Runtime)
			kill = time.After(stopAfter)
		}
	}
}

// exit is the exit code of the command. The runtime exits with 1 if it fails itself, after it has said
// why on stderr; only its log tells the two apart.
func (t *Task) exit(p *os.ProcessState, err error) (int, error) {
	if p == nil {
		return 0, err
	}
	status, _ := p.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled():
		return 128 + int(status.Signal()), nil
	case p.ExitCode() == 0:
		return 0, nil
	}
	// A runtime that has started the command has written its pid.
	if said := t.runtimeError(); said != "" || readPid(t.path("pid")) <= 0 {
		return 0, &NotStartedError{said}
	}
	return p.ExitCode(), nil
}

// runtimeError is the error in the runtime's log; "": none.
func (t *Task) runtimeError() string {
	f, err := os.Open(t.path("log"))
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && (entry.Level == "error" || entry.Level == "fatal") {
			return cmp.Or(entry.Msg, entry.Level)
		}
	}
	return ""
}

// runtimeDelete makes the runtime forget a container and end what is left of it. It reports nothing: mostly
// there is nothing to delete, and if it fails, removing the directory will say so.
func runtimeDelete(ctx context.Context, dir, id, runtime string) {
	if _, err := os.Stat(filepath.Join(dir, "runtime", id)); err != nil || runtime == "" {
		return
	}
	_ = exec.CommandContext(ctx, runtime, "--root", filepath.Join(dir, "runtime"), "delete", "--force", id).Run()
}

// runtimeKill kills the command of a container. Whether that worked shows by its lock.
func runtimeKill(ctx context.Context, dir, id, runtime string) {
	if runtime == "" {
		return
	}
	_ = exec.CommandContext(ctx, runtime, "--root", filepath.Join(dir, "runtime"), "kill", id, "KILL").Run()
}
