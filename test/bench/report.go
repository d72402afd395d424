//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/laminafs/lamina/test/bench/figures"
)

type report struct {
	Machine string   `json:"machine"`
	Groups  []*group `json:"groups"`
	Reads   []read   `json:"reads"`
}

// write puts the tables into PREFIX.md, and onto stdout, and every single run into PREFIX.json.
func (r *report) write(prefix string) error {
	var md strings.Builder
	fmt.Fprintf(&md, "# Benchmark\n\n%s\n\nMedians; ratios are medians of the ratios within a round, ours divided by theirs: below 1 we are faster or smaller.\n", r.Machine)
	fmt.Fprint(&md, "CPU is user + system of all processes; RSS is the peak, summed over the processes of a pipeline.\n\n## Conversion\n\n")
	for _, g := range r.Groups {
		g.print(&md)
		fmt.Fprintln(&md)
	}
	r.summary(&md)
	printReads(&md, r.Reads)
	return figures.Write(prefix, md.String(), r)
}

func (g *group) print(w io.Writer) {
	fmt.Fprintf(w, "### %s, %s (%.1f MiB in)\n\n", g.Corpus, g.Form, float64(g.InputBytes)/(1<<20))
	fmt.Fprintln(w, "| | wall s | CPU s | RSS MiB | size MiB | wall: ours / this | CPU: ours / this |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|")
	for _, c := range g.Contenders {
		fmt.Fprintf(w, "| %s | %.3f | %.3f | %.0f | %.1f | %.2f | %.2f |\n", c.Name,
			c.median(func(r *run) float64 { return r.Wall }), c.median((*run).cpu), c.median((*run).peak)/(1<<20),
			c.median(func(r *run) float64 { return float64(r.Size) })/(1<<20),
			g.ratio(c, func(r *run) float64 { return r.Wall }), g.ratio(c, (*run).cpu))
	}
}

// ratio is the median over the rounds of our value divided by theirs.
func (g *group) ratio(c *contender, value func(*run) float64) float64 {
	var v []float64
	for i := range c.Runs {
		if d := value(&c.Runs[i]); d > 0 {
			v = append(v, value(&g.Contenders[0].Runs[i])/d)
		}
	}
	return figures.Median(v)
}

func (c *contender) median(value func(*run) float64) float64 {
	var v []float64
	for i := range c.Runs {
		v = append(v, value(&c.Runs[i]))
	}
	return figures.Median(v)
}

// summary has one line per form: the ratios over the corpora.
func (r *report) summary(w io.Writer) {
	fmt.Fprint(w, "## Ratios\n\nWall time of ours divided by theirs, per corpus and as the median over the corpora.\n\n| input | against |")
	var corpora []string
	for _, g := range r.Groups {
		if !slices.Contains(corpora, g.Corpus) {
			corpora = append(corpora, g.Corpus)
		}
	}
	fmt.Fprintf(w, " %s | median |\n|---|---|%s--:|\n", strings.Join(corpora, " | "), strings.Repeat("--:|", len(corpora)))
	done := map[string]bool{}
	for _, g := range r.Groups {
		for _, c := range g.Contenders[1:] {
			if key := g.Form + c.Name; !done[key] {
				done[key] = true
				r.summaryLine(w, g.Form, c.Name, corpora)
			}
		}
	}
	fmt.Fprintln(w)
}

func (r *report) summaryLine(w io.Writer, form, name string, corpora []string) {
	fmt.Fprintf(w, "| %s | %s |", form, name)
	var all []float64
	for _, corpus := range corpora {
		cell := " "
		for _, g := range r.Groups {
			for _, c := range g.Contenders {
				if g.Corpus == corpus && g.Form == form && c.Name == name {
					v := g.ratio(c, func(r *run) float64 { return r.Wall })
					all = append(all, v)
					cell = fmt.Sprintf(" %.2f ", v)
				}
			}
		}
		fmt.Fprint(w, cell, "|")
	}
	fmt.Fprintf(w, " %.2f |\n", figures.Median(all))
}
