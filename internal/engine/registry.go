package engine

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	dockerconfig "github.com/containerd/containerd/v2/core/remotes/docker/config"
	cdreference "github.com/containerd/containerd/v2/pkg/reference"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

// userAgent is what registries see.
const userAgent = "lamina"

// Normalize makes a reference whole, as docker does: "debian" is "docker.io/library/debian:latest". A
// reference with tag and digest keeps the digest only.
func Normalize(ref string) (string, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return "", fmt.Errorf("engine: image %q: %w: %w", ref, err, errdefs.ErrInvalidArgument)
	}
	return named.String(), nil
}

// Familiar is the short form of a reference, for people.
func Familiar(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(named)
}

// client is what talks to registries: mirrors from hosts.toml, credentials from docker's config.json, plain HTTP
// for loopback addresses that do not speak HTTPS. Its connections and tokens serve all that a command asks for.
type client struct {
	tracker docker.StatusTracker
	find    docker.RegistryHosts
	dirs    string // of hosts.toml files

	mu    sync.Mutex // guards known
	known map[string][]docker.RegistryHost
}

// client returns a new client.
func (l *Local) client(ctx context.Context) (*client, error) {
	auth, err := readDockerConfig(dockerConfigPath())
	if err != nil {
		return nil, err
	}
	idle := l.Config.Registry.idle()
	find := dockerconfig.ConfigureHosts(ctx, dockerconfig.HostOptions{
		HostDir:      hostDirs(l.Config.Registry.ConfigPath),
		Credentials:  askOnce(ctx, auth),
		UpdateClient: func(c *http.Client) error { listen(c, idle); return nil },
	})
	return &client{tracker: l.tracker, find: find, dirs: l.Config.Registry.ConfigPath, known: map[string][]docker.RegistryHost{}}, nil
}

// idle is how long a registry may be silent.
func (r *Registry) idle() time.Duration {
	if d, err := time.ParseDuration(r.IdleTimeout); err == nil && d > 0 {
		return d
	}
	return defaultIdle
}

// askOnce puts one question to a credential helper for each host, however many requests there are.
func askOnce(ctx context.Context, auth *dockerConfig) func(string) (string, string, error) {
	type answer struct{ user, secret string }
	var mu sync.Mutex
	known := map[string]func() (answer, error){}
	return func(host string) (string, string, error) {
		mu.Lock()
		if known[host] == nil {
			known[host] = sync.OnceValues(func() (answer, error) {
				user, secret, err := auth.credentials(ctx, host)
				return answer{user, secret}, err
			})
		}
		get := known[host]
		mu.Unlock()
		a, err := get()
		return a.user, a.secret, err
	}
}

// hosts are the servers that have what a host of a name has, the first to ask first.
func (c *client) hosts(host string) ([]docker.RegistryHost, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if list, ok := c.known[host]; ok {
		return list, nil
	}
	list, err := c.find(host)
	if err != nil {
		return nil, inHosts(c.dirs, host, err)
	}
	c.known[host] = list
	return list, nil
}

// count is how many servers have what a name says.
func (c *client) count(name string) int {
	spec, err := cdreference.Parse(name)
	if err != nil {
		return 0
	}
	list, _ := c.hosts(spec.Hostname())
	return len(list)
}

// resolver returns the library's view of the servers that choose leaves.
func (c *client) resolver(choose func([]docker.RegistryHost) []docker.RegistryHost) remotes.Resolver {
	return docker.NewResolver(docker.ResolverOptions{
		Hosts: func(host string) ([]docker.RegistryHost, error) {
			list, err := c.hosts(host)
			return choose(list), err
		},
		Headers: http.Header{"User-Agent": {userAgent}},
		Tracker: c.tracker,
	})
}

// everyHost leaves every server.
func everyHost(list []docker.RegistryHost) []docker.RegistryHost { return list }
