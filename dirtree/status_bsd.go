//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package dirtree

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/tree"
)

// statusOf sets the owner and the device number of n.
func statusOf(n *tree.Node, info fs.FileInfo) (st status) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return st
	}
	n.UID, n.GID = s.Uid, s.Gid
	if t := n.Type(); t == tree.TypeChar || t == tree.TypeBlock {
		n.Rdev = tree.Dev(unix.Major(uint64(s.Rdev)), unix.Minor(uint64(s.Rdev)))
	}
	return status{inode{uint64(s.Dev), uint64(s.Ino)}, uint64(s.Nlink)}
}
