package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version is the version of the program; the build sets it (-ldflags -X). Empty: that of the module.
var Version string

// erofsVersion is what the programs of erofs-utils answer: scripts compare it with the versions of
// erofs-utils, whose 1.9 is what their options here are modelled on.
const erofsVersion = "1.9.4"

func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}

func newVersion(e *env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return e.json(map[string]string{
					"version": version(), "go": runtime.Version(),
					"os": runtime.GOOS, "arch": runtime.GOARCH, "erofsUtils": erofsVersion,
				})
			}
			fmt.Fprintf(e.stdout, "lamina %s %s/%s\n", version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// json prints a value on stdout, indented.
func (e *env) json(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
