package cli

import (
	"bufio"
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
	"syscall"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/bundle"
	"github.com/laminafs/lamina/internal/mount"
)

// stopAfter is how long a container may go on after a signal that asks it to end.
const stopAfter = 10 * time.Second

// lockFile opens a file and locks it; errLocked if somebody else has it.
func lockFile(path string, create bool) (*os.File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, err
	}
	return f, nil
}

// deleteFromRuntime makes the runtime forget a container and end what is left of it. It reports nothing:
// mostly there is nothing to delete, and if it fails, removing the directory will say so.
func (c *container) deleteFromRuntime(name string) {
	if _, err := os.Stat(c.path("runtime")); err != nil {
		return
	}
	_ = exec.Command(name, "--root", c.path("runtime"), "delete", "--force", c.id).Run()
}

// runContainer mounts the root in a new mount namespace and runs the command. All of it happens on one
// thread, which alone is in that namespace and ends with it; so does every mount.
func (e *env) runContainer(j *runJob, image v1.ImageConfig, c *container, r mount.Root, k mount.Kernel) error {
	if j.options.Hostname == "" {
		j.options.Hostname = c.id
	}
	if err := c.writeHosts(&j.options); err != nil {
		return err
	}
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is of no use to others
		result <- e.inNamespace(j, image, c, r, k)
	}()
	return <-result
}

// inNamespace runs on a thread of its own.
func (e *env) inNamespace(j *runJob, image v1.ImageConfig, c *container, r mount.Root, k mount.Kernel) (err error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	// What the host unmounts goes away here too; what is mounted here never shows there.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	if err := c.mountRoot(r, k); err != nil {
		return err
	}
	defer func() {
		if uerr := mount.Umount(c.path("rootfs"), true); err == nil {
			err = uerr
		}
	}()
	if err := c.writeSpec(j, image); err != nil {
		return err
	}
	if err := context.Cause(e.ctx); err != nil {
		return err
	}
	defer c.deleteFromRuntime(j.runtime)
	return e.start(j, c)
}

// mountRoot mounts the layers, what is written going to upper.
func (c *container) mountRoot(r mount.Root, k mount.Kernel) error {
	err := planAndApply(r, k)
	if !errors.Is(err, unix.EINVAL) || c.keep {
		return err
	}
	// The state directory may lie on a file system that cannot be an upper layer, an overlay for one:
	// then what the container writes goes to memory.
	memory, merr := c.mountMemory()
	if merr != nil {
		return err
	}
	r.Upper, r.Work = filepath.Join(memory, "upper"), filepath.Join(memory, "work")
	if planAndApply(r, k) != nil {
		return err // the first refusal says more
	}
	return nil
}

func planAndApply(r mount.Root, k mount.Kernel) error {
	if err := copyRootInode(r); err != nil {
		return err
	}
	steps, err := mount.Plan(r, k)
	if err != nil {
		return err
	}
	return mount.Apply(steps)
}

// mountMemory mounts a tmpfs with directories for an overlay; it goes with the mount namespace.
func (c *container) mountMemory() (string, error) {
	memory := c.path("memory")
	if err := os.Mkdir(memory, 0o700); err != nil {
		return "", err
	}
	if err := unix.Mount("lamina", memory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=700"); err != nil {
		return "", err
	}
	for _, d := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(memory, d), 0o755); err != nil {
			return "", err
		}
	}
	return memory, nil
}

// copyRootInode gives upper, which is what overlayfs shows as the root directory, the owner and mode of
// the highest layer that has an entry for its root. A layer without one has root:root 0755, time 0.
func copyRootInode(r mount.Root) error {
	for _, l := range slices.Backward(r.Layers) {
		im, err := openImage(l.Image, 0, nil)
		if err != nil {
			return err
		}
		root := *im.Root()
		im.close()
		if root.Mode&0o7777 == 0o755 && root.UID == 0 && root.GID == 0 && root.Mtime == 0 {
			continue
		}
		return setUpper(r.Upper, &root)
	}
	return nil
}

func setUpper(upper string, root *erofs.Inode) error {
	if err := os.Chown(upper, int(root.UID), int(root.GID)); err != nil {
		return err
	}
	if err := unix.Chmod(upper, root.Mode&0o7777); err != nil {
		return &fs.PathError{Op: "chmod", Path: upper, Err: err}
	}
	return os.Chtimes(upper, time.Time{}, time.Unix(root.Mtime, int64(root.Nsec)))
}

// writeHosts makes the files that name the container, and with the host's network lets it see the host's.
func (c *container) writeHosts(o *bundle.Options) error {
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	if o.Network == bundle.NetworkNone {
		hosts += "127.0.1.1\t" + o.Hostname + "\n"
	} else if b, err := os.ReadFile("/etc/hosts"); err == nil {
		hosts = string(b)
	}
	for name, text := range map[string]string{"hosts": hosts, "hostname": o.Hostname + "\n"} {
		if err := os.WriteFile(c.path(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	own := []bundle.Volume{
		{Source: c.path("hosts"), Target: "/etc/hosts"}, {Source: c.path("hostname"), Target: "/etc/hostname"},
	}
	if _, err := os.Stat("/etc/resolv.conf"); err == nil && o.Network == bundle.NetworkHost {
		own = append(own, bundle.Volume{Source: "/etc/resolv.conf", Target: "/etc/resolv.conf", ReadOnly: true})
	}
	o.Volumes = append(own, o.Volumes...)
	return nil
}

// writeSpec writes config.json.
func (c *container) writeSpec(j *runJob, image v1.ImageConfig) error {
	root, err := os.OpenRoot(c.path("rootfs"))
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	j.options.ID, j.options.Rootfs = c.id, "rootfs"
	spec, err := bundle.Spec(image, root, j.options)
	if err != nil {
		return commandError(err)
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(c.path("config.json"), b, 0o600)
}

// commandError gives the exit codes of a shell to a command that is not there or not executable.
func commandError(err error) error {
	var cmd *bundle.CommandError
	switch {
	case !errors.As(err, &cmd):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return &codeError{exitNoCommand, err}
	}
	return &codeError{exitNotExecutable, err}
}

// start runs the runtime in the foreground and waits for it.
func (e *env) start(j *runJob, c *container) error {
	cmd := exec.Command(j.runtime, "--root", c.path("runtime"), "--log", c.path("log"), "--log-format", "json",
		"run", "--bundle", c.dir, c.id)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{c.lock} // held as long as the runtime lives, should lamina be killed
	sigs := make(chan os.Signal, 16)
	take := func(s os.Signal) {
		select {
		case sigs <- s:
		default: // sixteen wait already
		}
	}
	e.takeSignals.Store(&take)
	defer e.takeSignals.Store(nil)
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go c.passSignals(j, cmd.Process, sigs, done)
	err := cmd.Wait()
	close(done)
	return c.exit(cmd.ProcessState, err)
}

// passSignals hands signals to the runtime, which hands them to the command, and kills a container that
// goes on after it was asked to end.
func (c *container) passSignals(j *runJob, p *os.Process, sigs <-chan os.Signal, done <-chan struct{}) {
	tty := term.IsTerminal(int(os.Stdin.Fd()))
	var kill <-chan time.Time
	for {
		select {
		case <-done:
			return
		case s := <-sigs:
			fromKeyboard := tty && (s == syscall.SIGINT || s == syscall.SIGQUIT)
			if fromKeyboard && inForeground() {
				continue // the terminal has sent it to the runtime as well
			}
			_ = p.Signal(s) // if it has ended meanwhile, Wait says so
			if kill == nil && !fromKeyboard && s != syscall.SIGQUIT {
				kill = time.After(stopAfter)
			}
		case <-kill:
			_ = exec.Command(j.runtime, "--root", c.path("runtime"), "kill", c.id, "KILL").Run()
			kill = time.After(stopAfter)
		}
	}
}

// inForeground tells whether the terminal's keys reach our process group.
func inForeground() bool {
	pgrp, err := unix.IoctlGetInt(int(os.Stdin.Fd()), unix.TIOCGPGRP)
	return err == nil && pgrp == unix.Getpgrp()
}

// exit is the exit code of the command. The runtime exits with 1 if it fails itself, after it has said
// why on stderr; only its log tells the two apart.
func (c *container) exit(p *os.ProcessState, err error) error {
	if p == nil {
		return err
	}
	status, _ := p.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled():
		return &codeError{code: exitSignal + int(status.Signal())}
	case p.ExitCode() != 0 && c.runtimeFailed():
		return &codeError{code: exitNotStarted}
	case p.ExitCode() != 0:
		return &codeError{code: p.ExitCode()}
	}
	return nil
}

// runtimeFailed looks for an error in the runtime's log.
func (c *container) runtimeFailed() bool {
	f, err := os.Open(c.path("log"))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var entry struct{ Level string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && (entry.Level == "error" || entry.Level == "fatal") {
			return true
		}
	}
	return false
}
