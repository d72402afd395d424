package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// maxTries bounds the search for a free temporary name; 64 random bits collide never.
const maxTries = 100

// openNamed creates a temporary file with a name. os.CreateTemp would give it mode 0600.
func openNamed(dir string) (*os.File, string, error) {
	var err error
	for range maxTries {
		name := filepath.Join(dir, fmt.Sprintf("%s%016x", TempPrefix, rand.Uint64()))
		var f *os.File
		if f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm); err == nil {
			return f, name, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return nil, "", err
}
