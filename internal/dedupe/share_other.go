//go:build !linux

package dedupe

import "os"

func blockSize(*os.File) (int64, error) { return 0, ErrNoSharing }

func shareRange(*os.File, int64, *os.File, int64, int64) (int64, error) { return 0, ErrNoSharing }

func sharedBytes(*os.File, int64, *os.File, int64, int64) (int64, error) { return 0, ErrNoSharing }
