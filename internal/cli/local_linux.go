package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/engine"
)

// localFlags are those of all commands that work with images and containers of our own.
type localFlags struct {
	config configFlag
	root   string
}

func (f *localFlags) register(cmd *cobra.Command) {
	f.config.register(cmd)
	cmd.Flags().StringVar(&f.root, "root", "", "directory of images, layers and containers (default: as configured, "+engine.DefaultRoot+" or a user's own)")
}

func (f *localFlags) load() (engine.Config, error) {
	c, err := f.config.load()
	if err != nil || f.root == "" {
		return c, err
	}
	c.Root, err = filepath.Abs(f.root)
	c.Snapshotter.RootPath = ""
	return c, err
}

// there is local for commands that only look: a store that is named, and not there, is a slip that shall not make one.
func (e *env) there(f *localFlags, do func(ctx context.Context, l *engine.Local) error) error {
	if f.root != "" {
		if _, err := os.Stat(f.root); err != nil {
			return err
		}
	}
	return e.local(f, do)
}

// local opens the engine, calls do, and closes it again.
func (e *env) local(f *localFlags, do func(ctx context.Context, l *engine.Local) error) (err error) {
	c, err := f.load()
	if err != nil {
		return err
	}
	l, err := engine.OpenLocal(e.ctx, c)
	if err != nil {
		return err
	}
	e.undoes.Store(true)
	defer func() { err = errors.Join(err, l.Close()) }()
	return do(e.ctx, l)
}
