package cli

import (
	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/engine"
)

// topics are what `lamina help` explains beside the commands; the manual page has a chapter of each.
func topics() []*cobra.Command {
	topic := func(name, short, long string) *cobra.Command {
		return &cobra.Command{Use: name, Short: short, Long: long}
	}
	return []*cobra.Command{
		topic("configuration", "The configuration file, key by key", configurationTopic+engine.Sample()),
		topic("environment", "Environment variables", environmentTopic),
		topic("files", "Files and directories", filesTopic),
		topic("exit-codes", "The table of exit codes", "Exit codes:\n\n"+exitCodesText()+exitTopic),
	}
}

const configurationTopic = `lamina serve and all commands that work with images and containers read ` + engine.DefaultPath + `, users who are
not root lamina/config.toml where they keep such files (~/.config), or the file of --config. No file is needed: every key has a
default. It is TOML; lamina config check names every unknown key and every wrong value with its line.

This is what lamina config default prints: every key, its default and what it means.

`

const environmentTopic = `  DOCKER_CONFIG         directory with the config.json that has credentials of registries (default: ~/.docker)
  REGISTRY_AUTH_FILE    file with such credentials, if there is no config.json; else
  XDG_RUNTIME_DIR       its containers/auth.json
  XDG_CONFIG_HOME       lamina/config.toml below it is the configuration of users who are not root (default: ~/.config)
  XDG_DATA_HOME         lamina below it is their store (default: ~/.local/share)
  HTTP_PROXY, HTTPS_PROXY, NO_PROXY
                        as other programs understand them
  SOURCE_DATE_EPOCH     time of what has none, in seconds since 1970: build, merge, mkfs.erofs
  TMPDIR                directory of large temporary files that are not an output (default: /var/tmp)
  TERM                  dumb, or nothing: no progress bars
  GOGC, GOMEMLIMIT, GOMAXPROCS
                        of the Go runtime: how much memory and how many processors are used
  NOTIFY_SOCKET, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES
                        set by systemd for lamina serve

Colours are never used, so NO_COLOR changes nothing.`

const filesTopic = `  ` + engine.DefaultPath + `
                        the configuration: see configuration
  ` + engine.DefaultRoot + `
                        the store: EROFS images of layers (blobs), records of images and containers, and what containers
                        wrote. It may be as large as all images. Remove things by lamina rmi, rm and prune only
  /run/lamina/lamina.sock
                        where lamina serve answers containerd
  /etc/lamina/certs.d, /etc/containerd/certs.d
                        a directory for each registry, named HOST or HOST_PORT_, with hosts.toml or certificates:
                        mirrors, plain HTTP (http:// URLs), skip_verify, headers, as containerd documents them
  ~/.docker/config.json
                        credentials of registries: auths, credHelpers, credsStore
  /etc/subuid           ranges of ids for lamina run --userns auto: those of lamina, containers or root`

const exitTopic = `
A failing command prints one line to stderr: what, where, why. Outputs are whole or not there at all, but for
a directory that extract was filling and what went to a pipe or a device already: they may be left half filled.`
