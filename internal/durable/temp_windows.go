package durable

import "os"

// canSyncDir: directories cannot be flushed on Windows.
const canSyncDir = false

// closeBeforeRename closes the file: Windows does not rename an open one.
func closeBeforeRename(f *os.File) error { return f.Close() }
