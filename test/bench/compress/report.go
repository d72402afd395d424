//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/laminafs/lamina/test/bench/figures"
)

func size(r *run) float64 { return float64(r.Size) }
func cpu(r *run) float64  { return r.CPU }
func wall(r *run) float64 { return r.Wall }

// median is that of a side over the rounds, 0 if it failed.
func (w *row) median(side string, value func(*run) float64) float64 {
	var v []float64
	for i := range w.Runs[side] {
		if w.Runs[side][i].Failed == "" {
			v = append(v, value(&w.Runs[side][i]))
		}
	}
	return figures.Median(v)
}

// ratio is the median over the rounds of a divided by b, 0 if one failed.
func (w *row) ratio(a, b string, value func(*run) float64) float64 {
	var v []float64
	for i := range min(len(w.Runs[a]), len(w.Runs[b])) {
		x, y := &w.Runs[a][i], &w.Runs[b][i]
		if x.Failed == "" && y.Failed == "" && value(y) > 0 {
			v = append(v, value(x)/value(y))
		}
	}
	return figures.Median(v)
}

// progress is a line on stderr.
func (w *row) progress() {
	fmt.Fprintf(os.Stderr, "%s %s:", w.Corpus, w.What)
	for _, s := range w.sides() {
		fmt.Fprintf(os.Stderr, " %s %.0f B %.2f s CPU;", s, w.median(s, size), w.median(s, cpu))
	}
	peer := theirs
	if len(w.Runs[theirs]) == 0 {
		peer = "fsck.erofs"
	}
	fmt.Fprintf(os.Stderr, " size %.3f CPU %.2f\n", w.ratio(ours, peer, size), w.ratio(ours, peer, cpu))
}

func (w *row) sides() (names []string) {
	for s := range w.Runs {
		names = append(names, s)
	}
	slices.Sort(names)
	return names
}

func (r *report) tables(c *config) string {
	var md strings.Builder
	fmt.Fprintf(&md, "# Compression\n\n%s\n\nOurs divided by theirs: below 1 we are smaller or faster. CPU is user + system.\n\n", r.Machine)
	table(&md, "Size", r.Sizes, ours, theirs, size)
	table(&md, "CPU time to compress, --workers=2", r.Speed, ours, theirs, cpu)
	table(&md, "Size of these", r.Speed, ours, theirs, size)
	if c.wall {
		table(&md, "Wall time to compress, --workers=2", r.Speed, ours, theirs, wall)
	}
	table(&md, "CPU time to check and decode all files", r.Decode, ours, "fsck.erofs", cpu)
	table(&md, "CPU time of a random read of 4 KiB", r.Random, ours, "kernel", cpu)
	table(&md, "CPU time of a random read of 4 KiB, equal memory", r.Random, equal, "kernel", cpu)
	for _, w := range r.Best {
		fmt.Fprintf(&md, "## Smallest images, %s\n\n| | MiB | CPU s | RSS MiB |\n|---|--:|--:|--:|\n", w.Corpus)
		for _, s := range w.sides() {
			fmt.Fprintf(&md, "| %s | %.2f | %.1f | %.0f |\n", s, w.median(s, size)/(1<<20), w.median(s, cpu), w.median(s, func(r *run) float64 { return float64(r.RSS) })/(1<<20))
		}
		fmt.Fprintln(&md)
	}
	return md.String()
}

// table has a line for each comparison and a column for each corpus.
func table(w io.Writer, title string, rows []*row, a, b string, value func(*run) float64) {
	if len(rows) == 0 {
		return
	}
	var corpora, whats []string
	cells := map[string]float64{}
	for _, r := range rows {
		if !slices.Contains(corpora, r.Corpus) {
			corpora = append(corpora, r.Corpus)
		}
		if !slices.Contains(whats, r.What) {
			whats = append(whats, r.What)
		}
		cells[r.Corpus+" "+r.What] = r.ratio(a, b, value)
	}
	fmt.Fprintf(w, "## %s\n\n| | %s | median |\n|---|%s--:|\n", title, strings.Join(corpora, " | "), strings.Repeat("--:|", len(corpora)))
	for _, what := range whats {
		fmt.Fprintf(w, "| `%s` |", what)
		var all []float64
		for _, c := range corpora {
			v := cells[c+" "+what]
			if v == 0 {
				fmt.Fprint(w, " – |") // one side failed
				continue
			}
			all = append(all, v)
			fmt.Fprintf(w, " %.3f |", v)
		}
		fmt.Fprintf(w, " %.3f |\n", figures.Median(all))
	}
	fmt.Fprintln(w)
}
