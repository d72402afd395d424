package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// dockerConfig is what is used of docker's config.json.
type dockerConfig struct {
	Auths       map[string]dockerAuth `json:"auths"`
	CredsStore  string                `json:"credsStore"`
	CredHelpers map[string]string     `json:"credHelpers"`
}

// dockerAuth is a password in config.json.
type dockerAuth struct {
	Auth          string `json:"auth"` // base64 of user:password
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// Bounds of what other programs give us.
const (
	maxDockerConfig = 4 << 20
	maxHelperOutput = 1 << 20
	helperTimeout   = time.Minute
	helperGrace     = time.Second // for what a helper has started, once it has ended or was killed
)

// dockerConfigPath is where docker and its like keep credentials: $DOCKER_CONFIG/config.json, else
// ~/.docker/config.json; if there is neither, podman's file. "" if there is none.
func dockerConfigPath() string {
	var list []string
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		list = append(list, filepath.Join(dir, "config.json"))
	} else if home, err := os.UserHomeDir(); err == nil {
		list = append(list, filepath.Join(home, ".docker/config.json"))
	}
	if file := os.Getenv("REGISTRY_AUTH_FILE"); file != "" {
		list = append(list, file)
	} else if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		list = append(list, filepath.Join(dir, "containers/auth.json"))
	}
	for _, path := range list {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

func readDockerConfig(path string) (*dockerConfig, error) {
	c := new(dockerConfig)
	if path == "" {
		return c, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if len(b) > maxDockerConfig {
		return nil, fmt.Errorf("engine: %s: %d bytes, more than %d", path, len(b), maxDockerConfig)
	}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, &ConfigError{path, []Problem{{Why: err.Error()}}}
	}
	return c, nil
}

// credentials returns user and password for a host. A user of "" with a password stands for a token. Nothing
// is known of most hosts: then both are "".
func (c *dockerConfig) credentials(ctx context.Context, host string) (user, secret string, err error) {
	names := hostNames(host)
	for _, name := range names {
		if helper := c.CredHelpers[name]; helper != "" {
			return askHelper(ctx, helper, name)
		}
	}
	if c.CredsStore != "" {
		for _, name := range names {
			user, secret, err = askHelper(ctx, c.CredsStore, name)
			if err != nil || secret != "" {
				return user, secret, err
			}
		}
	}
	for _, name := range names {
		if a, ok := c.Auths[name]; ok {
			return a.decode(name)
		}
		for _, key := range slices.Sorted(maps.Keys(c.Auths)) { // in a fixed order: several may be of the host
			if hostOf(key) == name {
				return c.Auths[key].decode(key)
			}
		}
	}
	return "", "", nil
}

// hostNames are the names under which credentials for a host are kept.
func hostNames(host string) []string {
	switch host {
	case "docker.io", "registry-1.docker.io", "index.docker.io":
		return []string{"https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"}
	}
	return []string{host}
}

// hostOf is the host of a key such as "https://host:5000/v1/".
func hostOf(key string) string {
	_, rest, ok := strings.Cut(key, "://")
	if !ok {
		rest = key
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}

func (a dockerAuth) decode(key string) (user, secret string, err error) {
	switch {
	case a.IdentityToken != "":
		return "", a.IdentityToken, nil
	case a.RegistryToken != "":
		return "", a.RegistryToken, nil
	case a.Auth == "":
		return a.Username, a.Password, nil
	}
	b, err := base64.StdEncoding.DecodeString(a.Auth)
	if err != nil {
		return "", "", fmt.Errorf("engine: credentials of %s: %w", key, err)
	}
	user, secret, ok := strings.Cut(string(b), ":")
	if !ok {
		return "", "", fmt.Errorf("engine: credentials of %s: no colon between user and password", key)
	}
	return user, strings.TrimRight(secret, "\x00"), nil
}

// helperName is what a credential helper may be called: it becomes part of a program's name.
var helperName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`) })

// askHelper runs docker-credential-NAME get, the protocol of docker-credential-helpers.
func askHelper(ctx context.Context, name, server string) (user, secret string, err error) {
	if !helperName().MatchString(name) {
		return "", "", fmt.Errorf("engine: credential helper %q: no name of a program", name)
	}
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker-credential-"+name, "get")
	cmd.Stdin, cmd.WaitDelay = strings.NewReader(server), helperGrace
	var out, stderr limitedBuffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		text := strings.TrimSpace(out.String())
		if strings.Contains(text, "credentials not found") {
			return "", "", nil
		}
		if text == "" {
			text = strings.TrimSpace(stderr.String())
		}
		return "", "", fmt.Errorf("engine: docker-credential-%s: %w: %s", name, err, text)
	}
	var a struct{ Username, Secret string }
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return "", "", fmt.Errorf("engine: docker-credential-%s: %w", name, err)
	}
	if a.Username == "<token>" {
		a.Username = ""
	}
	return a.Username, a.Secret, nil
}

// limitedBuffer keeps the beginning of what is written to it.
type limitedBuffer struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := maxHelperOutput - b.Len(); len(p) > room {
		_, _ = b.Buffer.Write(p[:max(0, room)])
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
