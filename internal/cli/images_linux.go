package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/engine"
)

func newImages(e *env) *cobra.Command {
	var local localFlags
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List images",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return e.there(&local, func(ctx context.Context, l *engine.Local) error {
				list, err := l.Images(ctx)
				if err != nil {
					return err
				}
				switch {
				case asJSON:
					return e.json(list)
				case quiet:
					for _, im := range list {
						fmt.Fprintln(e.stdout, im.Name)
					}
					return nil
				}
				return e.printImages(list)
			})
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVarP(&quiet, "quiet", "q", false, "print the whole names only")
	fs.BoolVar(&asJSON, "json", false, "print JSON")
	local.register(cmd)
	return cmd
}

func (e *env) printImages(list []engine.Image) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tDIGEST\tPLATFORM\tLAYERS\tSIZE")
	for _, im := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", oneLine(engine.Familiar(im.Name)), short(im.Digest.Encoded()), oneLine(im.Platform), im.Layers, bytesText(im.Size))
	}
	return w.Flush()
}

// short is the beginning of a digest: what commands take for it.
func short(hex string) string { return hex[:min(len(hex), 12)] }

// ageText is how long ago something was, for people.
func ageText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

const rmiLong = `Remove the names of images, and then what nothing refers to any more, unless another process is at work on the
store: then that is left to lamina prune.`

func newRmi(e *env) *cobra.Command {
	var local localFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "rmi [flags] IMAGE...",
		Short: "Remove images",
		Long:  rmiLong,
		Args:  usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.local(&local, func(ctx context.Context, l *engine.Local) error {
				var errs []error
				for _, ref := range args {
					im, err := l.RemoveImage(ctx, ref, force)
					if err != nil {
						errs = append(errs, err)
						continue
					}
					fmt.Fprintln(e.stdout, im.Name)
				}
				return errors.Join(append(errs, tryPrune(ctx, l))...)
			})
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "also images that containers were made from")
	local.register(cmd)
	return e.completes(cmd, &local, 0, false, imageNames)
}

// tryPrune removes what nothing refers to if that can be done now.
func tryPrune(ctx context.Context, l *engine.Local) error {
	_, err := l.Prune(ctx, engine.PruneOptions{})
	if errors.Is(err, engine.ErrBusy) {
		return nil
	}
	return err
}

const pruneLong = `Remove what nothing refers to: content, layers and blobs that no image and no container needs, what killed processes
left. With --containers also containers that have ended, with --images also images that no container was made
from, with --all both. It waits for other processes that fetch or start something; containers may run.`

func newPrune(e *env) *cobra.Command {
	var local localFlags
	o := engine.PruneOptions{Wait: true}
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove what nothing refers to",
		Long:  pruneLong,
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			o.Containers, o.Images = o.Containers || all, o.Images || all
			return e.local(&local, func(ctx context.Context, l *engine.Local) error {
				p, err := l.Prune(ctx, o)
				if err != nil {
					return err
				}
				if asJSON {
					return e.json(p)
				}
				_, err = fmt.Fprintf(e.stdout, "containers: %d, images: %d, layers of registries: %d (%s), blobs: %d (%s)\n", len(p.Containers),
					len(p.Images), p.Content, bytesText(p.Bytes), p.Store.Blobs, bytesText(p.Store.Bytes))
				return err
			})
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&o.Containers, "containers", false, "also containers that have ended")
	fs.BoolVar(&o.Images, "images", false, "also images that no container was made from")
	fs.BoolVarP(&all, "all", "a", false, "both")
	fs.BoolVar(&asJSON, "json", false, "print JSON")
	local.register(cmd)
	return cmd
}
