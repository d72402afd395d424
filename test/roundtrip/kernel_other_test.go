//go:build !linux

package roundtrip

import (
	"testing"

	"github.com/laminafs/lamina/tree"
)

func kernelShows(t *testing.T, _ string, _ *tree.Tree) { t.Skip("needs Linux") }
