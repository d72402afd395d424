//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/laminafs/lamina/test/bench/figures"
	"github.com/laminafs/lamina/test/containerd/harness"
)

type report struct {
	Machine  string    `json:"machine"`
	Rounds   int       `json:"rounds"`
	Pulls    []*group  `json:"pulls"`
	Starts   []*start  `json:"starts"`
	Memories []*memory `json:"memories"`
}

// write puts the tables into PREFIX.md and onto stdout, and every sample into PREFIX.json.
func (r *report) write(prefix string) error {
	var md strings.Builder
	fmt.Fprintf(&md, "# Pull, start, memory\n\n%s\n\nMedians of %d rounds; ratios are medians of the ratios within a round, ours divided by theirs.\n", r.Machine, r.Rounds)
	fmt.Fprint(&md, "`on disk` is the time until sync(2) after the pull has written the rest: ours is durable before. RSS is the peak of the daemon that unpacks.\n\n")
	for _, g := range r.Pulls {
		g.print(&md)
	}
	r.printStarts(&md)
	r.printMemories(&md)
	return figures.Write(prefix, md.String(), r)
}

func (g *group) print(w io.Writer) {
	unpacks := "1 unpack"
	if g.Unpacks > 1 {
		unpacks = fmt.Sprintf("%d unpacks at a time", g.Unpacks)
	}
	fmt.Fprintf(w, "### %s: %d layers, %.0f MB, %s\n\n", g.Image, g.Layers, float64(g.Bytes)/1e6, unpacks)
	fmt.Fprintln(w, "| | pull s | on disk s | CPU s | RSS MiB | pull: ours / this | on disk: ours / this |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|")
	ours := g.Samples[g.Names[0]]
	for _, name := range g.Names {
		theirs := g.Samples[name]
		fmt.Fprintf(w, "| %s | %.2f | %.2f | %.2f | %.0f | %.2f | %.2f |\n", name,
			medianOf(theirs, sample.seconds), medianOf(theirs, sample.durable), medianOf(theirs, sample.cpu),
			medianOf(theirs, func(s sample) float64 { return float64(s.RSS) / (1 << 20) }),
			ratio(ours, theirs, sample.seconds), ratio(ours, theirs, sample.durable))
	}
	fmt.Fprintln(w)
}

func (s sample) seconds() float64 { return s.Seconds }
func (s sample) durable() float64 { return s.Durable }
func (s sample) cpu() float64     { return s.CPU }

func medianOf(list []sample, value func(sample) float64) float64 {
	var v []float64
	for _, s := range list {
		v = append(v, value(s))
	}
	return figures.Median(v)
}

func ratio(ours, theirs []sample, value func(sample) float64) float64 {
	var v []float64
	for i := range min(len(ours), len(theirs)) {
		v = append(v, value(ours[i])/value(theirs[i]))
	}
	return figures.Median(v)
}

func (r *report) printStarts(w io.Writer) {
	if len(r.Starts) == 0 {
		return
	}
	fmt.Fprintf(w, "### Start on an image of 20 layers, from Prepare to a mounted root\n\n")
	fmt.Fprintln(w, "| | first ms | next ms | of these Prepare + mount manager + mount | ours / this | mounts of a container | `ctr run --rm … true` ms |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|")
	for _, s := range r.Starts {
		fmt.Fprintf(w, "| %s | %.1f | %.1f | %.1f + %.1f + %.1f | %.2f | %d | %.0f |\n", s.Name, s.First, figures.Median(s.Warm), s.step(0), s.step(1), s.step(2),
			figures.Median(r.Starts[0].Warm)/figures.Median(s.Warm), s.Mounts, figures.Median(s.Run))
	}
	fmt.Fprintln(w)
}

func (r *report) printMemories(w io.Writer) {
	if len(r.Memories) == 0 {
		return
	}
	const mib = 1 << 20
	fmt.Fprintf(w, "### Memory of containers that read the same files\n\n")
	fmt.Fprintln(w, "| | daemon idle MiB | after the pull | page cache of 1 container MiB | of all | containers | daemon with all | (cache + daemon) of all / of one |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|--:|")
	for _, m := range r.Memories {
		fmt.Fprintf(w, "| %s | %.1f | %.1f | %.1f | %.1f | %d | %.1f | %.2f |\n", m.Name, float64(m.Idle)/mib, float64(m.Pulled)/mib,
			float64(m.One)/mib, float64(m.All)/mib, m.Containers, float64(m.Daemon)/mib, float64(m.All+m.Daemon)/float64(m.One+m.Pulled))
	}
	fmt.Fprintln(w)
}

func newImage(layers []harness.Layer) (*harness.Image, error) {
	return harness.NewImage(layers, harness.TestConfig())
}
