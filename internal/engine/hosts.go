package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	dockerconfig "github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/errdefs"
	"github.com/pelletier/go-toml/v2"
)

// hostDirs looks for the directory of a host, with its hosts.toml or certificates, in a list of directories.
func hostDirs(list string) func(string) (string, error) {
	var all []func(string) (string, error)
	for _, dir := range filepath.SplitList(list) {
		if dir = strings.TrimSpace(dir); dir != "" {
			all = append(all, dockerconfig.HostDirFromRoot(dir))
		}
	}
	return func(host string) (string, error) {
		for _, in := range all {
			dir, err := in(host)
			if err == nil {
				return dir, checkHosts(filepath.Join(dir, "hosts.toml"))
			}
			if !errdefs.IsNotFound(err) {
				return dir, err
			}
		}
		return "", fmt.Errorf("engine: %s: no directory for the host: %w", host, errdefs.ErrNotFound)
	}
}

// inHosts says of which hosts.toml an error of the library is, which only knows what the file names: certificates, keys.
func inHosts(list, host string, err error) error {
	dir, derr := hostDirs(list)(host)
	if err == nil || derr != nil || errors.As(err, new(*ConfigError)) {
		return err
	}
	return fmt.Errorf("%s: %w", filepath.Join(dir, "hosts.toml"), err)
}

// hostRules are the keys of hosts.toml at its top and in each table [host."URL"], as far as they can be wrong
// (https://github.com/containerd/containerd/blob/v2.4.2/docs/hosts.md).
type hostRules struct {
	Capabilities []string       `toml:"capabilities"`
	SkipVerify   *bool          `toml:"skip_verify"`
	Header       map[string]any `toml:"header"`
	OverridePath bool           `toml:"override_path"`
	DialTimeout  string         `toml:"dial_timeout"`
}

// checkHosts refuses a hosts.toml that containerd's library would write a line into its log about, and then do
// as if it were not there: a pull that leaves its mirror out, or its certificates, helps nobody. Keys that we do not
// know are no error, newer versions have more.
func checkHosts(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a directory of certificates
	}
	if err == nil && !st.Mode().IsRegular() { // a pipe would be waited for
		err = fmt.Errorf("%s: no regular file", path)
	}
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	var file struct {
		hostRules
		Server string               `toml:"server"`
		Host   map[string]hostRules `toml:"host"`
	}
	if err := toml.Unmarshal(text, &file); err != nil {
		p := syntaxProblem(err)
		p.Why, _, _ = strings.Cut(p.Why, " into struct field") // which is a name of ours
		return &ConfigError{path, []Problem{p}}
	}
	if why := file.check(file.Server); why != "" {
		return &ConfigError{path, []Problem{{Why: why}}}
	}
	for _, server := range slices.Sorted(maps.Keys(file.Host)) {
		rules := file.Host[server]
		if why := rules.check(server); why != "" {
			return &ConfigError{path, []Problem{{Key: fmt.Sprintf("host.%q", server), Why: why}}}
		}
	}
	return nil
}

// check says what is wrong with the rules of a server; "" is nothing.
func (r *hostRules) check(server string) string {
	if u, err := url.Parse(server); err != nil {
		return err.Error()
	} else if strings.Contains(server, "://") && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return fmt.Sprintf("server %q: not http://HOST or https://HOST", server)
	}
	known := []string{"pull", "resolve", "push", "referrers"}
	for _, c := range r.Capabilities {
		if !slices.Contains(known, strings.ToLower(c)) {
			return fmt.Sprintf("capability %q: not one of %s", c, strings.Join(known, ", "))
		}
	}
	if _, err := time.ParseDuration(r.DialTimeout); err != nil && r.DialTimeout != "" {
		return fmt.Sprintf("dial_timeout %q: not a duration such as 2s", r.DialTimeout)
	}
	return ""
}
