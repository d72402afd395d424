package engine

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	dockerconfig "github.com/containerd/containerd/v2/core/remotes/docker/config"
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

// resolver returns what talks to registries: mirrors from hosts.toml, credentials from docker's config.json,
// plain HTTP for loopback addresses that do not speak HTTPS.
func (l *Local) resolver(ctx context.Context) (remotes.Resolver, error) {
	auth, err := readDockerConfig(dockerConfigPath())
	if err != nil {
		return nil, err
	}
	type answer struct{ user, secret string } // one question to a helper per host, however many requests there are
	var mu sync.Mutex
	known := map[string]func() (answer, error){}
	hosts := dockerconfig.ConfigureHosts(ctx, dockerconfig.HostOptions{
		HostDir: hostDirs(l.Config.Registry.ConfigPath),
		Credentials: func(host string) (string, string, error) {
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
		},
	})
	return docker.NewResolver(docker.ResolverOptions{
		Hosts:   hosts,
		Headers: http.Header{"User-Agent": {userAgent}},
		Tracker: l.tracker,
	}), nil
}
