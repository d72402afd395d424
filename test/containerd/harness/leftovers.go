//go:build linux

package harness

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// mountsBelow returns the mount points at or below dir, in the order of the mount table.
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var points []string
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 5 {
			continue
		}
		if p := unescape(fields[4]); p == dir || strings.HasPrefix(p, dir+"/") {
			points = append(points, p)
		}
	}
	return points, nil
}

// unescape undoes the octal escapes of /proc/self/mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// loopsBelow returns the loop devices whose backing file lies below dir.
func loopsBelow(dir string) []string {
	var loops []string
	files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.HasPrefix(string(b), dir+"/") {
			loops = append(loops, "/dev/"+strings.Split(f, "/")[3])
		}
	}
	return loops
}

// processesOf returns the processes whose command line names dir: daemons, and the shims that outlive them.
func processesOf(dir string) map[int]string {
	found := map[int]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range dirs {
		b, err := os.ReadFile(f)
		if err != nil || !bytes.Contains(b, []byte(dir)) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(f, "/")[2]); err == nil && pid != os.Getpid() {
			found[pid] = strings.TrimSpace(string(bytes.ReplaceAll(b, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// Mounts lists the mount points at or below dir.
func Mounts(dir string) []string {
	points, err := mountsBelow(dir)
	if err != nil {
		panic(err) // no /proc
	}
	return points
}

// Loops lists the loop devices whose backing file lies below dir.
func Loops(dir string) []string { return loopsBelow(dir) }

// Files lists what is below dir that is no directory, relative to dir; names for which skip is true are left out.
func Files(dir string, skip func(rel string) bool) []string {
	var files []string
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error { // a directory that vanishes has no files
		if err == nil && !d.IsDir() {
			if rel, e := filepath.Rel(dir, path); e == nil && (skip == nil || !skip(rel)) {
				files = append(files, rel)
			}
		}
		return nil
	})
	sort.Strings(files)
	return files
}

// StoreLeftovers lists what is left of images and snapshots in a store of lamina: files other than the database and the
// lock, directories of snapshots and blobs, mounts.
func StoreLeftovers(root string) []string {
	var left []string
	for _, f := range Files(root, func(rel string) bool { return rel == "lock" || strings.HasPrefix(rel, "metadata.db") }) {
		left = append(left, "file "+f)
	}
	for _, pattern := range []string{"snapshots/*", "staging/*", "m/*"} {
		names, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, n := range names {
			left = append(left, "entry "+strings.TrimPrefix(n, root+"/"))
		}
	}
	for _, m := range Mounts(root) {
		if m != root {
			left = append(left, "mount "+m)
		}
	}
	for _, l := range Loops(root) {
		left = append(left, "loop device "+l)
	}
	return left
}

// leftovers describes processes, mounts and loop devices that belong to dir.
func leftovers(dir string) []string {
	var left []string
	for pid, argv := range processesOf(dir) {
		left = append(left, fmt.Sprintf("process %d %.200s", pid, argv))
	}
	for _, m := range Mounts(dir) {
		left = append(left, "mount "+m)
	}
	for _, l := range Loops(dir) {
		left = append(left, "loop device "+l)
	}
	sort.Strings(left)
	return left
}
