package daemon

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be a process that systemd starts: it listens and says on what.
func TestMain(m *testing.M) {
	if path := os.Getenv("LAMINA_TEST_LISTEN"); path != "" {
		if os.Getenv("LISTEN_FDS") != "" {
			_ = os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())) // systemd knows it, who starts us here does not
		}
		os.Exit(listenAndTell(path))
	}
	os.Exit(m.Run())
}

func listenAndTell(path string) int {
	all, err := Listen(path)
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	for _, l := range all {
		fmt.Println("listening", l.Addr())
		c, err := l.Accept()
		if err == nil {
			_, err = c.Write([]byte("hello"))
		}
		if err != nil {
			fmt.Println("error:", err)
			return 1
		}
		_ = c.Close()
	}
	fmt.Println("env", os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDNAMES"))
	return 0
}

// child starts this binary with descriptors and names of them, as systemd does.
func child(t *testing.T, path, notifySocket string, names string, fds ...*os.File) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LAMINA_TEST_LISTEN="+path, "NOTIFY_SOCKET="+notifySocket)
	if len(fds) > 0 {
		cmd.Env = append(cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(fds)), "LISTEN_FDNAMES="+names)
	}
	cmd.ExtraFiles = fds
	cmd.Stderr = os.Stderr
	return cmd
}

// greeted connects and wants the greeting of the child.
func greeted(t *testing.T, path string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("unix", path)
		if err != nil && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		_ = c.SetDeadline(deadline)
		if _, err := c.Read(b); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		_ = c.Close()
		return
	}
}

func listener(t *testing.T, path string) *os.File {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close(); _ = l.Close() })
	return f
}

func TestSocketOfSystemdIsServed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "unit")
	cmd := child(t, filepath.Join(dir, "config"), "", "lamina.socket", listener(t, path))
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	greeted(t, path)
	if err := cmd.Wait(); err != nil || out.String() != "listening "+path+"\nenv   \n" {
		t.Errorf("%v\n%s", err, out.String())
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error("the socket of the unit is gone:", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "config")); err == nil {
		t.Error("the socket of the configuration was made as well")
	}
}

// TestOwnSocketSurvivesARestart plays the part of systemd: it takes the descriptor that the first process
// sends and passes it to the next.
func TestOwnSocketSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = manager.Close() }()
	first := child(t, path, manager.LocalAddr().String(), "")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	kept, message := received(t, manager)
	defer func() { _ = kept.Close() }()
	if message != "FDSTORE=1\nFDNAME=lamina-socket" {
		t.Errorf("message %q", message)
	}
	greeted(t, path)
	if err := first.Wait(); err != nil {
		t.Fatal(err)
	}
	early, err := net.Dial("unix", path) // nobody is there, yet the connection waits
	if err != nil {
		t.Fatal("between the two:", err)
	}
	defer func() { _ = early.Close() }()
	second := child(t, path, manager.LocalAddr().String(), storedName, kept)
	out, err := second.Output()
	if err != nil || !strings.HasPrefix(string(out), "listening "+path) {
		t.Fatalf("%v\n%s", err, out)
	}
	// Another path in the configuration: the kept socket is given back.
	other := filepath.Join(dir, "other")
	third := child(t, other, manager.LocalAddr().String(), storedName, kept)
	if err := third.Start(); err != nil {
		t.Fatal(err)
	}
	if _, message := received(t, manager); message != "FDSTOREREMOVE=1\nFDNAME=lamina-socket" {
		t.Errorf("message %q", message)
	}
	greeted(t, other)
	if err := third.Wait(); err != nil {
		t.Error(err)
	}
}

// received is a message to systemd, with the descriptor that came with it, if one did.
func received(t *testing.T, manager *net.UnixConn) (*os.File, string) {
	t.Helper()
	b, oob := make([]byte, 1000), make([]byte, 1000)
	if err := manager.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, oobn, _, _, err := manager.ReadMsgUnix(b, oob)
	if err != nil {
		t.Fatal(err)
	}
	all, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return nil, string(b[:n])
	}
	fds, err := unix.ParseUnixRights(&all[0])
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "kept"), string(b[:n])
}

func TestWhatSystemdPassesMustListen(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	out, err := child(t, "/nowhere", "", "x", f).Output()
	if err == nil || !strings.Contains(string(out), "descriptor 3 (x): no listening socket") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSocketsOfOthersAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	live := filepath.Join(dir, "live")
	l, err := Listen(live)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l[0].Close() }()
	if st, err := os.Stat(live); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if _, err := Listen(live); err == nil || !strings.Contains(err.Error(), "another daemon") {
		t.Error("a second daemon:", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil {
		t.Error("a file became a socket")
	}
	dead := filepath.Join(dir, "dead")
	_ = listener(t, dead).Close()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "left")
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: left}); err != nil { // bound, and its owner is dead
		t.Fatal(err)
	}
	_ = syscall.Close(fd)
	again, err := Listen(left)
	if err != nil {
		t.Fatal("after a daemon that was killed:", err)
	}
	_ = again[0].Close()
}

func TestAPathThatIsTooLongForASocket(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("x", maxPath-len(dir)), "s")
	if _, err := bind(long); err == nil || !strings.Contains(err.Error(), "more than the 107 that") {
		t.Error(err)
	}
	l, err := bind(long[:maxPath])
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
