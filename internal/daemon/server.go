package daemon

import (
	"context"
	"log/slog"
	"path"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/contrib/diffservice"
	"github.com/containerd/containerd/v2/contrib/snapshotservice"
	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Differ is what the Diff service needs.
type Differ interface {
	diff.Applier
	diff.Comparer
}

const (
	// maxMessage is the limit that containerd has for messages of its proxies, in bytes.
	maxMessage = 16 << 20
	// A client that does not answer pingTimeout after a ping is cut off, so that what it asked for ends.
	// containerd answers at any load; only one that is stopped, or a debugger holds, does not.
	pingEvery, pingTimeout = 30 * time.Second, 20 * time.Second
	// helloTime is how long a client may take to begin; a stop waits for it.
	helloTime = 5 * time.Second
	// minPing is how often a client may ping.
	minPing = 5 * time.Second
)

// healthServer is the health of all services.
type healthServer struct {
	*health.Server
	names []string
}

// serving says that every service answers.
func (h *healthServer) serving() {
	for _, n := range append(h.names, "") {
		h.SetServingStatus(n, grpc_health_v1.HealthCheckResponse_SERVING)
	}
}

// newServer returns a server with the services of o, which are not yet said to be healthy. Those who watch the
// health are dismissed when watched is done: they would wait for ever.
func newServer(watched context.Context, o Options) (*grpc.Server, *healthServer) {
	calls := &calls{log: o.Log, metrics: o.Metrics, watched: watched}
	server := grpc.NewServer(
		grpc.ConnectionTimeout(helloTime), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(calls.unary), grpc.StreamInterceptor(calls.stream),
	)
	snapshotsapi.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(o.Snapshotter))
	healthy := &healthServer{Server: health.NewServer()}
	if o.Differ != nil {
		diffapi.RegisterDiffServer(server, diffservice.FromApplierAndComparer(o.Differ, o.Differ))
	}
	for n := range server.GetServiceInfo() {
		healthy.names = append(healthy.names, n)
		healthy.SetServingStatus(n, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}
	healthy.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	grpc_health_v1.RegisterHealthServer(server, healthy.Server)
	return server, healthy
}

// calls is what happens around each request.
type calls struct {
	log     *slog.Logger
	metrics *Metrics
	watched context.Context
}

// withCaller puts the namespace and the lease of the caller in the context, where they go on to containerd with
// requests for its content: that is how what a Diff writes gets the namespace and outlives garbage collection.
func withCaller(ctx context.Context) context.Context {
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return ctx
	}
	if v := md.Get(namespaces.GRPCHeader); len(v) > 0 && v[0] != "" {
		ctx = namespaces.WithNamespace(ctx, v[0])
	}
	if v := md.Get(leases.GRPCHeader); len(v) > 0 && v[0] != "" {
		ctx = leases.WithLease(ctx, v[0])
	}
	return ctx
}

func (c *calls) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	end := c.begin(info.FullMethod)
	resp, err := handler(withCaller(ctx), req)
	end(req, err)
	return resp, err
}

func (c *calls) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx := withCaller(ss.Context())
	if info.FullMethod == grpc_health_v1.Health_Watch_FullMethodName {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.watched, cancel)()
	}
	end := c.begin(info.FullMethod)
	err := handler(srv, &callerStream{ss, ctx})
	end(nil, err)
	return err
}

// callerStream is a stream with another context.
type callerStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context is that of the caller.
func (s *callerStream) Context() context.Context { return s.ctx }

// begin starts the clock of a request; what it returns ends it.
func (c *calls) begin(method string) func(req any, err error) {
	start := time.Now()
	method = path.Base(method) // of "/package.Service/Method"
	c.metrics.begin(method)
	return func(req any, err error) {
		took := time.Since(start)
		code := status.Code(err)
		c.metrics.end(method, code, took)
		c.log.Log(context.Background(), level(code), "request", "method", method, "key", keyOf(req), "took", took, "code", code.String(), "error", message(err))
	}
}

// level: what containerd expects in normal work is no news. It asks for snapshots that are not there, learns
// that a layer is there already, and asks each differ in turn.
func level(code codes.Code) slog.Level {
	switch code {
	case codes.OK, codes.NotFound, codes.AlreadyExists, codes.Unimplemented, codes.Canceled, codes.FailedPrecondition:
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return status.Convert(err).Message()
}

// keyOf is what a request is about.
func keyOf(req any) string {
	switch r := req.(type) {
	case interface{ GetKey() string }:
		return r.GetKey()
	case *diffapi.ApplyRequest:
		return r.GetDiff().GetDigest()
	}
	return ""
}
