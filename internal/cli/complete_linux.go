package cli

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/engine"
)

// completeTime is how long somebody who presses the tab key waits.
const completeTime = 2 * time.Second

// completes makes a command propose names in place of its first most arguments, of all if most is 0. Where there are no names the
// shell proposes files if files is set: archives instead of images, commands behind an image.
func (e *env) completes(cmd *cobra.Command, local *localFlags, most int, files bool, names func(context.Context, *engine.Local) ([]string, error)) *cobra.Command {
	otherwise := cobra.ShellCompDirectiveNoFileComp
	if files {
		otherwise = cobra.ShellCompDirectiveDefault
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, otherwise
		}
		var fitting []string
		for _, n := range e.proposals(local, names) {
			if name, _, _ := strings.Cut(n, "\t"); strings.HasPrefix(name, toComplete) && !slices.Contains(args, name) {
				fitting = append(fitting, n)
			}
		}
		return fitting, otherwise
	}
	return cmd
}

// proposals are the names in a store. Errors are no proposals; and a store is not made by asking.
func (e *env) proposals(local *localFlags, names func(context.Context, *engine.Local) ([]string, error)) (list []string) {
	c, err := local.load()
	if err != nil {
		return nil
	}
	if _, err := os.Stat(c.StoreRoot()); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(e.ctx, completeTime)
	defer cancel()
	l, err := engine.OpenLocal(ctx, c)
	if err != nil {
		return nil
	}
	defer func() { _ = l.Close() }()
	list, _ = names(ctx, l)
	return list
}

// imageNames are the names of the images that are here, as people write them.
func imageNames(ctx context.Context, l *engine.Local) (list []string, err error) {
	all, err := l.Images(ctx)
	for _, im := range all {
		list = append(list, oneLine(engine.Familiar(im.Name)))
	}
	return list, err
}

// containerNames are names of containers, ids of those that have none, with their images as explanation.
func containerNames(ctx context.Context, l *engine.Local) (list []string, err error) {
	all, err := l.Containers(ctx)
	for _, c := range all {
		name := c.Name
		if name == "" {
			name = c.ID
		}
		list = append(list, name+"\t"+oneLine(engine.Familiar(c.Image))+", "+string(c.State))
	}
	return list, err
}

// oneOf makes a flag propose the words that it takes.
func oneOf(cmd *cobra.Command, flag string, words ...string) {
	propose := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc(flag, propose); err != nil {
		panic(err) // no such flag: a slip in the code next to the call
	}
}
