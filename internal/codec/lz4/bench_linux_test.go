package lz4

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const benchBytes = 32 << 20

// BenchmarkPeer encodes the first 32 MiB of the file that LAMINA_BENCH_FILE names into blocks of 4K, 64K and 1M, and
// decodes them, in turn with liblz4:
//
//	LAMINA_BENCH_FILE=base.tar go test -run '^$' -bench 'Peer/(fast|hc9)/' -benchtime 10x ./internal/codec/lz4
//
// It reports the fastest run of each, in MB of content per second of CPU, and how many times the speed, and the ratio, of
// liblz4 that is. Here every block is one of LZ4: what does not pay counts as it would be stored.
func BenchmarkPeer(b *testing.B) {
	file := os.Getenv("LAMINA_BENCH_FILE")
	if file == "" {
		b.Skip("LAMINA_BENCH_FILE names no file")
	}
	src, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	src = src[:min(len(src), benchBytes)]
	program := needPeer(b)
	for level := -1; level <= MaxLevel; level++ {
		name := fmt.Sprintf("hc%d", level)
		if level < 0 {
			name = "fast"
		}
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dK", name, size>>10), func(b *testing.B) {
				p := startPeer(b, program, file, level, size)
				o := newOurs(b, src, level, size)
				theirs, ours := slowest, slowest
				for b.Loop() {
					theirs = theirs.best(p.run(b))
					ours = ours.best(o.run(b))
				}
				report(b, len(src), ours, theirs)
			})
		}
	}
}

// figures are of one run, or the best of some.
type figures struct {
	encode, decode time.Duration
	bytes          int // of all blocks
}

var slowest = figures{encode: math.MaxInt64, decode: math.MaxInt64}

func (f figures) best(g figures) figures {
	return figures{min(f.encode, g.encode), min(f.decode, g.decode), g.bytes}
}

func report(b *testing.B, size int, ours, theirs figures) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(size)/float64(ours.bytes), "ratio")
	b.ReportMetric(float64(theirs.bytes)/float64(ours.bytes), "x-ratio")
	b.ReportMetric(float64(size)/1e6/ours.encode.Seconds(), "enc-MB/s")
	b.ReportMetric(float64(theirs.encode)/float64(ours.encode), "x-enc")
	b.ReportMetric(float64(size)/1e6/ours.decode.Seconds(), "dec-MB/s")
	b.ReportMetric(float64(theirs.decode)/float64(ours.decode), "x-dec")
}

// peer is liblz4 in a process of its own, which waits while it is not asked.
type peer struct {
	in          io.Writer
	out         io.Reader
	level, size int
}

func startPeer(b *testing.B, program, file string, level, size int) *peer {
	cmd := exec.Command(program, "bench", file, fmt.Sprint(benchBytes))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &peer{in, out, level, size}
}

func (p *peer) run(b *testing.B) (f figures) {
	if _, err := fmt.Fprintln(p.in, p.level, p.size); err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Fscanln(p.out, &f.encode, &f.decode, &f.bytes); err != nil {
		b.Fatal(err)
	}
	return f
}

// ours is this package, doing the same.
type ours struct {
	*Encoder
	src, space, back []byte
	size             int
	blocks           [][2]int // bytes, content; no content: stored
}

func newOurs(b *testing.B, src []byte, level, size int) *ours {
	e := newEncoder(b, Options{HC: level >= 0, Level: max(level, 0)})
	return &ours{Encoder: e, src: src, space: make([]byte, 2*len(src)+size), back: make([]byte, 4<<20), size: size}
}

func (o *ours) run(b *testing.B) (f figures) {
	start := cpuTime(b)
	o.blocks = o.blocks[:0]
	for pos := 0; pos < len(o.src); {
		n, consumed := o.FitDst(o.space[f.bytes:][:o.size], o.src[pos:min(len(o.src), pos+4<<20)])
		o.blocks = append(o.blocks, [2]int{n, consumed})
		if consumed == 0 {
			n = copy(o.space[f.bytes:], o.src[pos:min(len(o.src), pos+o.size)])
			consumed = n
			o.blocks[len(o.blocks)-1][0] = n
		}
		f.bytes += n
		pos += consumed
	}
	f.encode = cpuTime(b) - start
	start = cpuTime(b)
	at := 0
	for _, k := range o.blocks {
		if block := o.space[at : at+k[0]]; k[1] == 0 {
			copy(o.back, block)
		} else if err := Decode(o.back[:k[1]], block); err != nil {
			b.Fatal(err)
		}
		at += k[0]
	}
	f.decode = cpuTime(b) - start
	return f
}

func cpuTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
