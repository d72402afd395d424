//go:build !linux

package cli

import "github.com/spf13/cobra"

// linuxCommands are the verbs of Linux alone.
func linuxCommands(*env) []*cobra.Command { return nil }
