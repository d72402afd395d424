//go:build !linux

package convert

import (
	"errors"
	"os"
)

func insertRange(*os.File, int64) error { return errors.ErrUnsupported }

func startWriteback(*os.File, int64, int64) {}
