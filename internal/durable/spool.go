package durable

import (
	"fmt"
	"os"
)

// SpoolDir is the directory for temporary files that may be as large as an image: $TMPDIR, else
// /var/tmp, else that of the system. /tmp lies in memory on many systems (file-hierarchy(7)).
func SpoolDir() string {
	if os.Getenv("TMPDIR") == "" {
		if st, err := os.Stat("/var/tmp"); err == nil && st.IsDir() {
			return "/var/tmp"
		}
	}
	return os.TempDir()
}

// Temp opens a temporary file in dir, SpoolDir if dir is "". It has no name, or loses it at once, so
// nothing is left of it however the process ends; only on systems that cannot remove an open file
// Close does that. Commit is an error.
func Temp(dir string) (*File, error) {
	if dir == "" {
		dir = SpoolDir()
	}
	f := &File{dir: dir}
	var err error
	if f.File, f.tmp, err = openTemp(dir, dir); err != nil {
		return nil, fmt.Errorf("durable: temporary file: %w", err)
	}
	if f.tmp != "" && os.Remove(f.tmp) == nil {
		f.tmp = ""
	}
	return f, nil
}
