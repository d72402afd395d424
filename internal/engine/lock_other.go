//go:build !unix

package engine

import (
	"context"
	"errors"
	"os"
)

var errLocked = errors.New("is in use")

func lockFile(path string, create, exclusive, wait bool) (*os.File, error) {
	return nil, errors.ErrUnsupported
}

func lockEnded(context.Context, string) (*os.File, error) { return nil, errors.ErrUnsupported }

func relock(*os.File, bool, bool) error { return errors.ErrUnsupported }

func claim(string, func() error) (func(), error) { return nil, errors.ErrUnsupported }
