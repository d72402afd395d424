package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	"github.com/pelletier/go-toml/v2"
	"google.golang.org/grpc"

	"github.com/laminafs/lamina/internal/oracle"
)

func TestParseVersion(t *testing.T) {
	for s, want := range map[string]string{"v2.4.2": "2.4.2", "1.7.23": "1.7.23", "2.3.0-rc.1+unknown": "2.3.0", "2.4": "2.4.0", "x": "", "": "", "github.com/x": ""} {
		v, ok := ParseVersion(s)
		if ok != (want != "") || ok && v.String() != want {
			t.Errorf("%q: %v, %v", s, v, ok)
		}
	}
}

func TestSnippetsParseAndNameWhatEachVersionHonours(t *testing.T) {
	for _, c := range []struct {
		version      string
		format       int64
		capabilities string
		has, hasNot  string
	}{
		{"1.7.10", 2, "<nil>", "io.containerd.grpc.v1.cri", "exports"},
		{"1.7.16", 2, "<nil>", "[proxy_plugins.lamina.exports]", "transfer"},
		{"1.7.29", 2, "[remap-ids]", "io.containerd.grpc.v1.cri", "transfer"},
		{"2.0.7", 3, "[remap-ids]", "unpack_config", "layer_types"},
		{"2.1.4", 3, "[remap-ids]", "layer_types", "max_concurrent_unpacks"},
		{"2.2.0", 3, "[remap-ids rebase]", "max_concurrent_unpacks", "io.containerd.grpc.v1.cri"},
		{"2.3.7", 3, "[remap-ids rebase]", "io.containerd.cri.v1.images", "grpc.v1.cri"},
		{"2.4.2", 3, "[remap-ids rebase]", "enable_remote_snapshot_annotations", "grpc.v1.cri"},
	} {
		v, _ := ParseVersion(c.version)
		text := Snippet(v, Wiring{Socket: "/run/l.sock", Root: "/var/l"})
		var m map[string]any
		if err := toml.Unmarshal([]byte(text), &m); err != nil {
			t.Fatalf("%s: %v\n%s", c.version, err, text)
		}
		sn := m["proxy_plugins"].(map[string]any)["lamina"].(map[string]any)
		if m["version"] != c.format || fmt.Sprint(sn["capabilities"]) != c.capabilities || sn["address"] != "/run/l.sock" {
			t.Errorf("%s: %v", c.version, m)
		}
		if !strings.Contains(text, c.has) || strings.Contains(text, c.hasNot) {
			t.Errorf("%s: not %s, or %s, in\n%s", c.version, c.has, c.hasNot, text)
		}
	}
	if (Version{1, 7, 3}).Supported() || !(Version{1, 7, 4}).Supported() || !(Version{3, 0, 0}).Supported() {
		t.Error("the oldest that works is 1.7.4")
	}
}

// TestRealContainerdsTakeTheSnippet starts every containerd that tools/containerd.sh has built with the snippet for
// its version, and wants what it configures to be loaded without an error.
func TestRealContainerdsTakeTheSnippet(t *testing.T) {
	oracle.NeedRoot(t)
	bins, _ := filepath.Glob(filepath.Join(oracle.Root(t), ".cache/containerd/*.*.*[0-9]/bin/containerd"))
	if len(bins) == 0 {
		oracle.Missing(t, "containerd: tools/containerd.sh")
	}
	for _, bin := range bins {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(bin))), func(t *testing.T) { startWithSnippet(t, bin) })
	}
}

func startWithSnippet(t *testing.T, bin string) {
	dir := t.TempDir()
	o := Options{Root: filepath.Join(dir, "store"), Socket: filepath.Join(dir, "l.sock"), Containerd: filepath.Join(dir, "c.sock"), Binary: bin}
	before := Examine(t.Context(), o)
	if before.Snippet == "" {
		t.Fatalf("no snippet: %+v", before)
	}
	config := filepath.Join(dir, "config.toml")
	own := fmt.Sprintf("root = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.internal.v1.restart\"]\n", filepath.Join(dir, "root"), filepath.Join(dir, "state"))
	_, rest, _ := strings.Cut(before.Snippet, "\n\n")
	text := strings.SplitN(before.Snippet, "\n", 2)[0] + "\n" + own + fmt.Sprintf("[grpc]\n  address = %q\n[ttrpc]\n  address = %q\n", o.Containerd, o.Containerd+".ttrpc") + rest
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "--config", config)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("%s", b)
		}
	}()
	wantPlugins(t, o.Containerd)
	after := Examine(t.Context(), o)
	text = fmt.Sprintf("%v", after.Checks)
	for _, want := range []string{"{containerd plugin lamina ok configured}", "{containerd plugin lamina-diff ok configured}", "{containerd configuration ok " + config + "}", "{containerd mount namespace ok"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

// wantPlugins waits for a containerd and wants what the snippet is about to be loaded.
func wantPlugins(t *testing.T, socket string) {
	t.Helper()
	conn, err := dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	resp, err := introspectionapi.NewIntrospectionClient(conn).Plugins(ctx, &introspectionapi.PluginsRequest{}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"lamina": true, "lamina-diff": true, "diff-service": true}
	for _, p := range resp.GetPlugins() {
		if p.GetInitErr() == nil || p.GetID() == "local" {
			delete(want, p.GetID())
		}
		if (p.GetID() == "local" || want[p.GetID()]) && p.GetInitErr() != nil {
			t.Errorf("%s %s: %s", p.GetType(), p.GetID(), p.GetInitErr().GetMessage())
		}
	}
	if len(want) > 0 {
		t.Errorf("not loaded: %v", want)
	}
}
