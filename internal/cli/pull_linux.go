package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/engine"
)

// transferJob is what pull and push were asked for.
type transferJob struct {
	local    localFlags
	progress progressFlag
	platform string
	asJSON   bool
	quiet    bool
}

func (j *transferJob) register(cmd *cobra.Command, what string) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&j.platform, "platform", "", what)
	fs.BoolVarP(&j.quiet, "quiet", "q", false, "print nothing")
	fs.BoolVar(&j.asJSON, "json", false, "print JSON")
	j.progress.register(fs)
	j.local.register(cmd)
}

const pullLong = `Fetch an image from its registry. Every layer becomes an EROFS image while it comes; when the command
returns, all of it is on the disk and survives a power cut. Layers that are in the store already are not
fetched. A pull that was interrupted goes on where it stopped.

IMAGE is a name as docker has them: debian, quay.io/team/app:v1, host:5000/app@sha256:... . Mirrors and certificates come
from the hosts.toml files below /etc/lamina/certs.d and /etc/containerd/certs.d, credentials from docker's
config.json and its credential helpers. Registries on loopback addresses may speak plain HTTP, all others HTTPS only,
unless their hosts.toml has an http:// URL.

Users other than root pull into a store of their own.`

func newPull(e *env) *cobra.Command {
	j := &transferJob{}
	cmd := &cobra.Command{
		Use:   "pull [flags] IMAGE",
		Short: "Fetch an image from a registry",
		Long:  pullLong,
		Example: `  lamina pull debian:13
  lamina pull --platform linux/arm64 quay.io/team/app@sha256:...`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			view, err := e.startTransfer(j.progress)
			if err != nil {
				return err
			}
			var im engine.Image
			err = e.local(&j.local, func(ctx context.Context, l *engine.Local) (err error) {
				im, err = l.Pull(ctx, args[0], engine.PullOptions{Platform: j.platform, Watch: view})
				return err
			})
			view.close()
			if err != nil {
				return err
			}
			return e.printImage(im, j)
		},
	}
	j.register(cmd, "OS/ARCH[/VARIANT] to choose from an index (default: this machine's)")
	oneOf(cmd, "progress", "auto", "json", "none")
	return e.completes(cmd, &j.local, 1, false, imageNames)
}

func (e *env) printImage(im engine.Image, j *transferJob) error {
	switch {
	case j.asJSON:
		return e.json(im)
	case j.quiet:
		return nil
	}
	return e.printDigest(im.Name, im.Digest.String())
}

const pushLong = `Send an image to a registry: the one that its name says, or that of TARGET. Of an image for several platforms
what is here is sent: the whole index if all of it is here, else the one manifest. What the registry has already,
also in another repository of the same host, is not sent again.`

func newPush(e *env) *cobra.Command {
	j := &transferJob{}
	cmd := &cobra.Command{
		Use:   "push [flags] IMAGE [TARGET]",
		Short: "Send an image to a registry",
		Long:  pushLong,
		Args:  usageArgs(cobra.RangeArgs(1, 2)),
		RunE: func(_ *cobra.Command, args []string) error {
			to := args[len(args)-1] // an image that is pushed under its own name is named by what was typed
			view, err := e.startTransfer(j.progress)
			if err != nil {
				return err
			}
			var digest string
			err = e.local(&j.local, func(ctx context.Context, l *engine.Local) error {
				d, err := l.Push(ctx, args[0], to, engine.PushOptions{Platform: j.platform, Watch: view})
				digest = d.Digest.String()
				return err
			})
			view.close()
			if err != nil {
				return err
			}
			return e.printPushed(to, digest, j)
		},
	}
	j.register(cmd, "OS/ARCH[/VARIANT]: send this manifest alone, without the index")
	oneOf(cmd, "progress", "auto", "json", "none")
	return e.completes(cmd, &j.local, 1, false, imageNames)
}

func (e *env) printPushed(to, digest string, j *transferJob) error {
	switch {
	case j.asJSON:
		return e.json(map[string]string{"name": to, "digest": digest})
	case j.quiet:
		return nil
	}
	return e.printDigest(to, digest)
}

// printDigest prints a name with its digest, which may be in the name already.
func (e *env) printDigest(name, digest string) error {
	_, err := fmt.Fprintf(e.stdout, "%s@%s\n", strings.TrimSuffix(name, "@"+digest), digest)
	return err
}
