package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/laminafs/lamina/internal/oracle"
)

// The judge of the units is systemd itself. It wants the program to be there, so another stands in for it.
func TestUnitsAreWhatSystemdUnderstands(t *testing.T) {
	oracle.Need(t, "systemd-analyze")
	dir := t.TempDir()
	var units []string
	for _, name := range []string{"lamina.service", "lamina.socket"} {
		text, err := os.ReadFile(filepath.Join(oracle.Root(t), "deploy/systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		unit := filepath.Join(dir, name)
		text = bytes.ReplaceAll(text, []byte("/usr/local/bin/lamina"), []byte("/bin/true"))
		if err := os.WriteFile(unit, text, 0o600); err != nil {
			t.Fatal(err)
		}
		units = append(units, unit)
	}
	verify := func() string {
		out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
		if err != nil {
			return err.Error() + ": " + string(out)
		}
		return string(out)
	}
	if said := verify(); said != "" {
		t.Errorf("systemd: %s", said)
	}
	// It does complain, if there is a reason.
	if err := os.WriteFile(units[0], []byte("[Service]\nExecStart=/bin/true\nKillModes=process\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := verify(); !strings.Contains(said, "KillModes") {
		t.Errorf("systemd finds everything good: %q", said)
	}
}

// The tool of systemd listens, and starts the daemon when the first request comes: it is answered.
func TestDaemonThatItsSocketStarts(t *testing.T) {
	oracle.NeedRoot(t)
	activate := oracle.Need(t, "systemd-socket-activate")
	dir := t.TempDir()
	socket := filepath.Join(dir, "activated.sock")
	if err := os.WriteFile(filepath.Join(dir, "c.toml"), []byte("root = \""+dir+"/store\"\nsocket = \""+dir+"/own.sock\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(activate, "-l", socket, "--fdname=lamina.socket", "lamina", "serve", "--config", "c.toml")
	cmd.Dir, cmd.Stderr = dir, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	waitFor(t, "the socket", func() bool { return exists(socket) })
	if exists(filepath.Join(dir, "store")) {
		t.Error("it was started before there was a request")
	}
	if err := listSnapshots(t, socket); err != nil {
		t.Errorf("%v\n%s", err, &log)
	}
	if exists(filepath.Join(dir, "own.sock")) {
		t.Error("it made a socket of its own")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	code := exitOf(t, cmd)
	ended = true
	if code != 0 && code != exitSignal+int(syscall.SIGTERM) {
		t.Errorf("exit code %d\n%s", code, &log)
	}
	if !exists(socket) {
		t.Error("it removed the socket, which is systemd's")
	}
}

// listSnapshots asks the daemon for all snapshots, and wants none.
func listSnapshots(t *testing.T, socket string) error {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	list, err := snapshotsapi.NewSnapshotsClient(conn).List(ctx, &snapshotsapi.ListSnapshotsRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	if _, err := list.Recv(); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("there are snapshots"), err)
	}
	return nil
}

// After a kill the next daemon gets the socket that the first has given to systemd: a client that came in between is
// answered by it. The test is the service manager.
func TestKilledDaemonIsFollowedByOneWithItsSocket(t *testing.T) {
	oracle.NeedRoot(t)
	dir := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = manager.Close() }()
	socket := filepath.Join(dir, "s")
	first := lamina(t, dir, "serve", "--root", "store", "--socket", socket)
	first.Env = append(os.Environ(), "NOTIFY_SOCKET="+manager.LocalAddr().String())
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	stored := storedSocket(t, manager)
	waitFor(t, "READY", func() bool {
		b := make([]byte, 4096)
		n, _, err := manager.ReadFrom(b)
		return err == nil && strings.Contains(string(b[:n]), "READY=1")
	})
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	answer := make(chan error, 1)
	go func() { answer <- listSnapshots(t, socket) }()
	// LISTEN_PID is the pid of who gets it: exec keeps that of the shell.
	second := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=lamina-socket exec lamina serve --root store --socket "$0"`, socket)
	second.Dir, second.ExtraFiles = dir, []*os.File{stored}
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	exitOf(t, second)
}

// storedSocket is the descriptor that a message to the service manager has.
func storedSocket(t *testing.T, manager *net.UnixConn) *os.File {
	t.Helper()
	if err := manager.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	text, rights := make([]byte, 4096), make([]byte, 4096)
	n, rn, _, _, err := manager.ReadMsgUnix(text, rights)
	if err != nil || !strings.HasPrefix(string(text[:n]), "FDSTORE=1\n") {
		t.Fatalf("%q, %v", text[:n], err)
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:rn])
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%v, %v", fds, err)
	}
	return os.NewFile(uintptr(fds[0]), "stored")
}
