// Package daemon serves a snapshotter and a differ to containerd: gRPC on a unix socket, with health, metrics
// and what systemd wants of a service.
//
// # Life cycle
//
// The socket comes from systemd, if that passes one, else it is made. It is open before the store is, so that
// containerd, which starts at the same time, waits instead of being refused; READY is said when requests are
// answered. A stop ends requests under way in stopGrace and closes the store; mounts and the files behind them
// stay, so that containers keep running. A socket that was made here is kept by systemd over a restart if the
// unit lets it (FileDescriptorStoreMax).
//
// Nothing else has to survive: what the store needs to know is in its files and in the kernel's table of
// mounts, and whoever is killed is a stop without the grace.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"google.golang.org/grpc"
)

// stopGrace is how long requests may take to end after a stop. A conversion that takes longer is repeated
// by containerd; systemd waits 90 s before it kills.
const stopGrace = 20 * time.Second

// lastWord is the time in which those who watch the health are told of the stop.
const lastWord = 100 * time.Millisecond

// Options of Serve.
type Options struct {
	Snapshotter snapshots.Snapshotter
	Differ      Differ       // may be nil: no Diff service
	Log         *slog.Logger // may be nil: nothing is logged
	Metrics     *Metrics     // may be nil: nothing is counted

	// Ready, if not nil, is called once requests are answered; an error ends Serve.
	Ready func() error
	// Stopping, if not nil, is called when ctx is done, before requests are waited for.
	Stopping func()
}

// Serve answers requests on the listeners until ctx is done, then ends as the package comment says. It closes
// the listeners. A nil error means that it was stopped by ctx.
func Serve(ctx context.Context, o Options, listeners ...net.Listener) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	watched, dismiss := context.WithCancel(context.WithoutCancel(ctx))
	defer dismiss()
	server, healthy := newServer(watched, o)
	done := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { done <- server.Serve(l) }()
	}
	healthy.serving()
	var err error
	if o.Ready != nil {
		err = o.Ready()
	}
	left := len(listeners)
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-done:
			left--
			err = fmt.Errorf("daemon: %w", err)
		}
	}
	if o.Stopping != nil {
		o.Stopping()
	}
	healthy.Shutdown()
	defer time.AfterFunc(lastWord, dismiss).Stop()
	stop(server, o.Log)
	for range left {
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			o.Log.Warn("server", "error", err)
		}
	}
	return err
}

// stop waits for the requests under way, for a while.
func stop(server *grpc.Server, log *slog.Logger) {
	gone := make(chan struct{})
	go func() { server.GracefulStop(); close(gone) }()
	late := time.NewTimer(stopGrace)
	defer late.Stop()
	select {
	case <-gone:
	case <-late.C:
		log.Warn("requests did not end in time", "grace", stopGrace)
		server.Stop() // cancels them; GracefulStop returns then
		<-gone
	}
}

// errNoSocket is a Listen that has neither a path nor a socket of systemd.
var errNoSocket = errors.New("daemon: no socket")
