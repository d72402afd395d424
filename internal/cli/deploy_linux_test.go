package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/laminafs/lamina/internal/engine"
	"github.com/laminafs/lamina/internal/oracle"
)

// manifest is what is looked at of the objects in deploy/kubernetes.
type manifest struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Data     map[string]string
	Spec     struct{ Template struct{ Spec podSpec } }
}

type podSpec struct {
	Containers []struct {
		Command         []string
		SecurityContext struct{ Privileged bool } `yaml:"securityContext"`
		VolumeMounts    []volumeMount             `yaml:"volumeMounts"`
	}
	Volumes []struct {
		Name      string
		HostPath  struct{ Path string } `yaml:"hostPath"`
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

type volumeMount struct {
	Name             string
	MountPath        string `yaml:"mountPath"`
	MountPropagation string `yaml:"mountPropagation"`
	ReadOnly         bool   `yaml:"readOnly"`
}

func readManifests(t *testing.T, path string) map[string]manifest {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	all := map[string]manifest{}
	for d := yaml.NewDecoder(f); ; {
		var m manifest
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[m.Kind] = m
	}
}

// The daemon in a pod sees the directories that its configuration names, at the same paths as containerd on the node: the
// mounts that it returns name them.
func TestDaemonSetFitsTheConfiguration(t *testing.T) {
	all := readManifests(t, filepath.Join(oracle.Root(t), "deploy/kubernetes/daemonset.yaml"))
	config, set := all["ConfigMap"], all["DaemonSet"]
	if config.Metadata.Namespace != all["Namespace"].Metadata.Name || set.Metadata.Namespace != config.Metadata.Namespace {
		t.Errorf("namespaces %q, %q", config.Metadata.Namespace, set.Metadata.Namespace)
	}
	c, problems := engine.Parse([]byte(config.Data["config.toml"]))
	if len(problems) > 0 {
		t.Errorf("config.toml: %v", problems)
	}
	pod := set.Spec.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	main := pod.Containers[0]
	if !main.SecurityContext.Privileged {
		t.Error("nothing can be mounted")
	}
	host := map[string]volumeMount{} // by path, where it is the same on the node
	for _, v := range pod.Volumes {
		i := slices.IndexFunc(main.VolumeMounts, func(m volumeMount) bool { return m.Name == v.Name })
		if i < 0 {
			t.Errorf("volume %s is not mounted", v.Name)
			continue
		}
		m := main.VolumeMounts[i]
		switch {
		case v.ConfigMap.Name != "":
			if v.ConfigMap.Name != config.Metadata.Name || !slices.Equal(main.Command[1:], []string{"serve", "--config", m.MountPath + "/config.toml"}) {
				t.Errorf("configuration %s at %s, command %v", v.ConfigMap.Name, m.MountPath, main.Command)
			}
		case v.HostPath.Path != m.MountPath:
			t.Errorf("%s of the node is %s in the pod", v.HostPath.Path, m.MountPath)
		default:
			host[m.MountPath] = m
		}
	}
	for _, dir := range []string{filepath.Dir(c.Socket), c.StoreRoot(), filepath.Dir(c.Containerd.Address), c.Containerd.Root, "/dev"} {
		if _, ok := host[dir]; !ok {
			t.Errorf("%s of the node is not in the pod", dir)
		}
	}
	if m := host[c.StoreRoot()]; m.MountPropagation != "Bidirectional" || m.ReadOnly {
		t.Errorf("containerd does not see what is mounted in %+v", m)
	}
}
