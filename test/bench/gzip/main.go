//go:build linux

// Command gzip compares decoders of gzip by the CPU time that they take: ours, those of klauspost/compress and of the
// standard library, and igzip's, from libisal, called by igzip/igzip.c. All decode from memory into a buffer of 256 KiB and
// verify checksums.
//
// The data are the beginnings of the corpora as several encoders compress them. Decoders are processes of their own that
// run in turns; what counts is the shortest CPU time of a pass.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/laminafs/lamina/test/bench/figures"
)

// bench is what the flags say.
type bench struct {
	corpus, work, out, igzip string
	mib, zopfliMiB           int
	rounds, passes           int
}

// row is what was measured of one file.
type row struct {
	Corpus, Encoder string
	Size, Packed    int64
	Nanoseconds     map[string]int64 // the shortest CPU time of a pass, by decoder
}

func main() {
	var b bench
	var decoder string
	flag.StringVar(&b.corpus, "corpus", "", "directory with NAME.tar of every corpus")
	flag.StringVar(&b.work, "work", "", "directory for the encodings, which are kept")
	flag.StringVar(&b.out, "out", "", "prefix of the files for the results")
	flag.StringVar(&b.igzip, "igzip", "", "igzip.c, compiled; empty: without igzip")
	flag.IntVar(&b.mib, "mib", 64, "how much of a corpus is used")
	flag.IntVar(&b.zopfliMiB, "zopfli", 3, "how much of a corpus zopfli gets")
	flag.IntVar(&b.rounds, "rounds", 5, "processes of each decoder and file")
	flag.IntVar(&b.passes, "passes", 3, "passes of each process")
	flag.StringVar(&decoder, "decode", "", "only decode the file of the argument with this decoder, and print nanoseconds and length")
	flag.Parse()
	var err error
	if decoder != "" {
		err = decodeFile(decoder, flag.Arg(0), b.passes)
	} else {
		err = b.run(flag.Args())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: gzip: %v\n", err)
		os.Exit(1)
	}
}

// run measures all corpora, or those that are named.
func (b *bench) run(names []string) error {
	if len(names) == 0 {
		names = []string{"base", "ai", "python", "node", "golang"}
	}
	if err := os.MkdirAll(b.work, 0o755); err != nil {
		return err
	}
	var rows []row
	for _, name := range names {
		for _, e := range encoders {
			path, size, err := b.encode(name, e)
			if err != nil {
				return fmt.Errorf("%s by %s: %w", name, e.name, err)
			}
			r := row{Corpus: name, Encoder: e.name, Size: size, Nanoseconds: map[string]int64{}}
			if err := b.measure(path, &r); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			rows = append(rows, r)
			fmt.Fprintln(os.Stderr, line(r))
		}
	}
	return figures.Write(b.out, table(rows, figures.Machine(b.work)), rows)
}

// measure runs every decoder in turns.
func (b *bench) measure(path string, r *row) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	r.Packed = st.Size()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	passes := strconv.Itoa(b.passes * max(1, int(32<<20/r.Size))) // small files more often
	for range b.rounds {
		for _, d := range b.decoders() {
			cmd := exec.Command(self, "-passes", passes, "-decode", d, path)
			if d == "igzip" {
				cmd = exec.Command(b.igzip, passes, path)
			}
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("%s: %w", d, err)
			}
			var ns, size int64
			if _, err := fmt.Sscan(string(out), &ns, &size); err != nil || size != r.Size {
				return fmt.Errorf("%s: %q: not the time for %d bytes", d, out, r.Size)
			}
			if best := r.Nanoseconds[d]; best == 0 || ns < best {
				r.Nanoseconds[d] = ns
			}
		}
	}
	return nil
}

func (b *bench) decoders() []string {
	if b.igzip == "" {
		return decoders[:3]
	}
	return decoders
}

var decoders = []string{"lamina", "klauspost", "standard", "igzip"}

// speed is in MB of output for each second of CPU time.
func speed(r row, decoder string) float64 {
	return float64(r.Size) * 1e3 / float64(r.Nanoseconds[decoder])
}

func line(r row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s | %.2f |", r.Corpus, r.Encoder, float64(r.Size)/float64(r.Packed))
	for _, d := range decoders {
		if r.Nanoseconds[d] == 0 {
			b.WriteString(" - |")
			continue
		}
		fmt.Fprintf(&b, " %.0f |", speed(r, d))
	}
	for _, d := range decoders[1:] {
		if r.Nanoseconds[d] == 0 {
			b.WriteString(" - |")
			continue
		}
		fmt.Fprintf(&b, " %.2f |", speed(r, "lamina")/speed(r, d))
	}
	return b.String()
}

func table(rows []row, machine string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "MB of output for each second of CPU, and our speed as a multiple of theirs. %s\n\n", machine)
	b.WriteString("| corpus | encoder | ratio | lamina | klauspost | standard | igzip | of klauspost | of standard | of igzip |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		b.WriteString(line(r) + "\n")
	}
	b.WriteString("\n| our speed as a multiple | median | least | most |\n|---|---|---|---|\n")
	for _, d := range decoders[1:] {
		var v []float64
		for _, r := range rows {
			if r.Nanoseconds[d] != 0 {
				v = append(v, speed(r, "lamina")/speed(r, d))
			}
		}
		if len(v) > 0 {
			fmt.Fprintf(&b, "| of %s | %.2f | %.2f | %.2f |\n", d, figures.Median(v), slices.Min(v), slices.Max(v))
		}
	}
	return b.String()
}

// encoded is where an encoding is kept.
func (b *bench) encoded(corpus, encoder string, mib int) string {
	return filepath.Join(b.work, fmt.Sprintf("%s-%s-%d.gz", corpus, encoder, mib))
}
