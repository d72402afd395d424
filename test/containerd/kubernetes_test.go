//go:build linux

package containerd

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/test/containerd/harness"
)

// pauseImage is what holds the namespaces of a pod: a process that sleeps.
func pauseImage(ctx context.Context, cache, dir string) (*harness.Image, error) {
	tar, err := harness.Deb(ctx, cache, dir, "busybox-static")
	if err != nil {
		return nil, err
	}
	layer, err := harness.NewLayer(dir, tar, "gzip")
	if err != nil {
		return nil, err
	}
	config := harness.TestConfig()
	config.Entrypoint, config.Cmd = []string{"/bin/busybox", "sleep", "1000000"}, nil
	return harness.NewImage([]harness.Layer{layer}, config)
}

// kube is a containerd with the Kubernetes interface, and crictl.
type kube struct {
	*setup
	tool string
	dir  string
}

func (k *kube) crictl(args ...string) string {
	k.Helper()
	endpoint := "unix://" + k.containerd.Address
	argv := append([]string{k.tool, "--config", filepath.Join(k.dir, "crictl.yaml"), "-r", endpoint, "-i", endpoint, "-t", "60s"}, args...)
	out, err := harness.Run(k.ctx, nil, argv...)
	if err != nil {
		k.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (k *kube) file(name string, v any) string {
	k.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.WriteFile(path, must(json.Marshal(v))(k), 0o644); err != nil {
		k.Fatal(err)
	}
	return path
}

type object = map[string]any

// A pod with two containers, one of which mounts another image as a volume. The pod uses the network of the machine.
func TestPodOfKubernetes(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		cache := filepath.Join(oracle.Root(t), ".cache/crictl")
		tool := filepath.Join(cache, "bin/crictl")
		if _, err := os.Stat(tool); err != nil {
			if os.Getenv("LAMINA_CONTAINERD") == "" {
				t.Skip("no crictl: make containerd builds it")
			}
			oracle.Missing(t, "crictl")
		}
		s := start(t, version, func(o *options) {
			o.containerd.CRI, o.containerd.CNI, o.containerd.Snapshotter = true, filepath.Join(cache, "cni"), "lamina"
			if peer != "" {
				o.containerd.Snapshotter = peer
			}
		})
		k := &kube{setup: s, tool: tool, dir: t.TempDir()}
		k.file("crictl.yaml", object{"timeout": 60})
		pause := s.push("pause", image(t, "pause", pauseImage))
		ctr := func(args ...string) { s.ctr(append([]string{"-n", "k8s.io"}, args...)...) }
		ctr("images", "pull", "--plain-http", "--snapshotter", s.name, pause)
		ctr("images", "tag", pause, "localhost/pause:test")

		ref, volume := s.push("small", small(t, 5)), s.push("ten", tenLayers(t))
		k.crictl("pull", ref)
		k.crictl("pull", volume)
		sandbox := k.file("sandbox.json", object{
			"metadata":      object{"name": "pod", "namespace": "default", "uid": "u1", "attempt": 1},
			"log_directory": k.dir,
			"linux":         object{"security_context": object{"namespace_options": object{"network": 2}}},
		})
		mounts := []object{}
		if !strings.HasPrefix(version, "1.") { // image volumes came with 2.1
			mounts = append(mounts, object{"container_path": "/volume", "image": object{"image": volume}, "readonly": true})
		}
		container := k.file("container.json", object{
			"metadata": object{"name": "c"}, "image": object{"image": ref}, "mounts": mounts, "linux": object{},
			"command": []string{"sh", "-c", "echo out; echo x >/n/written; sleep 100000"}, "log_path": "c.log",
		})
		pod := k.crictl("runp", sandbox)
		id := k.crictl("create", pod, container, sandbox)
		k.crictl("start", id)
		if out := k.crictl("exec", id, "sh", "-c", "cat /n/last /n/written"); out != "4x" {
			t.Errorf("the container printed %q", out)
		}
		if len(mounts) > 0 {
			if out := k.crictl("exec", id, "busybox", "cat", "/volume/etc/layer"); out != "ten" {
				t.Errorf("the volume has %q", out)
			}
		}
		if info := k.crictl("imagefsinfo"); !strings.Contains(info, s.containerd.Config.Root) && s.lamina != nil && !strings.Contains(info, s.lamina.Config.Root) {
			t.Errorf("imagefsinfo does not know our root: %s", info)
		}
		k.crictl("stop", id)
		k.crictl("rm", id)
		k.crictl("stopp", pod)
		k.crictl("rmp", pod)
		for _, ref := range strings.Fields(s.ctr("-n", "k8s.io", "images", "ls", "-q")) {
			ctr("images", "rm", "--sync", ref)
		}
		s.removeAllImages()
	})
}
