//go:build !linux

package differ

import "os"

func startWriteback(*os.File, int64, int64) {}
