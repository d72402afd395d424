//go:build linux

// Command decode compares the decoders with the C libraries that fsck.erofs uses: throughput on the pclusters of
// images that mkfs.erofs makes of a tar. Nothing but decoding is timed, in processor time: each side decodes all
// pclusters of an image from memory into one buffer, the sides take turns, and the best run of each counts.
//
//	go run ./test/bench/decode -tar .cache/corpus/base.tar -judges .cache/judges/bin
//
// It needs gcc and the Debian packages liblz4-dev, libzstd-dev, liblzma-dev, libdeflate-dev and zlib1g-dev.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/codec/deflate"
	"github.com/laminafs/lamina/internal/codec/lz4"
	"github.com/laminafs/lamina/internal/codec/microlzma"
	"github.com/laminafs/lamina/internal/codec/zstd"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/test/bench/figures"
)

type config struct {
	tar, judges, work, out, methods, profile string
	with                                     string
	rounds                                   int
	most                                     int64
}

func main() {
	var c config
	flag.StringVar(&c.tar, "tar", ".cache/corpus/base.tar", "what the images are made of")
	flag.StringVar(&c.judges, "judges", ".cache/judges/bin", "directory of mkfs.erofs")
	flag.StringVar(&c.work, "work", os.TempDir(), "directory for images; those that are there are used again")
	flag.StringVar(&c.out, "out", "bench-decode", "prefix of the result files, .md and .json")
	flag.StringVar(&c.methods, "methods", "lz4,lz4hc,deflate,zstd,lzma", "arguments of -z")
	flag.StringVar(&c.profile, "profile", "", "file for a processor profile of our side")
	flag.StringVar(&c.with, "with", "", "program and arguments that start the peer, such as a loader with the libraries of fsck.erofs")
	flag.IntVar(&c.rounds, "rounds", 5, "rounds of each comparison")
	flag.Int64Var(&c.most, "most", 64<<20, "bytes of content that are decoded of each image")
	flag.Parse()
	if err := c.bench(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// row is one comparison: MB of content for a second of processor time.
type row struct {
	Image, Library string
	Pclusters      int
	Content        int64
	Ours, Theirs   float64
}

func (c *config) bench() error {
	peer := filepath.Join(c.work, "peer")
	if err := run("gcc", "-O2", "-o", peer, "test/bench/decode/testdata/peer.c", "-llz4", "-lzstd", "-llzma", "-ldeflate", "-lz"); err != nil {
		return err
	}
	if c.profile != "" {
		f, err := os.Create(c.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	var rows []row
	for _, method := range strings.Split(c.methods, ",") {
		method = strings.ReplaceAll(method, ":", ",") // of a level
		for _, size := range []int{4096, 65536} {
			list, err := c.image(peer, method, size)
			if err != nil {
				return fmt.Errorf("%s, %d: %w", method, size, err)
			}
			rows = append(rows, list...)
		}
	}
	return figures.Write(c.out, table(c, rows), rows)
}

// image compares on one image.
func (c *config) image(peer, method string, size int) (rows []row, err error) {
	name := fmt.Sprintf("%s, %dK", method, size>>10)
	image := filepath.Join(c.work, fmt.Sprintf("decode-%s-%d.erofs", method, size))
	if _, err := os.Stat(image); err != nil {
		if err := run(filepath.Join(c.judges, "mkfs.erofs"), "--quiet", "--tar=f", "-z"+method, fmt.Sprint("-C", size), image, c.tar); err != nil {
			return nil, err
		}
	}
	s, err := readPclusters(image, c.most)
	if err != nil {
		return nil, err
	}
	records := filepath.Join(c.work, "records")
	if err := s.write(records); err != nil {
		return nil, err
	}
	for _, library := range libraries[s.algorithm] {
		r := row{Image: name, Library: library, Pclusters: len(s.list), Content: s.content}
		if err := c.duel(&r, s, peer, records); err != nil {
			return nil, fmt.Errorf("%s: %w", library, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %.0f MB/s, %s %.0f MB/s: %.2f\n", r.Image, r.Ours, library, r.Theirs, r.Ours/r.Theirs)
		rows = append(rows, r)
	}
	return rows, os.Remove(records)
}

// libraries are the peers of an algorithm.
var libraries = map[disk.Algorithm][]string{
	disk.LZ4: {"lz4"}, disk.LZMA: {"lzma"}, disk.Deflate: {"deflate", "zlib"}, disk.ZSTD: {"zstd"},
}

var decoders = map[disk.Algorithm]func(dst, src []byte) error{
	disk.LZ4:     lz4.Decode,
	disk.LZMA:    func(dst, src []byte) error { return microlzma.Decode(dst, src, microlzma.MaxDict) },
	disk.Deflate: deflate.Decode,
	disk.ZSTD:    func(dst, src []byte) error { return zstd.Decode(dst, src, zstd.MaxWindowLog) },
}

// duel lets both sides decode in turn.
func (c *config) duel(r *row, s *sample, peer, records string) error {
	args := append(strings.Fields(c.with), peer, records)
	cmd := exec.Command(args[0], args[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	for range c.rounds {
		var theirs time.Duration
		var sum uint32
		if _, err := fmt.Fprintln(in, r.Library, 1); err != nil {
			return err
		}
		if _, err := fmt.Fscanln(out, &theirs, &sum); err != nil {
			return err
		}
		ours, mine, err := s.decode()
		if err != nil {
			return err
		}
		if mine != sum {
			return fmt.Errorf("other content: checksum %d, the library has %d", mine, sum)
		}
		r.Ours = max(r.Ours, float64(s.content)/1e6/ours.Seconds())
		r.Theirs = max(r.Theirs, float64(s.content)/1e6/theirs.Seconds())
	}
	if err := in.Close(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		return err
	}
	return cmd.Wait()
}

// decode decodes all pclusters; the checksum is that of peer.c.
func (s *sample) decode() (cpu time.Duration, sum uint32, err error) {
	fn := decoders[s.algorithm]
	start, err := cpuTime()
	if err != nil {
		return 0, 0, err
	}
	for _, p := range s.list {
		dst := s.buf[:p.content]
		if err := fn(dst, p.src); err != nil {
			return 0, 0, err
		}
		sum = sum*31 + uint32(dst[len(dst)/2]) + uint32(dst[len(dst)-1])
	}
	end, err := cpuTime()
	return end - start, sum, err
}

func cpuTime() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err
}

// write makes the file of records that the peer reads.
func (s *sample) write(path string) error {
	var b []byte
	for _, p := range s.list {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.src)))
		b = binary.LittleEndian.AppendUint32(b, uint32(p.content))
		b = append(b, p.src...)
	}
	return os.WriteFile(path, b, 0o644)
}

func run(args ...string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %.300s", strings.Join(args, " "), err, out)
	}
	return nil
}

func table(c *config, rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s\n\n| image | pclusters | MB of content | library | ours, MB/s | theirs, MB/s | ours / theirs |\n|---|--:|--:|---|--:|--:|--:|\n", figures.Machine(c.work), filepath.Base(c.tar))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %.1f | %s | %.0f | %.0f | %.2f |\n", r.Image, r.Pclusters, float64(r.Content)/1e6, r.Library, r.Ours, r.Theirs, r.Ours/r.Theirs)
	}
	return b.String()
}
