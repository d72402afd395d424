//go:build !windows

package durable

import "os"

const canSyncDir = true

// closeBeforeRename does nothing: an open file can be renamed.
func closeBeforeRename(*os.File) error { return nil }
