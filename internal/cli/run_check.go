//go:build linux

package cli

import (
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/laminafs/lamina/internal/engine"
)

// maxHostname is what the kernel takes (HOST_NAME_MAX), in bytes.
const maxHostname = 64

// checkNames refuses what no container can have, before an image is asked for.
func (j *runJob) checkNames() error {
	o := &j.options
	switch {
	case o.Name != "" && !engine.IsContainerName(o.Name):
		return usagef("--name: %q: not letters, digits, '_', '.', '-', at most 63", o.Name)
	case o.Hostname != "" && !isHostname(o.Hostname):
		return usagef("--hostname: %q: not letters, digits and '-' between dots, at most %d", o.Hostname, maxHostname)
	case o.Workdir != "" && !path.IsAbs(o.Workdir):
		return usagef("--workdir: %q: not an absolute path", o.Workdir)
	case !isUser(o.User):
		return usagef("--user: %q: not USER[:GROUP], names or numbers from 0 to %d", o.User, maxID)
	}
	return nil
}

// isHostname tells whether a name is one of a host (RFC 1123, section 2.1).
func isHostname(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`).MatchString(label) {
			return false
		}
	}
	return len(s) <= maxHostname
}

// maxID is the largest id: the next one says "unchanged" to the kernel.
const maxID = 1<<32 - 2

// isUser tells whether a text can be USER[:GROUP]. Names are looked up in the image later.
func isUser(s string) bool {
	user, group, both := strings.Cut(s, ":")
	if strings.Contains(group, ":") || both && user == "" {
		return false
	}
	for _, id := range []string{user, group} {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil && (n < 0 || n > maxID) || strings.HasPrefix(id, "-") {
			return false
		}
	}
	return true
}
