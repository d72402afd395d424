package tree

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
)

// Dump writes one line for every name of the tree, in the order of Walk, so that two trees are equal
// exactly if their dumps are:
//
//	"" d 0755 0:0 0.000000000
//	"a" f 0644 1000:100 1700000000.000000007 1 sha256:2d71… "user.x"="y"
//	"b" l 0777 0:0 0.000000000 -> "a"
//	"c" = "a"
//	"tty" c 0620 0:5 0.000000000 4:1
//
// A further name of a node (a hard link) gives the first. Whether a directory is implied and where a
// file has holes does not show. It reads the bytes of every file and renumbers the nodes (Inodes).
func Dump(w io.Writer, t *Tree) error {
	b := bufio.NewWriter(w)
	first := make([]string, len(t.Inodes())+1) // by number; of nodes with several names only
	err := t.Walk(func(path string, n *Node) error {
		if !n.IsDir() && n.Links() > 1 {
			if first[n.Ino()] != "" {
				_, err := fmt.Fprintf(b, "%q = %q\n", path, first[n.Ino()])
				return err
			}
			first[n.Ino()] = path
		}
		return dumpNode(b, path, n)
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

func dumpNode(w *bufio.Writer, path string, n *Node) error {
	line := fmt.Appendf(nil, "%q %c %04o %d:%d %d.%09d", path, typeLetter(n.Mode), n.Mode&PermMask, n.UID, n.GID, n.Mtime, n.Nsec)
	switch n.Type() {
	case TypeRegular:
		sum, err := digest(n)
		if err != nil {
			return fmt.Errorf("tree: dump: %q: %w", path, err)
		}
		line = fmt.Appendf(line, " %d %s", n.Size, sum)
	case TypeSymlink:
		line = fmt.Appendf(line, " -> %q", n.Target)
	case TypeChar, TypeBlock:
		major, minor := DevMajorMinor(n.Rdev)
		line = fmt.Appendf(line, " %d:%d", major, minor)
	}
	for _, x := range n.Xattrs {
		line = fmt.Appendf(line, " %q=%q", x.Name, x.Value)
	}
	_, err := w.Write(append(line, '\n'))
	return err
}

func digest(n *Node) (string, error) {
	if n.Content == nil && n.Size > 0 {
		return "no content", nil
	}
	sum := sha256.New()
	if n.Content != nil {
		copied, err := io.Copy(sum, io.NewSectionReader(n.Content, 0, n.Size))
		if err == nil && copied < n.Size {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("sha256:%x", sum.Sum(nil)), nil
}

func typeLetter(mode uint32) rune {
	switch mode & TypeMask {
	case TypeRegular:
		return 'f'
	case TypeDir:
		return 'd'
	case TypeSymlink:
		return 'l'
	case TypeChar:
		return 'c'
	case TypeBlock:
		return 'b'
	case TypeFifo:
		return 'p'
	case TypeSocket:
		return 's'
	}
	return '?'
}
