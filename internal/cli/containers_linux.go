package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/engine"
)

func newPs(e *env) *cobra.Command {
	var local localFlags
	var all, asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List containers",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return e.there(&local, func(ctx context.Context, l *engine.Local) error {
				list, err := l.Containers(ctx)
				if err != nil {
					return err
				}
				shown := []engine.Container{}
				for _, c := range list {
					if all || c.State == engine.Running || c.State == engine.Created {
						shown = append(shown, c)
					}
				}
				return e.printContainers(shown, asJSON, quiet)
			})
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVarP(&all, "all", "a", false, "also those that have ended")
	fs.BoolVarP(&quiet, "quiet", "q", false, "print the ids only")
	fs.BoolVar(&asJSON, "json", false, "print JSON")
	local.register(cmd)
	return cmd
}

func (e *env) printContainers(list []engine.Container, asJSON, quiet bool) error {
	if asJSON {
		return e.json(list)
	}
	if quiet {
		for _, c := range list {
			fmt.Fprintln(e.stdout, c.ID)
		}
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATE\tAGE\tIMAGE\tCOMMAND")
	for _, c := range list {
		state := string(c.State)
		if c.ExitCode != nil {
			state = fmt.Sprintf("%s %d", state, *c.ExitCode)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, c.Name, state, ageText(c.Created),
			oneLine(cutMiddle(engine.Familiar(c.Image), longestName)), oneLine(cutMiddle(strings.Join(c.Command, " "), longestName)))
	}
	return w.Flush()
}

func newRm(e *env) *cobra.Command {
	var local localFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "rm [flags] CONTAINER...",
		Short: "Remove containers with all that they wrote",
		Long:  `Remove containers, named by id, the beginning of an id, or name, with all that they wrote.`,
		Args:  usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.local(&local, func(ctx context.Context, l *engine.Local) error {
				var errs []error
				for _, ref := range args {
					if err := l.RemoveContainer(ctx, ref, force); err != nil {
						errs = append(errs, err)
						continue
					}
					fmt.Fprintln(e.stdout, ref)
				}
				return errors.Join(append(errs, l.UnmountIdle(ctx))...)
			})
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "kill those that run")
	local.register(cmd)
	return e.completes(cmd, &local, 0, false, containerNames)
}

func newLogs(e *env) *cobra.Command {
	var local localFlags
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [flags] CONTAINER",
		Short: "Print what a detached container wrote to stdout and stderr",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			var out *engine.Output
			err := e.local(&local, func(ctx context.Context, l *engine.Local) (err error) {
				out, err = l.Output(ctx, args[0])
				return err
			})
			if err != nil {
				return err
			}
			e.undoes.Store(false) // the store is closed: who follows is stopped at once
			return out.Copy(e.ctx, e.stdout, follow, e.flush)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the container ends")
	local.register(cmd)
	return e.completes(cmd, &local, 1, false, containerNames)
}

const commitLong = `Make an image of a container: the layers of its image, and a new one of what it wrote. A container that runs is
read while it runs: what it is just writing may be torn.

NAME is the name of the new image. With --erofs the new layer is an EROFS image itself, which runtimes
with containerd 2.3 and lamina understand; else it is a tar, compressed as --compression says.`

func newCommit(e *env) *cobra.Command {
	var local localFlags
	var o engine.CommitOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "commit [flags] CONTAINER NAME",
		Short:   "Make an image of a container",
		Long:    commitLong,
		Example: "  lamina commit -m 'with vim' 3f9a app:vim",
		Args:    usageArgs(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.local(&local, func(ctx context.Context, l *engine.Local) error {
				im, err := l.Commit(ctx, args[0], args[1], o)
				if err != nil {
					return err
				}
				return e.printImage(im, &transferJob{asJSON: asJSON})
			})
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&o.Comment, "message", "m", "", "comment in the history of the image")
	fs.StringVar(&o.Author, "author", "", "author of the image")
	fs.StringVar(&o.Compression, "compression", "gzip", "of the layer: gzip, zstd, none")
	fs.BoolVar(&o.Native, "erofs", false, "make the layer an EROFS image")
	fs.BoolVar(&asJSON, "json", false, "print JSON")
	local.register(cmd)
	oneOf(cmd, "compression", "gzip", "zstd", "none")
	return e.completes(cmd, &local, 1, false, containerNames)
}
