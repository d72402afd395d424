// Package plugin registers lamina in a build of containerd: import it for its effect beside containerd's own
// plugins.
//
//	import (
//		_ "github.com/containerd/containerd/v2/cmd/containerd/builtins"
//		_ "github.com/laminafs/lamina/plugin"
//	)
//
// It registers a snapshotter and a differ, both called lamina, with the configuration of the daemon's tables
// [snapshotter] and [differ]:
//
//	[plugins."io.containerd.snapshotter.v1.lamina"]
//	[plugins."io.containerd.differ.v1.lamina"]
//
// and, in a build without containerd's own, the mount handler for EROFS images that mount_mode = "managed" needs.
// The differ works on the store of the snapshotter, so both are always loaded together. examples/containerd is
// such a build.
package plugin

import (
	"fmt"
	"slices"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/platforms"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/differ"
	"github.com/laminafs/lamina/internal/engine"
	"github.com/laminafs/lamina/internal/snapshotter"
)

// Name is the ID of the snapshotter and of the differ.
const Name = "lamina"

// erofs is the type of mounts that the handler takes: its ID.
const erofs = "erofs"

func init() {
	registry.Register(&plugin.Registration{
		Type: plugins.SnapshotPlugin, ID: Name, Config: snapshotterDefaults(), InitFn: newSnapshotter,
	})
	registry.Register(&plugin.Registration{
		Type: plugins.DiffPlugin, ID: Name, Config: &differ.Config{}, InitFn: newDiffer,
		Requires: []plugin.Type{plugins.MetadataPlugin, plugins.SnapshotPlugin},
	})
	// containerd's packages are initialised before this one, which comes later in the alphabet.
	if !isRegistered(plugins.MountHandlerPlugin, erofs) {
		registry.Register(&plugin.Registration{
			Type: plugins.MountHandlerPlugin, ID: erofs,
			InitFn: func(*plugin.InitContext) (any, error) { return handler{}, nil },
		})
	}
}

func isRegistered(typ plugin.Type, id string) bool {
	return slices.ContainsFunc(registry.Graph(func(*plugin.Registration) bool { return false }), func(r plugin.Registration) bool {
		return r.Type == typ && r.ID == id
	})
}

func snapshotterDefaults() *snapshotter.Config {
	c := engine.Default().Snapshotter
	return &c
}

// opened is the instance of the snapshotter: the differ finds the store in it.
type opened struct {
	*snapshotter.Snapshotter
	engine *engine.Engine
}

// Close implements snapshots.Snapshotter: it ends the use of the store; mounts stay.
func (o *opened) Close() error { return o.engine.Close() }

func newSnapshotter(ic *plugin.InitContext) (any, error) {
	c := engine.Default()
	c.Snapshotter = *ic.Config.(*snapshotter.Config)
	if c.Snapshotter.RootPath == "" {
		c.Snapshotter.RootPath = ic.Properties[plugins.PropertyRootDir]
	}
	eng, err := engine.Open(ic.Context, c)
	if err != nil {
		return nil, err
	}
	ic.Meta.Platforms = append(ic.Meta.Platforms, platform(), platform(erofs))
	ic.Meta.Exports[plugins.SnapshotterRootDir] = c.StoreRoot()
	ic.Meta.Capabilities = append(ic.Meta.Capabilities, eng.Snapshotter.Capabilities()...)
	return &opened{eng.Snapshotter, eng}, nil
}

func newDiffer(ic *plugin.InitContext) (any, error) {
	inst, err := ic.GetByID(plugins.SnapshotPlugin, Name)
	if err != nil {
		return nil, fmt.Errorf("lamina: snapshotter: %w", err)
	}
	db, err := ic.GetSingle(plugins.MetadataPlugin)
	if err != nil {
		return nil, err
	}
	ic.Meta.Platforms = append(ic.Meta.Platforms, platform(), platform(erofs))
	eng := inst.(*opened).engine
	eng.Config.Differ = *ic.Config.(*differ.Config)
	return eng.NewDiffer(db.(*metadata.DB).ContentStore(), "", nil)
}

// platform is that of this machine, with features of images.
func platform(features ...string) imagespec.Platform {
	p := platforms.DefaultSpec()
	p.OSFeatures = features
	return p
}
