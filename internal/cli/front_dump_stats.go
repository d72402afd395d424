package cli

import (
	"fmt"
	"iter"
	"math/bits"
	"path"
	"strings"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/disk"
)

// dumpStats is what dump.erofs -S counts.
type dumpStats struct {
	types      [disk.FileSymlink + 1]int64
	compressed int64
	size       int64
	stored     int64
	sizes      [17]int64 // of regular files: below 1 KiB, 2 KiB, ... 32 MiB, and the rest
	storedBy   [17]int64 // the same of their sizes on disk
	suffixes   [len(suffixes) + 1]int64
	seen       map[uint64]struct{} // inodes with several names
}

// suffixes are those that the original tells apart.
var suffixes = [...]string{".txt", ".so", ".xml", ".apk", ".odex", ".vdex", ".oat", ".rc", ".otf"}

func (s *dumpStats) add(name string, i *erofs.Inode) {
	if i.Nlink > 1 && !i.IsDir() {
		if _, again := s.seen[i.NID]; again {
			return
		}
		s.seen[i.NID] = struct{}{}
	}
	s.types[disk.FileTypeOf(i.Mode)]++
	if i.Layout == erofs.CompressedFull || i.Layout == erofs.CompressedCompact {
		s.compressed++
	}
	if !i.IsRegular() {
		return
	}
	s.size += i.Size
	s.stored += i.StoredSize()
	s.sizes[min(bits.Len64(uint64(i.Size)>>10), len(s.sizes)-1)]++
	s.storedBy[min(bits.Len64(uint64(i.StoredSize())>>10), len(s.sizes)-1)]++
	s.suffixes[suffixOf(name)]++
}

func suffixOf(name string) int {
	ext := path.Ext(name)
	for n, s := range suffixes {
		if s == ext {
			return n
		}
	}
	return len(suffixes)
}

// showStats is -S.
func (f *dumpFront) showStats(e *env) error {
	s := &dumpStats{seen: make(map[uint64]struct{})}
	root := f.im.Root()
	s.add("/", root)
	err := e.walk(f.im, root, "", true, func(_ *erofs.Inode, name string, i *erofs.Inode) error {
		s.add(name, i)
		return nil
	})
	if err != nil {
		return err
	}
	f.printStats(s)
	return nil
}

func (f *dumpFront) printStats(s *dumpStats) {
	var all int64
	for _, n := range s.types {
		all += n
	}
	fmt.Fprintf(f.out, "Filesystem total file count:\t\t%d\n", all)
	for _, t := range []struct {
		name string
		n    int64
	}{
		{"unknown type", s.types[0]}, {"regular file", s.types[disk.FileRegular]}, {"directory", s.types[disk.FileDir]},
		{"char dev", s.types[disk.FileChar]}, {"block dev", s.types[disk.FileBlock]}, {"FIFO file", s.types[disk.FileFifo]},
		{"SOCK file", s.types[disk.FileSocket]}, {"symlink file", s.types[disk.FileSymlink]},
	} {
		fmt.Fprintf(f.out, "Filesystem %s count:\t\t%d\n", t.name, t.n)
	}
	fmt.Fprintf(f.out, "Filesystem compressed files:            %d\n", s.compressed)
	fmt.Fprintf(f.out, "Filesystem uncompressed files:          %d\n", all-s.compressed)
	fmt.Fprintf(f.out, "Filesystem total original file size:    %d Bytes\n", s.size)
	fmt.Fprintf(f.out, "Filesystem total file size:             %d Bytes\n", s.stored)
	fmt.Fprintf(f.out, "Filesystem compress rate:               %.2f%%\n", percent(s.stored, s.size))
	for title, sizes := range titled(s) {
		fmt.Fprintf(f.out, "\n%s file size distribution:\n", title)
		fmt.Fprintf(f.out, ">=(KB) .. <(KB)   %10s %16s |%-50s|\n", "count", "ratio", "distribution")
		for n, count := range sizes {
			low := 1 << n >> 1
			label := fmt.Sprintf("%6d .. %-6d", low, 1<<n)
			if n == len(sizes)-1 {
				label = fmt.Sprintf("%6d ..       ", low)
			}
			f.bar(label, count, s.types[disk.FileRegular])
		}
	}
	fmt.Fprintf(f.out, "\nFile type distribution:\n%-17s %10s %16s |%-50s|\n", "type", "count", "ratio", "distribution")
	for n, count := range s.suffixes {
		label := "others"
		if n < len(suffixes) {
			label = suffixes[n]
		}
		f.bar(fmt.Sprintf("%-17s", label), count, s.types[disk.FileRegular])
	}
}

// titled yields the two distributions of sizes.
func titled(s *dumpStats) iter.Seq2[string, [17]int64] {
	return func(yield func(string, [17]int64) bool) {
		_ = yield("Original", s.sizes) && yield("On-disk", s.storedBy)
	}
}

func (f *dumpFront) bar(label string, n, all int64) {
	ratio := 0.0
	if all > 0 {
		ratio = float64(n) / float64(all)
	}
	fmt.Fprintf(f.out, "%s\t%-8d %11.2f%% |%-50s|\n", label, n, 100*ratio, strings.Repeat("#", int(ratio*50)))
}
