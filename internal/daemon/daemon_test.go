package daemon

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/core/diff"
	diffproxy "github.com/containerd/containerd/v2/core/diff/proxy"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/proxy"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// fake is a snapshotter and a differ that remember who asked.
type fake struct {
	snapshots.Snapshotter
	mu      sync.Mutex
	caller  [2]string // namespace and lease
	labels  int       // bytes
	entered chan struct{}
	release chan struct{}
	infos   int
}

func (f *fake) note(ctx context.Context) {
	ns, _ := namespaces.Namespace(ctx)
	lease, _ := leases.FromContext(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.caller = [2]string{ns, lease}
}

func (f *fake) Prepare(ctx context.Context, _, _ string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	f.note(ctx)
	var info snapshots.Info
	for _, o := range opts {
		if err := o(&info); err != nil {
			return nil, err
		}
	}
	f.labels = 0
	for _, v := range info.Labels {
		f.labels += len(v)
	}
	return []mount.Mount{{Type: "bind", Source: "/x", Options: []string{strings.Repeat("o", f.labels)}}}, nil
}

func (f *fake) Stat(ctx context.Context, key string) (snapshots.Info, error) {
	if key == "block" {
		close(f.entered)
		select {
		case <-f.release:
		case <-ctx.Done():
			return snapshots.Info{}, ctx.Err()
		}
	}
	return snapshots.Info{}, errdefs.ErrNotFound
}

func (f *fake) Walk(ctx context.Context, fn snapshots.WalkFunc, _ ...string) error {
	f.note(ctx)
	for range f.infos {
		if err := fn(ctx, snapshots.Info{Name: strings.Repeat("n", 1000)}); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) Apply(ctx context.Context, d ocispec.Descriptor, _ []mount.Mount, _ ...diff.ApplyOpt) (ocispec.Descriptor, error) {
	f.note(ctx)
	return d, nil
}

func (f *fake) Compare(ctx context.Context, _, _ []mount.Mount, _ ...diff.Opt) (ocispec.Descriptor, error) {
	f.note(ctx)
	return ocispec.Descriptor{}, errdefs.ErrNotImplemented
}

// served starts a server and returns a connection to it, its socket, and what stops it.
func served(t *testing.T, o Options) (conn *grpc.ClientConn, socket string, stop func() error) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	o.Ready = func() error { close(ready); return nil }
	go func() { done <- Serve(ctx, o, l...) }()
	<-ready
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return dial(t, socket), socket, stop
}

func dial(t *testing.T, socket string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func snapshotter(conn *grpc.ClientConn) snapshots.Snapshotter {
	return proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(conn), "lamina")
}

func TestNamespaceAndLeaseAreThoseOfTheCaller(t *testing.T) {
	f := &fake{}
	conn, _, _ := served(t, Options{Snapshotter: f, Differ: f})
	sn, d := snapshotter(conn), diffproxy.NewDiffApplier(diffapi.NewDiffClient(conn)).(Differ)
	ctx := leases.WithLease(namespaces.WithNamespace(t.Context(), "k8s.io"), "lease-1")
	for name, call := range map[string]func(context.Context) error{
		"Prepare": func(ctx context.Context) error { _, err := sn.Prepare(ctx, "k", ""); return err },
		"Walk": func(ctx context.Context) error {
			return sn.Walk(ctx, func(context.Context, snapshots.Info) error { return nil })
		},
		"Apply": func(ctx context.Context) error {
			_, err := d.Apply(ctx, ocispec.Descriptor{Digest: "x"}, nil)
			return err
		},
		"Compare": func(ctx context.Context) error {
			if _, err := d.Compare(ctx, nil, nil); !errdefs.IsNotImplemented(err) {
				return errors.New("not NotImplemented")
			}
			return nil
		},
	} {
		if err := call(ctx); err != nil {
			t.Error(name, err)
		}
		if f.caller != [2]string{"k8s.io", "lease-1"} {
			t.Errorf("%s came as %q", name, f.caller)
		}
		if err := call(t.Context()); err != nil {
			t.Error(name, err)
		}
		if f.caller != [2]string{} {
			t.Errorf("%s of nobody came as %q", name, f.caller)
		}
	}
}

func TestHealth(t *testing.T) {
	f := &fake{entered: make(chan struct{}), release: make(chan struct{})}
	conn, socket, stop := served(t, Options{Snapshotter: f, Differ: f})
	check := func(c *grpc.ClientConn, service string) grpc_health_v1.HealthCheckResponse_ServingStatus {
		r, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil {
			t.Error(service, err)
		}
		return r.GetStatus()
	}
	for _, s := range []string{"", "containerd.services.snapshots.v1.Snapshots", "containerd.services.diff.v1.Diff"} {
		if got := check(conn, s); got != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%q is %v", s, got)
		}
	}
	// A request under way holds the stop up; health says so at once.
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { _, err := snapshotter(conn).Stat(t.Context(), "block"); answered <- err }()
	<-f.entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	if r, err := watch.Recv(); err != nil || r.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("while it stops: %v, %v", r, err)
	}
	select {
	case <-stopped:
		t.Error("stopped with a request under way")
	case <-time.After(50 * time.Millisecond):
	}
	close(f.release)
	if err := <-answered; !errdefs.IsNotFound(err) {
		t.Errorf("the request under way got %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("unix", socket); err == nil {
		t.Error("somebody listens after the stop")
		_ = c.Close()
	}
}

func TestMessagesOf16MiB(t *testing.T) {
	f := &fake{}
	conn, _, _ := served(t, Options{Snapshotter: f})
	sn := snapshotter(conn)
	mounts, err := sn.Prepare(t.Context(), "k", "", snapshots.WithLabels(map[string]string{"l": strings.Repeat("x", 15<<20)}))
	if err != nil || len(mounts[0].Options[0]) != 15<<20 {
		t.Fatal(err)
	}
	if _, err := sn.Prepare(t.Context(), "k", "", snapshots.WithLabels(map[string]string{"l": strings.Repeat("x", 17<<20)})); !errdefs.IsResourceExhausted(err) {
		t.Errorf("17 MiB: %v", err)
	}
	if _, err := sn.Prepare(t.Context(), "k", ""); err != nil {
		t.Error("after a message too large:", err)
	}
}

func TestClientsThatHangHoldNobodyUp(t *testing.T) {
	f := &fake{infos: 20000} // 20 MB, more than any window
	conn, socket, stop := served(t, Options{Snapshotter: f, Differ: f})
	silent, err := net.Dial("unix", socket) // connects and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	list, err := snapshotsapi.NewSnapshotsClient(conn).List(ctx, &snapshotsapi.ListSnapshotsRequest{}) // asks and does not read
	if err != nil {
		t.Fatal(err)
	}
	if _, err := list.Recv(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		other := snapshotter(dial(t, socket))
		if _, err := other.Prepare(t.Context(), "k", ""); err != nil {
			t.Fatal(err)
		}
	}
	cancel() // and goes away: what it asked for ends, and so does the server
	start := time.Now()
	if err := stop(); err != nil || time.Since(start) > stopGrace/2 {
		t.Error(err, time.Since(start))
	}
}

func TestNoDifferNoDiffService(t *testing.T) {
	conn, _, _ := served(t, Options{Snapshotter: &fake{}})
	_, err := diffapi.NewDiffClient(conn).Apply(t.Context(), &diffapi.ApplyRequest{})
	if err == nil || !strings.Contains(err.Error(), "Unimplemented") {
		t.Error(err)
	}
}
