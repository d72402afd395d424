package lz4

import (
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// perSecond reports MB/s of CPU time of the fastest run: other processes have less influence on it than on the time
// that passes.
func perSecond(b *testing.B, bytes int, run func()) {
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		start := cpuTime(b)
		run()
		best = min(best, cpuTime(b)-start)
	}
	b.ReportMetric(float64(bytes)/1e6/best.Seconds(), "MB/cpu-s")
	b.ReportMetric(0, "ns/op")
}

func cpuTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkFitDst encodes the first 32 MiB of the file that LAMINA_BENCH_FILE names into pclusters, and decodes them.
func BenchmarkFitDst(b *testing.B) {
	file := os.Getenv("LAMINA_BENCH_FILE")
	if file == "" {
		b.Skip("LAMINA_BENCH_FILE names no file")
	}
	src, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	src = src[:min(len(src), 32<<20)]
	options := []Options{{}}
	for level := 1; level <= MaxLevel; level++ {
		options = append(options, Options{HC: true, Level: level})
	}
	for _, o := range options {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("hc=%t/level=%d/out=%dK", o.HC, o.Level, size>>10), func(b *testing.B) {
				benchmarkFitDst(b, o, size, src)
			})
		}
	}
}

func benchmarkFitDst(b *testing.B, o Options, size int, src []byte) {
	e, err := NewEncoder(o)
	if err != nil {
		b.Fatal(err)
	}
	type pcluster struct {
		data []byte
		size int
	}
	var all []pcluster
	total, compressed := 0, 0
	space := make([]byte, len(src)+size)
	b.Run("encode", func(b *testing.B) {
		perSecond(b, len(src), func() {
			all, total, compressed = all[:0], 0, 0
			for p := 0; p < len(src); {
				n, consumed := e.FitDst(space[total:][:size:size], src[p:min(len(src), p+4<<20)])
				if consumed > 0 {
					all = append(all, pcluster{space[total:][:n:n], consumed})
					compressed += consumed
				} else { // stored
					n = min(size, len(src)-p)
					consumed = n
				}
				total += n
				p += consumed
			}
		})
		b.ReportMetric(float64(len(src))/float64(total), "ratio")
	})
	b.Run("decode", func(b *testing.B) {
		dst := make([]byte, 4<<20)
		perSecond(b, compressed, func() {
			for _, p := range all {
				if err := Decode(dst[:p.size], p.data); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
