package bundle

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// maxLinks bounds the symbolic links on a path, as Linux does.
const maxLinks = 40

// resolve follows a path as a process would whose root is root, symbolic links to absolute paths
// included, and returns the path without links. os.Root alone refuses those.
func resolve(root *os.Root, name string) (string, error) {
	done, todo := "", name
	for links := 0; todo != ""; {
		var part string
		part, todo, _ = strings.Cut(strings.TrimLeft(todo, "/"), "/")
		switch part {
		case "", ".":
			continue
		case "..":
			done = path.Dir("/" + done)[1:]
			continue
		}
		next := path.Join(done, part)
		st, err := root.Lstat(next)
		if err != nil {
			return "", err
		}
		if st.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many symbolic links", name)
		}
		target, err := root.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			done = ""
		}
		todo = target + "/" + todo
	}
	if done == "" {
		done = "."
	}
	return done, nil
}

// maxAccounts bounds the size of /etc/passwd and /etc/group.
const maxAccounts = 8 << 20

// readFile reads a regular file of the image; one that does not exist is empty.
func readFile(root *os.Root, name string) (string, error) {
	real, err := resolve(root, name)
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	st, err := root.Lstat(real) // before it is opened: a fifo would block
	if err != nil {
		return "", err
	}
	if !st.Mode().IsRegular() || st.Size() > maxAccounts {
		return "", fmt.Errorf("%s: not a regular file of at most %d bytes", name, maxAccounts)
	}
	f, err := root.Open(real)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxAccounts))
	return string(b), err
}

// executable finds out whether execvp would find the command and may execute it.
func executable(root *os.Root, command, cwd, searchPath string) error {
	if strings.Contains(command, "/") {
		if !path.IsAbs(command) {
			command = path.Join(cwd, command)
		}
		return runnable(root, command)
	}
	err := fmt.Errorf("not found in PATH=%s: %w", searchPath, fs.ErrNotExist)
	for dir := range strings.SplitSeq(searchPath, ":") {
		if !path.IsAbs(dir) {
			dir = path.Join(cwd, dir)
		}
		e := runnable(root, path.Join(dir, command))
		if e == nil {
			return nil
		}
		if !os.IsNotExist(e) {
			err = e
		}
	}
	return err
}

func runnable(root *os.Root, name string) error {
	real, err := resolve(root, name)
	if err != nil {
		return err
	}
	st, err := root.Lstat(real)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() || st.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("not an executable file: %w", fs.ErrPermission)
	}
	return nil
}
