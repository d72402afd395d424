//go:build linux

package harness

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"
)

// LaminaConfig says how our daemon is set up.
type LaminaConfig struct {
	Name       string // of the instance; "l"
	Root       string // of the store; below the bench if empty
	Containerd string // root directory of containerd, whose content store is read
	Address    string // socket of containerd; "c.sock" of the bench if empty
	Options    string // lines for [snapshotter] and further sections
	Env        []string
	Activate   bool // the socket is open before the daemon starts and stays when it ends, as with systemd
}

// A Lamina is our daemon.
type Lamina struct {
	*Process
	Config LaminaConfig
	Socket string
	File   string // its configuration
	bench  *Bench
	listen *os.File // the open socket
}

// NewLamina fills what is not set; nothing is started.
func (b *Bench) NewLamina(c LaminaConfig) *Lamina {
	if c.Name == "" {
		c.Name = "l"
	}
	if c.Root == "" {
		c.Root = b.Path(c.Name + "-root")
	}
	if c.Address == "" {
		c.Address = b.Path("c.sock")
	}
	return &Lamina{Config: c, bench: b, Socket: b.Path(c.Name + ".sock"), File: b.Path(c.Name + ".toml")}
}

// StartLamina starts `lamina serve` and waits for its socket. Close stops it after what was started later.
func (b *Bench) StartLamina(ctx context.Context, c LaminaConfig) (*Lamina, error) {
	l := b.NewLamina(c)
	c = l.Config
	if err := l.Start(ctx); err != nil {
		return nil, err
	}
	b.Defer(func() error {
		err := l.Stop()
		if e := unmountAll(c.Root); e != nil && err == nil { // graceful stop leaves mounts, for containers
			err = e
		}
		return err
	})
	return l, nil
}

// WriteConfig writes the configuration file.
func (l *Lamina) WriteConfig() error {
	text := fmt.Sprintf("version = 1\nroot = %q\nsocket = %q\n[containerd]\naddress = %q\nroot = %q\n[snapshotter]\n%s\n",
		l.Config.Root, l.Socket, l.Config.Address, l.Config.Containerd, l.Config.Options)
	return os.WriteFile(l.File, []byte(text), 0o644)
}

// Start starts the daemon again on the same paths.
func (l *Lamina) Start(ctx context.Context) (err error) {
	if err := l.WriteConfig(); err != nil {
		return err
	}
	argv := []string{l.bench.Tools.Lamina, "serve", "--config", l.File}
	var files []*os.File
	if l.Config.Activate {
		if err := l.open(); err != nil {
			return err
		}
		files = []*os.File{l.listen}
		argv = append([]string{"sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`}, argv...)
	}
	if l.Process, err = startWith(files, "lamina serve", l.bench.Path(l.Config.Name+".log"), l.Config.Env, argv...); err != nil {
		return err
	}
	if l.Config.Activate {
		return nil // whoever connects waits
	}
	err = l.waitReady(20*time.Second, func() error {
		conn, err := net.Dial("unix", l.Socket)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	if err != nil {
		l.Kill()
	}
	return err
}

// open opens the socket once.
func (l *Lamina) open() error {
	if l.listen != nil {
		return nil
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: l.Socket, Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	if l.listen, err = listener.File(); err != nil {
		return err
	}
	l.bench.Defer(l.listen.Close)
	return listener.Close()
}

// Run runs a command of lamina on the same configuration.
func (l *Lamina) Run(ctx context.Context, verb string, args ...string) (string, error) {
	return Run(ctx, nil, append([]string{l.bench.Tools.Lamina, verb, "--config", l.File}, args...)...)
}
