// Package engine wires the store, the snapshotter and the differ from one configuration. The daemon serves
// them to containerd; the commands that need no containerd use them in their own process.
package engine

import (
	"os"
	"path/filepath"

	"github.com/laminafs/lamina/internal/differ"
	"github.com/laminafs/lamina/internal/snapshotter"
)

// Config is the configuration file, /etc/lamina/config.toml; Default returns the values of keys that are
// not in the file, Load reads one. What a key means is said in sample.toml.
type Config struct {
	Version     int                `toml:"version"`
	Root        string             `toml:"root"`
	Socket      string             `toml:"socket"`
	Log         Log                `toml:"log"`
	Containerd  Containerd         `toml:"containerd"`
	Snapshotter snapshotter.Config `toml:"snapshotter"`
	Differ      differ.Config      `toml:"differ"`
	Metrics     Metrics            `toml:"metrics"`
	Registry    Registry           `toml:"registry"`
}

// Log says what the daemon prints to stderr.
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn or error
	Format string `toml:"format"` // text or json
}

// Containerd is where the daemon finds the content of containerd.
type Containerd struct {
	Address string `toml:"address"` // its socket
	Root    string `toml:"root"`    // its root directory; "": content is read through the socket only
}

// Metrics is the opt-in address of Prometheus metrics and profiles.
type Metrics struct {
	Address string `toml:"address"` // host:port or unix:///path; "": none
	Pprof   bool   `toml:"pprof"`
}

// Registry is how commands that work without containerd reach registries.
type Registry struct {
	ConfigPath             string `toml:"config_path"` // directories of hosts.toml files, separated by colons
	MaxConcurrentDownloads int    `toml:"max_concurrent_downloads"`
	MaxConcurrentUploads   int    `toml:"max_concurrent_uploads"`
	MaxConcurrentUnpacks   int    `toml:"max_concurrent_unpacks"`
	IdleTimeout            string `toml:"idle_timeout"` // how long a registry may be silent; a duration
}

// Where things are for root.
const (
	DefaultPath   = "/etc/lamina/config.toml"
	DefaultRoot   = "/var/lib/lamina"
	DefaultSocket = "/run/lamina/lamina.sock"
)

// Default is the configuration of an empty file.
func Default() Config {
	return Config{
		Version:    1,
		Root:       DefaultRoot,
		Socket:     DefaultSocket,
		Log:        Log{Level: "info", Format: "text"},
		Containerd: Containerd{Address: "/run/containerd/containerd.sock", Root: "/var/lib/containerd"},
		Snapshotter: snapshotter.Config{
			OvlMountOptions: []string{}, LayerContentCaches: []string{},
			DmverityMode: "auto", MountMode: "host", Quota: "image", ContentSharingPolicy: "shared",
		},
		Registry: Registry{
			ConfigPath:             "/etc/lamina/certs.d:/etc/containerd/certs.d",
			MaxConcurrentDownloads: 3, MaxConcurrentUploads: 3, MaxConcurrentUnpacks: 4,
			IdleTimeout: "60s",
		},
	}
}

// StoreRoot is the root of the store.
func (c *Config) StoreRoot() string {
	if c.Snapshotter.RootPath != "" {
		return c.Snapshotter.RootPath
	}
	return c.Root
}

// UserRoot is the root of the store that a user has if the configuration does not say otherwise: DefaultRoot
// for root, for others a directory of their own where the XDG base directory specification puts data.
func UserRoot() string {
	if os.Geteuid() == 0 {
		return DefaultRoot
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "lamina")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "lamina")
	}
	return filepath.Join(home, ".local/share/lamina")
}
