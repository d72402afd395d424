//go:build !linux

package durable

import (
	"errors"
	"os"
	"strings"
)

func openTemp(dir, _ string) (*os.File, string, error) { return openNamed(dir) }

// linkTemp is never called: openTemp gives every file a name.
func linkTemp(*os.File, string) (string, error) { return "", errors.ErrUnsupported }

// throughDescriptor tells whether a path names an open file of this process.
func throughDescriptor(path string) bool { return strings.HasPrefix(path, "/dev/") }
