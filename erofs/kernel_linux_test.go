package erofs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/tree"
)

// facts is what is known about a broken image: a text by path and kind of fact, refused where asking
// was answered with an error.
type facts map[fact]string

type fact struct{ path, kind string }

const refused = "\x00refused"

// say records a fact, or that it is refused.
func (f facts) say(path, kind string, err error, format string, args ...any) {
	f[fact{path, kind}] = fmt.Sprintf(format, args...)
	if err != nil {
		f[fact{path, kind}] = refused
	}
}

// bounds of a walk through a broken image, and of what is read of a file.
const (
	maxFacts = 20000
	maxLevel = 30
	maxBytes = 64 << 10
)

// kernelFacts asks the kernel about what is below dir.
func kernelFacts(f facts, dir, rel string, level int) {
	if level > maxLevel || len(f) > maxFacts {
		return
	}
	at := dir + rel
	var st unix.Stat_t
	if err := unix.Lstat(at, &st); err != nil {
		f.say(rel, "stat", err, "")
		return
	}
	f.say(rel, "stat", nil, "%o %d:%d %d.%d links %d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec, st.Nlink)
	kernelXattrs(f, at, rel)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		file, err := os.Open(at)
		if err != nil {
			f.say(rel, "data", err, "")
			return
		}
		defer file.Close()
		b, err := io.ReadAll(io.LimitReader(file, maxBytes))
		f.say(rel, "data", err, "%d %x", st.Size, sha256.Sum256(b))
	case unix.S_IFLNK:
		target, err := os.Readlink(at)
		f.say(rel, "target", err, "%q", target)
	case unix.S_IFCHR, unix.S_IFBLK:
		f.say(rel, "device", nil, "%#x", tree.Dev(unix.Major(st.Rdev), unix.Minor(st.Rdev)))
	case unix.S_IFDIR:
		file, err := os.Open(at)
		if err != nil {
			f.say(rel, "names", err, "")
			return
		}
		defer file.Close()
		names, err := file.Readdirnames(-1)
		slices.Sort(names)
		f.say(rel, "names", err, "%q", names)
		for _, name := range names {
			kernelFacts(f, dir, rel+"/"+name, level+1)
		}
	}
}

// kernelXattrs lists names, and values as far as the name filter, which may be broken, lets them through.
func kernelXattrs(f facts, at, rel string) {
	b := make([]byte, 64<<10)
	n, err := unix.Llistxattr(at, b)
	names := strings.Split(string(b[:max(n, 0)]), "\x00")
	slices.Sort(names)
	names = slices.Compact(names)
	f.say(rel, "xattrs", err, "%q", names[min(1, len(names)):])
	for _, name := range names {
		if n, err := unix.Lgetxattr(at, name, b); err == nil && name != "" {
			f.say(rel, "xattr "+name, nil, "%q", b[:n])
		}
	}
}

// ourFacts asks the image.
func ourFacts(f facts, im *Image, rel string, level int) {
	if level > maxLevel || len(f) > maxFacts {
		return
	}
	i, err := im.Lookup(rel)
	if err != nil {
		f.say(rel, "stat", err, "")
		return
	}
	f.say(rel, "stat", nil, "%o %d:%d %d.%d links %d", i.Mode, i.UID, i.GID, i.raw.Mtime, i.raw.Nsec, i.Nlink)
	xattrs, err := i.Xattrs()
	names := []string{}
	for _, x := range xattrs {
		names = append(names, x.Name)
		f.say(rel, "xattr "+x.Name, nil, "%q", x.Value)
	}
	f.say(rel, "xattrs", err, "%q", names)
	switch i.Mode & tree.TypeMask {
	case tree.TypeRegular:
		b := make([]byte, min(i.Size, maxBytes))
		if _, err = i.Content().ReadAt(b, 0); err == io.EOF {
			err = nil
		}
		f.say(rel, "data", err, "%d %x", i.Size, sha256.Sum256(b))
	case tree.TypeSymlink:
		target, err := i.ReadLink()
		f.say(rel, "target", err, "%q", target)
	case tree.TypeChar, tree.TypeBlock:
		f.say(rel, "device", nil, "%#x", i.Rdev)
	case tree.TypeDir:
		list, err := i.Entries()
		names := []string{}
		for _, e := range list {
			names = append(names, e.Name)
		}
		f.say(rel, "names", err, "%q", names)
		for _, name := range names {
			ourFacts(f, im, rel+"/"+name, level+1)
		}
	}
}

// We may be stricter than the kernel, never laxer, and never read something else.
func TestBrokenImagesReadAsTheKernelReadsThem(t *testing.T) {
	oracle.NeedRoot(t)
	rounds := 400
	if testing.Short() {
		rounds = 30
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		name := []string{"flat", "chunks", "wide"}[round%3]
		b := golden(t, name)
		b[disk.SuperOffset+8] &^= byte(disk.HasChecksum)
		data := dataOf(t, b)
		at := disk.SuperOffset + rng.IntN(len(b)-disk.SuperOffset)
		for data[at] || b[at] == 0 && rng.IntN(8) > 0 {
			at = disk.SuperOffset + rng.IntN(len(b)-disk.SuperOffset)
		}
		bit := rng.IntN(8)
		b[at] ^= 1 << bit
		t.Run(fmt.Sprintf("%s byte %d bit %d", name, at, bit), func(t *testing.T) { compareWithKernel(t, b) })
	}
}

func compareWithKernel(t *testing.T, b []byte) {
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	dir, kernelErr := oracle.TryMount(t, file)
	if errors.Is(kernelErr, unix.ENOTBLK) {
		oracle.Missing(t, "file-backed erofs mounts")
	}
	im, err := Open(bytes.NewReader(b))
	if err == nil && kernelErr != nil && im.img.BlockSize() <= int64(os.Getpagesize()) {
		t.Fatalf("opened, the kernel: %v", kernelErr)
	}
	if err != nil || kernelErr != nil {
		return
	}
	want, got := facts{}, facts{}
	kernelFacts(want, dir, "", 0)
	ourFacts(got, im, "", 0)
	for f, g := range got {
		w, ok := want[f]
		if !ok && strings.HasPrefix(f.kind, "xattr ") {
			continue // the name filter hides it
		}
		if g != refused && g != w {
			t.Errorf("%q: %s: %s, the kernel says %q", f.path, f.kind, g, w)
		}
	}
	for f := range want {
		if _, ok := got[f]; !ok && got[fact{f.path, "xattrs"}] != refused && got[fact{f.path, "stat"}] != refused && !hidden(got, f.path) {
			t.Errorf("%q: %s: only the kernel says something", f.path, f.kind)
		}
	}
}

// hidden tells whether a directory above the path was refused.
func hidden(f facts, p string) bool {
	for p != "" {
		if p = strings.TrimSuffix(path.Dir(p), "/"); f[fact{p, "names"}] == refused || f[fact{p, "stat"}] == refused {
			return true
		}
	}
	return false
}
