//go:build linux

package containerd

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

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

// kubelet speaks to containerd as the kubelet does.
type kubelet struct {
	*setup
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
}

func newKubelet(s *setup) *kubelet {
	s.Helper()
	conn := must(grpc.NewClient("unix://"+s.containerd.Address, grpc.WithTransportCredentials(insecure.NewCredentials())))(s)
	s.Cleanup(func() {
		if err := conn.Close(); err != nil {
			s.Error(err)
		}
	})
	return &kubelet{s, cri.NewRuntimeServiceClient(conn), cri.NewImageServiceClient(conn)}
}

// sh runs a script in a container of the pod.
func (k *kubelet) sh(id, script string) string {
	k.Helper()
	out := must(k.runtime.ExecSync(k.ctx, &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"busybox", "sh", "-c", script}, Timeout: 30}))(k)
	return string(out.Stdout) + string(out.Stderr)
}

// A pod whose container mounts another image as a volume, in the network of the machine.
func TestPodOfKubernetes(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := start(t, version, func(o *options) {
			o.containerd.CRI, o.containerd.Snapshotter = true, "lamina"
			if peer != "" {
				o.containerd.Snapshotter = peer
			}
		})
		k := newKubelet(s)
		ctr := func(args ...string) { s.ctr(append([]string{"-n", "k8s.io"}, args...)...) }
		pause := s.push("pause", image(t, "pause", pauseImage))
		ctr("images", "pull", "--plain-http", "--snapshotter", s.name, pause)
		ctr("images", "tag", pause, "localhost/pause:test")
		ref, volume := s.push("small", small(t, 5)), s.push("ten", tenLayers(t))
		for _, r := range []string{ref, volume} {
			must(k.images.PullImage(k.ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: r}}))(t)
		}
		host := &cri.NamespaceOption{Network: cri.NamespaceMode_NODE}
		pod := &cri.PodSandboxConfig{
			Metadata: &cri.PodSandboxMetadata{Name: "pod", Namespace: "default", Uid: "u1"}, LogDirectory: t.TempDir(),
			Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: host}},
		}
		sandbox := must(k.runtime.RunPodSandbox(k.ctx, &cri.RunPodSandboxRequest{Config: pod}))(t).PodSandboxId
		container := &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "c"}, Image: &cri.ImageSpec{Image: ref}, LogPath: "c.log",
			Command: []string{"sh", "-c", "echo out; echo x >/n/written; sleep 100000"},
			Linux:   &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: host}},
		}
		volumes := !strings.HasPrefix(version, "1.") // image volumes came with 2.1
		if volumes {
			container.Mounts = []*cri.Mount{{ContainerPath: "/volume", Image: &cri.ImageSpec{Image: volume}, Readonly: true}}
		}
		id := must(k.runtime.CreateContainer(k.ctx, &cri.CreateContainerRequest{PodSandboxId: sandbox, Config: container, SandboxConfig: pod}))(t).ContainerId
		must(k.runtime.StartContainer(k.ctx, &cri.StartContainerRequest{ContainerId: id}))(t)
		s.eventually("the container has written", func() error {
			_, err := k.runtime.ExecSync(k.ctx, &cri.ExecSyncRequest{ContainerId: id, Cmd: []string{"busybox", "test", "-e", "/n/written"}})
			return err
		})
		if out := k.sh(id, "cat /n/last /n/written"); out != "4x\n" {
			t.Errorf("the container printed %q", out)
		}
		if out := "ten\n"; volumes {
			if out = k.sh(id, "cat /volume/etc/layer; ls /volume/data/opaque"); out != "ten\nnew\n" {
				t.Errorf("the volume has %q", out)
			}
		}
		k.statistics(id)
		must(k.runtime.RemovePodSandbox(k.ctx, &cri.RemovePodSandboxRequest{PodSandboxId: sandbox}))(t)
		for _, ref := range strings.Fields(s.ctr("-n", "k8s.io", "images", "ls", "-q")) {
			ctr("images", "rm", "--sync", ref)
		}
		s.removeAllImages()
	})
}

// statistics wants the kubelet to know where images are and what the container has written.
func (k *kubelet) statistics(id string) {
	k.Helper()
	fs := must(k.images.ImageFsInfo(k.ctx, &cri.ImageFsInfoRequest{}))(k)
	if k.lamina != nil && !strings.Contains(fs.String(), filepath.Clean(k.lamina.Config.Root)) {
		k.Errorf("image file system: %v", fs)
	}
	if got := k.sh(id, "dd if=/dev/zero of=/n/five bs=1M count=5 2>/dev/null; sync; echo done"); got != "done\n" {
		k.Errorf("it printed %q", got)
	}
	k.eventually("the kubelet knows what the container has written", func() error {
		st, err := k.runtime.ContainerStats(k.ctx, &cri.ContainerStatsRequest{ContainerId: id})
		if err != nil {
			return err
		}
		if used := st.GetStats().GetWritableLayer().GetUsedBytes().GetValue(); used < 5<<20 || used > 6<<20 {
			return errUsage(used)
		}
		return nil
	})
}

type errUsage uint64

func (e errUsage) Error() string { return fmt.Sprintf("the writable layer has %d bytes", uint64(e)) }
