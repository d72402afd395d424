// Command lamina turns OCI layers into EROFS images, reads, checks and mounts them. Called by the
// names mkfs.erofs, fsck.erofs and dump.erofs it understands the options of those programs.
package main

import (
	"os"

	"github.com/laminafs/lamina/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args)) }
