package cli

import "github.com/spf13/cobra"

// linuxCommands are the verbs of Linux alone.
func linuxCommands(e *env) []*cobra.Command {
	return []*cobra.Command{
		newPull(e), newPush(e), newImport(e), newExport(e), newImages(e), newRmi(e),
		newRun(e), newPs(e), newLogs(e), newCommit(e), newRm(e), newPrune(e),
		newServe(e), newDoctor(e)}
}
