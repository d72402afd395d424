// Package layers holds the level of every package of the module; its tests hold the module to them.
//
// A package imports packages of lower levels only: no cycles, no sideways imports. The words of the
// table are those of doc/design/architecture.md; a new package gets its row in the same commit.
package layers

// Module is the path of this module.
const Module = "github.com/laminafs/lamina"

// Unlevelled packages are judges and checks: no product code may import them, they may import all.
var unlevelled = []string{"internal/layers", "internal/oracle", "test"}

// row is a package of the table.
type row struct {
	level  int
	public bool // what other people import: few dependencies, builds on every system
}

// table is the packages by their path below the module.
var table = map[string]row{
	"tree":                     {0, true},
	"verity":                   {0, true},
	"internal/disk":            {0, false},
	"internal/codec/deflate":   {0, false},
	"internal/codec/lz4":       {0, false},
	"internal/codec/microlzma": {0, false},
	"internal/codec/zstd":      {0, false},
	"internal/durable":         {0, false},
	"internal/mount":           {0, false},

	"tartree":           {1, true},
	"dirtree":           {1, true},
	"internal/zmap":     {1, false},
	"internal/compress": {1, false},
	"internal/bundle":   {0, false},
	"internal/oci":      {1, false},
	"internal/store":    {1, false},

	"internal/image": {2, false},

	"erofs": {3, true},
	"mkfs":  {3, true},

	"fsck":            {4, true},
	"internal/dedupe": {4, false},

	"internal/convert": {5, false},

	"internal/snapshotter": {6, false},
	"internal/differ":      {6, false},

	"internal/engine": {7, false},
	"internal/daemon": {7, false},
	"internal/doctor": {7, false},

	"internal/cli": {8, false},
	"plugin":       {8, false}, // public, but only containerd's own modules can use it

	"cmd/lamina": {9, false},
}

// publicModules are the third-party modules that public packages and all below them may import.
var publicModules = map[string]string{
	"golang.org/x/sys": "system calls, and what processors have",
}
