//go:build linux

package main

import (
	"fmt"
	"io"

	"github.com/laminafs/lamina/test/bench/figures"
)

func medianRead(corpus, name string, rounds []read) read {
	of := func(value func(*read) float64) float64 {
		var v []float64
		for i := range rounds {
			v = append(v, value(&rounds[i]))
		}
		return figures.Median(v)
	}
	return read{
		Corpus:    corpus,
		Name:      name,
		Mount:     of(func(r *read) float64 { return r.Mount }),
		FindCold:  of(func(r *read) float64 { return r.FindCold }),
		FindWarm:  of(func(r *read) float64 { return r.FindWarm }),
		FilesCold: of(func(r *read) float64 { return r.FilesCold }),
		FilesWarm: of(func(r *read) float64 { return r.FilesWarm }),
	}
}

func printReads(w io.Writer, reads []read) {
	if len(reads) == 0 {
		return
	}
	fmt.Fprint(w, "## Reading back through the kernel\n\nMilliseconds, medians of 3. Mounted by file; find looks at every inode; cold is behind drop_caches.\n\n")
	fmt.Fprintln(w, "| corpus | | mount | find cold | find warm | all files cold | all files warm |")
	fmt.Fprintln(w, "|---|---|--:|--:|--:|--:|--:|")
	for _, r := range reads {
		fmt.Fprintf(w, "| %s | %s | %.2f | %.0f | %.0f | %.0f | %.0f |\n", r.Corpus, r.Name, 1e3*r.Mount, 1e3*r.FindCold, 1e3*r.FindWarm, 1e3*r.FilesCold, 1e3*r.FilesWarm)
	}
}
