package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/daemon"
	"github.com/laminafs/lamina/internal/differ"
	"github.com/laminafs/lamina/internal/engine"
	"github.com/laminafs/lamina/internal/store"
)

const serveLong = `Serve containerd: a snapshotter and a differ on one unix socket, for its proxy_plugins. lamina doctor prints what
to write into the configuration of containerd. Needs root.

A socket that systemd passes is used instead of the one of the configuration. SIGTERM and SIGINT end the daemon
after the requests under way; containers keep running, and so they do if it is killed. SIGHUP reads the
configuration again: the level of the log counts at once, all else from the next start on.`

func newServe(e *env) *cobra.Command {
	s := &serveJob{env: e}
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Serve containerd as snapshotter and differ",
		Long:  serveLong,
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if _, err := s.load(); err != nil { // before the rights: who writes a configuration needs none
				return err
			}
			if os.Geteuid() != 0 {
				return fmt.Errorf("needs root: layers are mounted for containerd; pull, run and build work for users: %w", os.ErrPermission)
			}
			return s.run()
		},
	}
	s.config.register(cmd)
	cmd.Flags().StringVar(&s.root, "root", "", "root of the store (overrides the configuration)")
	cmd.Flags().StringVar(&s.socket, "socket", "", "unix socket (overrides the configuration)")
	return cmd
}

// serveJob is a running daemon.
type serveJob struct {
	env          *env
	config       configFlag
	root, socket string

	level   slog.LevelVar
	log     *slog.Logger
	current engine.Config
	idle    *idler
	metrics *daemon.Metrics // nil: nothing is counted
	store   atomic.Pointer[store.Store]
}

// load reads the configuration with the flags over it.
func (s *serveJob) load() (engine.Config, error) {
	c, err := s.config.load()
	if err != nil {
		return c, err
	}
	if s.root != "" {
		c.Snapshotter.RootPath = ""
		if c.Root, err = filepath.Abs(s.root); err != nil {
			return c, err
		}
	}
	if s.socket != "" {
		if c.Socket, err = filepath.Abs(s.socket); err != nil {
			return c, err
		}
	}
	for _, p := range c.Validate() { // the file has none: it is a flag
		return c, usagef("--%s", p)
	}
	return c, nil
}

// run serves until a signal comes. The socket is there before the store is open: containerd waits then.
func (s *serveJob) run() (err error) {
	if s.current, err = s.load(); err != nil {
		return err
	}
	s.setLog()
	if s.current.Metrics.Address != "" {
		s.metrics = daemon.NewMetrics(version(), s.status)
	}
	s.idle = newIdler()
	defer s.idle.stop()
	made := append(absent(filepath.Dir(s.current.Socket)), absent(s.current.StoreRoot())...)
	listeners, err := daemon.Listen(s.current.Socket)
	if err == nil {
		s.takeSignals()
		err = s.serve(listeners)
	}
	if err != nil {
		err = errors.Join(err, closeListeners(listeners)) // those that were not served
		for _, dir := range made {
			_ = os.Remove(dir) // unless something is in it
		}
	}
	return err
}

// absent lists what there is not yet of a path, the deepest first.
func absent(path string) (list []string) {
	for ; path != filepath.Dir(path); path = filepath.Dir(path) {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		list = append(list, path)
	}
	return list
}

// serve opens the store and answers requests.
func (s *serveJob) serve(listeners []net.Listener) (err error) {
	eng, err := engine.Open(s.env.ctx, s.current, s.observe)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	s.store.Store(eng.Store)
	content, hangUp, err := s.current.Containerd.Content()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp()) }()
	d, err := eng.NewDiffer(content, s.current.Containerd.ContentRoot(), s.applied)
	if err != nil {
		return err
	}
	stopMetrics, err := s.serveMetrics()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopMetrics()) }()
	return daemon.Serve(s.env.ctx, daemon.Options{
		Snapshotter: eng.ForContainerd(), Differ: d, Log: s.log, Metrics: s.metrics,
		Ready:    func() error { return s.ready(listeners) },
		Stopping: s.stopping,
	}, listeners...)
}

func closeListeners(all []net.Listener) error {
	var errs []error
	for _, l := range all {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *serveJob) setLog() {
	_ = s.level.UnmarshalText([]byte(s.current.Log.Level)) // the configuration is valid
	o := &slog.HandlerOptions{Level: &s.level}
	if s.current.Log.Format == "json" {
		s.log = slog.New(slog.NewJSONHandler(s.env.stderr, o))
		return
	}
	s.log = slog.New(slog.NewTextHandler(s.env.stderr, o))
}

func (s *serveJob) ready(listeners []net.Listener) error {
	s.idle.touch()
	s.log.Info("ready", "version", version(), "socket", listeners[0].Addr().String(), "root", s.current.StoreRoot())
	return daemon.NotifyReady("serving " + listeners[0].Addr().String())
}

func (s *serveJob) stopping() {
	s.log.Info("stopping; mounts stay")
	if err := daemon.NotifyStopping(); err != nil {
		s.log.Warn("systemd", "error", err)
	}
}

// takeSignals makes SIGHUP a reload and all others a stop.
func (s *serveJob) takeSignals() {
	take := func(sig os.Signal) {
		if sig == syscall.SIGHUP {
			s.reload()
			return
		}
		s.env.cancel(&signalError{sig})
	}
	s.env.takeSignals.Store(&take)
}

// reload reads the configuration again. A file with problems changes nothing.
func (s *serveJob) reload() {
	if err := daemon.NotifyReloading(); err != nil {
		s.log.Warn("systemd", "error", err)
	}
	c, err := s.load()
	if err != nil {
		s.log.Error("configuration is not reloaded", "error", err)
	} else {
		_ = s.level.UnmarshalText([]byte(c.Log.Level)) // the configuration is valid
		s.log.Info("configuration reloaded: the level of the log counts now, all else from the next start on", "level", c.Log.Level)
	}
	if err := daemon.NotifyReady("serving " + s.current.Socket); err != nil {
		s.log.Warn("systemd", "error", err)
	}
}

// observe logs and counts what happens to the store.
func (s *serveJob) observe(ev store.Event) {
	s.metrics.Observe(ev)
	daemon.LogEvent(s.log, ev)
}

// applied counts layers; after a while without any, the memory they took is given back.
func (s *serveJob) applied(ev differ.Event) {
	s.idle.touch()
	s.metrics.Applied(string(ev.How), ev.Bytes)
	s.log.Debug("layer", "how", string(ev.How), "type", ev.MediaType, "bytes", ev.Bytes)
}

// status is what the metrics say of the store.
func (s *serveJob) status(ctx context.Context) (store.Status, error) {
	st := s.store.Load()
	if st == nil {
		return store.Status{}, errors.New("the store is not open yet")
	}
	return st.Status(ctx)
}

// serveMetrics answers scrapes, if an address is configured.
func (s *serveJob) serveMetrics() (func() error, error) {
	if s.metrics == nil {
		return func() error { return nil }, nil
	}
	addr, stop, err := daemon.ServeHTTP(s.current.Metrics.Address, s.metrics.Handler(s.current.Metrics.Pprof))
	if err != nil {
		return nil, err
	}
	s.log.Info("metrics", "address", addr.String(), "pprof", s.current.Metrics.Pprof)
	return stop, nil
}

// idleAfter is how long after the last layer memory goes back to the system: pulls come in bursts.
const idleAfter = 5 * time.Second

// idler returns memory to the system when the daemon has become idle: a conversion takes ten times what
// waiting for the next takes, and the runtime gives it back in minutes.
type idler struct{ timer *time.Timer }

func newIdler() *idler {
	return &idler{time.AfterFunc(idleAfter, func() { runtime.GC(); debug.FreeOSMemory() })}
}

func (i *idler) touch() { i.timer.Reset(idleAfter) }
func (i *idler) stop()  { i.timer.Stop() }
