//go:build linux

// Command compress compares compressed images with those of mkfs.erofs, in one run on one machine: size, processor time
// to make them, processor time to decode them, wall time, and with the best that others can do.
//
// Both sides get the same arguments of mkfs.erofs and the same tar. They take turns, the order changes every round,
// and what counts is the median of the ratios within a round. Ratios are ours divided by theirs: below 1 we are
// smaller or faster. Processor time is user and system of the process and hardly depends on what else runs.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/laminafs/lamina/test/bench/figures"
)

type config struct {
	corpus, corpora, work, out  string
	lamina, judges, mksquashfs  string
	methods, pclusters          string
	rounds                      int
	sizes, speed, best, reading bool
	wall                        bool
}

func main() {
	var c config
	flag.StringVar(&c.corpus, "corpus", "", "directory of NAME.tar")
	flag.StringVar(&c.corpora, "corpora", "base,golang,node", "corpora to run")
	flag.StringVar(&c.work, "work", os.TempDir(), "directory for images: a real disk")
	flag.StringVar(&c.out, "out", "bench-compress", "prefix of the result files, .md and .json")
	flag.StringVar(&c.lamina, "lamina", "bin/lamina", "the program to judge")
	flag.StringVar(&c.judges, "judges", "", "directory of mkfs.erofs and fsck.erofs 1.9; empty: PATH")
	flag.StringVar(&c.mksquashfs, "mksquashfs", "mksquashfs", "the program of squashfs-tools")
	flag.StringVar(&c.methods, "methods", "lz4,lz4hc,deflate,zstd,lzma", "algorithms that are timed, at their default levels")
	flag.StringVar(&c.pclusters, "pclusters", "4096,65536", "pcluster sizes of these")
	flag.IntVar(&c.rounds, "rounds", 3, "rounds of what is timed")
	flag.BoolVar(&c.sizes, "sizes", true, "sizes by algorithm, level and features")
	flag.BoolVar(&c.speed, "speed", true, "time to compress at default levels")
	flag.BoolVar(&c.wall, "wall", true, "report wall times too: on a quiet machine only")
	flag.BoolVar(&c.reading, "reading", true, "time to decode, random reads (root)")
	flag.BoolVar(&c.best, "best", true, "the smallest images of everybody")
	flag.Parse()
	if err := c.bench(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// report is everything that was measured.
type report struct {
	Machine string `json:"machine"`
	Sizes   []*row `json:"sizes,omitempty"`
	Speed   []*row `json:"speed,omitempty"`
	Decode  []*row `json:"decode,omitempty"`
	Random  []*row `json:"random,omitempty"`
	Best    []*row `json:"best,omitempty"`
}

// row is one comparison on one corpus; runs of the sides in the order of the rounds.
type row struct {
	Corpus string           `json:"corpus"`
	What   string           `json:"what"`
	Runs   map[string][]run `json:"runs"` // by side
}

const ours, theirs = "lamina", "mkfs.erofs"

func (c *config) bench() (err error) {
	if c.judges != "" {
		if c.judges, err = filepath.Abs(c.judges); err != nil {
			return err
		}
	}
	if c.lamina, err = filepath.Abs(c.lamina); err != nil {
		return err
	}
	work, err := os.MkdirTemp(c.work, "lamina-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // what is left is in a directory for it
	c.work = work
	r := &report{Machine: figures.Machine(work)}
	for _, name := range strings.Split(c.corpora, ",") {
		tar, err := filepath.Abs(filepath.Join(c.corpus, name+".tar"))
		if err != nil {
			return err
		}
		if err := c.one(r, name, tar); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return figures.Write(c.out, r.tables(c), r)
}

// one measures a corpus.
func (c *config) one(r *report, name, tar string) error {
	parts := []struct {
		on   bool
		into *[]*row
		fn   func(name, tar string) ([]*row, error)
	}{{c.sizes, &r.Sizes, c.sizesOf}, {c.speed, &r.Speed, c.speedOf}, {c.reading, &r.Decode, c.decodeOf}, {c.reading, &r.Random, c.randomOf}, {c.best, &r.Best, c.bestOf}}
	for _, p := range parts {
		if !p.on {
			continue
		}
		rows, err := p.fn(name, tar)
		if err != nil {
			return err
		}
		*p.into = append(*p.into, rows...)
	}
	return nil
}

// kinds are the images whose sizes are compared.
var kinds = []string{
	"-zlz4", "-zlz4hc", "-zlz4hc,12", "-zdeflate", "-zdeflate,9", "-zzstd", "-zzstd,15", "-zlzma",
	"-zlz4 -C65536", "-zlz4hc,12 -C65536", "-zdeflate,9 -C65536", "-zzstd -C65536", "-zzstd,15 -C65536", "-zzstd,19 -C65536", "-zlzma,6 -C65536",
	"-zlz4hc -C16384 -Eztailpacking", "-zlz4hc -C16384 -Efragments", "-zlz4hc -C16384 -Ededupe",
	"-zzstd -C65536 -Eztailpacking", "-zzstd -C65536 -Efragments", "-zzstd -C65536 -Eall-fragments", "-zzstd -C65536 -E48bit", "-zzstd -C65536 -Eztailpacking,fragments,dedupe",
}

func (c *config) sizesOf(name, tar string) (rows []*row, err error) {
	for _, k := range kinds {
		w, err := c.duel(name, k, tar, 1)
		if err != nil {
			return nil, err
		}
		rows = append(rows, w)
		w.progress()
	}
	return rows, nil
}

func (c *config) speedOf(name, tar string) (rows []*row, err error) {
	for _, a := range strings.Split(c.methods, ",") {
		for _, size := range strings.Split(c.pclusters, ",") {
			w, err := c.duel(name, fmt.Sprintf("-z%s -C%s --workers=2", a, size), tar, c.rounds)
			if err != nil {
				return nil, err
			}
			rows = append(rows, w)
			w.progress()
		}
	}
	return rows, nil
}

// duel makes images with the same arguments on both sides.
func (c *config) duel(name, args, tar string, rounds int) (*row, error) {
	w := &row{Corpus: name, What: args, Runs: map[string][]run{}}
	image := filepath.Join(c.work, "image")
	sides := []side{
		{ours, append(append([]string{c.lamina, "mkfs.erofs", "--quiet", "--tar=f"}, strings.Fields(args)...), image, tar)},
		{theirs, append(append([]string{c.judge("mkfs.erofs"), "--quiet", "--tar=f"}, strings.Fields(args)...), image, tar)},
	}
	return w, w.measure(sides, image, rounds)
}

func (c *config) judge(tool string) string { return filepath.Join(c.judges, tool) }

// bestOf makes the smallest images that everybody can. squashfs packs a directory, so the tar is unpacked for it.
func (c *config) bestOf(name, tar string) ([]*row, error) {
	w := &row{Corpus: name, What: "smallest", Runs: map[string][]run{}}
	image, dir := filepath.Join(c.work, "image"), filepath.Join(c.work, "dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // bench removes the directory around it
	if _, err := start([]string{"tar", "-C", dir, "-xf", tar}); err != nil {
		return nil, err
	}
	sides := []side{
		{"lamina --preset max", []string{c.lamina, "build", "-q", "--preset", "max", "-o", image, tar}},
		{"mkfs.erofs -zlzma,109 -C1M all-fragments,dedupe", []string{c.judge("mkfs.erofs"), "--quiet", "-zlzma,109", "-C1048576", "-Eall-fragments,dedupe", image, dir}},
		{"mksquashfs zstd 22", []string{c.mksquashfs, dir, image, "-quiet", "-no-progress", "-comp", "zstd", "-Xcompression-level", "22", "-processors", "2"}},
		{"mksquashfs zstd 22 -b 1M", []string{c.mksquashfs, dir, image, "-quiet", "-no-progress", "-comp", "zstd", "-Xcompression-level", "22", "-b", "1M", "-processors", "2"}},
		{"mkfs.erofs -zzstd,22 -C1M all-fragments", []string{c.judge("mkfs.erofs"), "--quiet", "-zzstd,22", "-C1048576", "-Eall-fragments", image, dir}},
		{"lamina -zzstd,22 -C1M all-fragments", []string{c.lamina, "mkfs.erofs", "--quiet", "-zzstd,22", "-C1048576", "-Eall-fragments", image, dir}},
	}
	err := w.measure(sides, image, 1)
	w.progress()
	return []*row{w}, err
}
