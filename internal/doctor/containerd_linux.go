package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	versionapi "github.com/containerd/containerd/api/services/version/v1"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"
)

func dial(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// containerd asks the daemon, else its program, and writes the snippet for that version.
func (r *Report) containerd(ctx context.Context, o Options) {
	conn, err := dial(o.Containerd)
	if err != nil {
		r.add("containerd", "socket", Failed, err.Error())
		return
	}
	defer func() { _ = conn.Close() }()
	r.Version = o.Version
	running := r.ask(ctx, conn, o)
	if r.Version == "" {
		r.Version = r.program(ctx, o)
	}
	v, ok := ParseVersion(r.Version)
	switch {
	case r.Version == "":
		r.add("containerd", "version", Missing, "no containerd found; lamina works without it, too")
		return
	case !ok:
		r.add("containerd", "version", Failed, fmt.Sprintf("%q: no version", r.Version))
		return
	case !v.Supported():
		r.add("containerd", "version", Failed, fmt.Sprintf("%s: it takes %s or newer", v, Oldest))
		return
	}
	r.add("containerd", "version", OK, v.String())
	r.Snippet = Snippet(v, Wiring{Socket: o.Socket, Root: o.Root})
	if running {
		r.process(o)
		r.plugins(ctx, conn)
	}
}

// ask asks the daemon for its version.
func (r *Report) ask(ctx context.Context, conn *grpc.ClientConn, o Options) bool {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	resp, err := versionapi.NewVersionClient(conn).Version(ctx, &emptypb.Empty{})
	if err != nil {
		r.add("containerd", "socket", Missing, o.Containerd+": does not answer")
		return false
	}
	r.add("containerd", "socket", OK, o.Containerd)
	if r.Version == "" {
		r.Version = resp.GetVersion()
	}
	return true
}

// program asks the program for its version: "containerd github.com/... v2.4.2 <commit>".
func (r *Report) program(ctx context.Context, o Options) string {
	path := o.Binary
	if path == "" {
		var err error
		if path, err = exec.LookPath("containerd"); err != nil {
			return ""
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		r.add("containerd", "program", Missing, path+": "+err.Error())
		return ""
	}
	for _, f := range strings.Fields(string(out)) {
		if _, ok := ParseVersion(f); ok {
			return f
		}
	}
	return ""
}

// process looks at who listens on the socket: its mounts have to be ours, and its command line has the
// configuration.
func (r *Report) process(o Options) {
	pid, err := peer(o.Containerd)
	if err != nil {
		r.add("containerd", "process", Missing, err.Error())
		return
	}
	same, err := sameMounts(pid)
	if err == nil {
		err = refused(same)
	}
	r.try("containerd", "mount namespace", err, Missing, "the same as here", "is not that of this process: the daemon must run where containerd sees its mounts")
	r.Config = "/etc/containerd/config.toml"
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return
	}
	fields := strings.Split(string(args), "\x00")
	for i, f := range fields {
		if name, value, ok := strings.Cut(f, "="); ok && (name == "--config" || name == "-c") {
			r.Config = value
		} else if (f == "--config" || f == "-c") && i+1 < len(fields) {
			r.Config = fields[i+1]
		}
	}
	r.add("containerd", "configuration", OK, r.Config)
}

// peer is the process that listens on a socket.
func peer(socket string) (int32, error) {
	c, err := net.DialTimeout("unix", socket, askTime)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Pid, nil
}

// plugins asks which plugins are loaded: ours are proxies, and appear under their names.
func (r *Report) plugins(ctx context.Context, conn *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	resp, err := introspectionapi.NewIntrospectionClient(conn).Plugins(ctx, &introspectionapi.PluginsRequest{})
	if err != nil {
		r.add("containerd", "plugins", Missing, err.Error())
		return
	}
	want := map[string]string{"io.containerd.snapshotter.v1": SnapshotterName, "io.containerd.differ.v1": DifferName}
	for _, p := range resp.GetPlugins() {
		if want[p.GetType()] == p.GetID() {
			delete(want, p.GetType())
			r.add("containerd", "plugin "+p.GetID(), OK, "configured")
		}
	}
	for _, id := range want {
		r.add("containerd", "plugin "+id, Missing, "not configured: merge what stands below into the configuration and restart containerd")
	}
}

// daemon asks ours.
func (r *Report) daemon(ctx context.Context, o Options) {
	conn, err := dial(o.Socket)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		_, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		_ = conn.Close() // asked once
	}
	if err != nil {
		r.add("daemon", "socket", Missing, o.Socket+": lamina serve does not answer")
		return
	}
	r.add("daemon", "socket", OK, o.Socket)
	if pid, err := peer(o.Socket); err == nil && pid > 1 { // 1: systemd holds the socket
		same, err := sameMounts(pid)
		if err == nil {
			err = refused(same)
		}
		r.try("daemon", "mount namespace", err, Missing, "the same as here", "is not that of this process: its mounts must propagate to containerd")
	}
}
