package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/engine"
)

// configFlag is --config of commands that work on the store.
type configFlag struct{ path string }

func (c *configFlag) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.path, "config", "", "configuration file (default "+engine.DefaultPath+"; for users lamina/config.toml where they keep such files)")
}

// file is the path of the configuration, and whether it may be missing.
func (c *configFlag) file() (path string, optional bool) {
	if c.path != "" {
		return c.path, false
	}
	if os.Geteuid() == 0 {
		return engine.DefaultPath, true
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return engine.DefaultPath, true
	}
	return filepath.Join(dir, "lamina", "config.toml"), true
}

// load reads the configuration. Users have a store of their own unless their file says otherwise.
func (c *configFlag) load() (engine.Config, error) {
	path, optional := c.file()
	conf, err := engine.Load(path, optional)
	if err != nil {
		return conf, err
	}
	if conf.Root == engine.DefaultRoot {
		conf.Root = engine.UserRoot()
	}
	return conf, nil
}

func newConfig(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print a sample configuration, check one",
		Long: `The configuration of lamina serve, and of commands that work on the store, is ` + engine.DefaultPath + `. No file
is needed: every key has a default.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigDefault(e), newConfigCheck(e))
	return cmd
}

func newConfigDefault(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "default",
		Short:   "Print a configuration with every key, its default and what it means",
		Example: "  lamina config default >" + engine.DefaultPath,
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(e.stdout, engine.Sample())
			return err
		},
	}
}

func newConfigCheck(e *env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Report every unknown key and every wrong value of a configuration",
		Long: `Check a configuration file (default ` + engine.DefaultPath + `): every unknown key, wrong value and contradiction is
printed with its line; then the exit code is 3. What the kernel and the file system can do is not looked at: see
lamina doctor.`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			c := configFlag{}
			if len(args) > 0 {
				c.path = args[0]
			}
			path, _ := c.file()
			return e.checkConfig(path, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// checkConfig prints what is wrong with a file, as results on stdout.
func (e *env) checkConfig(path string, asJSON bool) error {
	_, err := engine.Load(path, false)
	var wrong *engine.ConfigError
	if err != nil && !errors.As(err, &wrong) {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w; without a file the defaults count: lamina config default", err)
		}
		return err
	}
	problems := []engine.Problem{}
	if wrong != nil {
		problems = wrong.Problems
	}
	if asJSON {
		err = e.json(map[string]any{"file": path, "problems": problems})
	} else {
		err = nil
		for _, p := range problems {
			fmt.Fprintln(e.stdout, oneLine(p.In(path)))
		}
		if len(problems) == 0 {
			fmt.Fprintf(e.stdout, "%s: no problem\n", path)
		}
	}
	if err == nil && len(problems) > 0 {
		return &codeError{code: exitCorrupt}
	}
	return err
}
