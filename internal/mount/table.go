package mount

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
)

// Entry is a line of the mount table (proc_pid_mountinfo(5)), unescaped.
type Entry struct {
	ID      int    // id of the mount; the kernel uses it again when the mount is gone
	Parent  int    // id of the mount that it lies on
	Dev     string // "major:minor" of the file system
	Root    string // the directory of the file system that is mounted
	Target  string // where
	Options string // of the mount: "ro,nosuid"
	FSType  string // "erofs", "overlay"
	Source  string // the image file, the loop device, a word
	Super   string // options of the file system: "ro,lowerdir=/a:/b"
}

const (
	maxTable = 256 << 20 // bytes of the table; a namespace has 100,000 mounts at most (fs.mount-max)
	maxLine  = 4 << 20   // bytes of a line: an overlay shows the paths of its layers, MaxLayers of them, escaped
)

// readTable returns the entries at prefix and below it; prefix is clean, "/" for all.
func readTable(r io.Reader, prefix string) ([]Entry, error) {
	limited := &io.LimitedReader{R: r, N: maxTable}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var table []Entry
	for lines.Scan() {
		e, err := parseEntry(lines.Text(), prefix)
		if err != nil {
			return nil, err
		}
		if e != nil {
			table = append(table, *e)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("mount: table: %w", err)
	}
	if limited.N == 0 {
		return nil, fmt.Errorf("mount: table: more than %d bytes", maxTable)
	}
	return table, nil
}

// parseEntry reads a line (proc_pid_mountinfo(5)); nil if its target is not at or below prefix. The fields before " - "
// end with any number of optional ones.
func parseEntry(line, prefix string) (*Entry, error) {
	before, after, ok := strings.Cut(line, " - ")
	f, g := strings.Split(before, " "), strings.SplitN(after, " ", 3)
	if !ok || len(f) < 6 || len(g) != 3 {
		return nil, fmt.Errorf("mount: table: %q: not a line of mountinfo", line)
	}
	e := &Entry{Target: unescape(f[4])}
	if !below(e.Target, prefix) {
		return nil, nil
	}
	var err error
	if e.ID, err = strconv.Atoi(f[0]); err == nil {
		e.Parent, err = strconv.Atoi(f[1])
	}
	if err != nil {
		return nil, fmt.Errorf("mount: table: %q: %w", line, err)
	}
	e.Dev, e.Root, e.Options = f[2], unescape(f[3]), f[5]
	e.FSType, e.Source, e.Super = unescape(g[0]), unescape(g[1]), unescape(g[2])
	return e, nil
}

func below(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// tablePrefix makes a path comparable with the targets of the table.
func tablePrefix(path string) (string, error) {
	if path == "" {
		return "/", nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("mount: table: %w", err)
	}
	return abs, nil
}

// unescape replaces \ooo, which the kernel writes for space, tab, newline, backslash and '#' (mangle, lib/seq_file.c).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
