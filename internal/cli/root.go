package cli

import (
	"bufio"
	"errors"
	"strings"

	"github.com/spf13/cobra"
)

// lamina runs a command line without the program's name.
func (e *env) lamina(args []string) int {
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	e.stdout = out
	root := newRoot(e)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(e.stderr)
	cmd, err := root.ExecuteContextC(e.ctx)
	if flushErr := out.Flush(); err == nil && flushErr != nil {
		err = flushErr
	}
	return e.report(errorPrefix(cmd), err)
}

// errorPrefix is "lamina: verb".
func errorPrefix(cmd *cobra.Command) string {
	if cmd == nil || !cmd.HasParent() {
		return "lamina"
	}
	return strings.ReplaceAll(cmd.CommandPath(), " ", ": ")
}

// newRoot builds the command tree.
func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "lamina",
		Short: "OCI layers as EROFS images",
		Long: `Lamina turns OCI layers (tar, gzip, zstd), directories and EROFS images into EROFS images that the
Linux kernel mounts, and reads, checks, merges, mounts and runs them.

Under the names mkfs.erofs, fsck.erofs and dump.erofs it takes the options of those programs: by links with such
names, or as lamina mkfs.erofs [OPTIONS].

Exit codes:
` + exitCodesText(),
		Example: `  lamina build -o layer.erofs layer.tar.gz
  zstd -dc layer.tar.zst | lamina build -o layer.erofs -
  lamina ls -lR layer.erofs
  lamina run oci-archive:image.tar -- /bin/sh`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(commands(e)...)
	root.AddCommand(linuxCommands(e)...)
	root.AddCommand(topics()...)
	root.Version = version()
	root.SetVersionTemplate("lamina {{.Version}}\n")
	refuseUnknown(root)
	return root
}

// refuseUnknown makes the commands that cobra adds refuse names that they do not know, which is a usage error.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return usagef("%q: no such command, and no such topic; see lamina --help", strings.Join(args, " "))
				}
				return nil
			}
		case "completion":
			c.Args = func(_ *cobra.Command, args []string) error {
				if len(args) > 0 {
					return usagef("%q: not one of bash, fish, powershell, zsh", args[0])
				}
				return nil
			}
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// commands are the verbs in the order of the help.
func commands(e *env) []*cobra.Command {
	return []*cobra.Command{
		newBuild(e),
		newLs(e),
		newCat(e),
		newStat(e),
		newExtract(e),
		newTar(e),
		newInspect(e),
		newCheck(e),
		newMount(e),
		newUmount(e),
		newMerge(e),
		newDedupe(e),
		newStatus(e),
		newConfig(e),
		newVersion(e),
	}
}

// usageArgs makes what an argument check reports a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		if !cmd.HasParent() && len(args) > 0 {
			return usagef("%q: no such command; see lamina --help", args[0])
		}
		return usagef("%w; usage: %s", err, cmd.UseLine())
	}
}

// errBothOf is a usage error for flags that exclude each other.
func errBothOf(a, b string) error { return usagef("%s and %s exclude each other", a, b) }

var errNoOutput = &usageError{errors.New("no output: -o FILE is required")}
