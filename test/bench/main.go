//go:build linux

// Command bench compares the conversion of layers: Lamina against the pipeline that containerd runs
// today, a Go writer and a plain copy, in one run on one machine.
//
// Every contender of a group runs once per round, rounds alternate between forward and backward order,
// and what counts is the median over the rounds of the ratio within a round: drift of the machine
// meets all sides alike. Inputs are in the page cache, outputs are new files that are removed after the
// run, dirty pages of the run before are written back first, and every contender ends with fsync.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/laminafs/lamina/test/bench/figures"
)

type config struct {
	corpus, work, out           string
	lamina, peer, mkfs, goerofs string
	corpora, forms              string
	rounds                      int
	read                        bool
}

func main() {
	var c config
	flag.StringVar(&c.corpus, "corpus", "", "directory of NAME.tar, NAME.tar.gz, NAME.tar.zst")
	flag.StringVar(&c.corpora, "corpora", "base,golang,node", "corpora to run")
	flag.StringVar(&c.forms, "forms", "tar,gz,zst,index", "inputs to run")
	flag.StringVar(&c.work, "work", os.TempDir(), "directory for outputs: a real disk")
	flag.StringVar(&c.out, "out", "bench", "prefix of the result files, .md and .json")
	flag.StringVar(&c.lamina, "lamina", "bin/lamina", "the program to judge")
	flag.StringVar(&c.peer, "peer", "", "the pipeline of containerd, see peer")
	flag.StringVar(&c.mkfs, "mkfs", "mkfs.erofs", "mkfs.erofs 1.9")
	flag.StringVar(&c.goerofs, "goerofs", "", "writer of go-erofs; left out if empty")
	flag.IntVar(&c.rounds, "rounds", 7, "rounds of each group")
	flag.BoolVar(&c.read, "read", true, "measure reading back through the kernel too (root)")
	flag.Parse()
	if err := c.bench(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (c *config) bench() error {
	work, err := os.MkdirTemp(c.work, "lamina-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // what is left is in a directory for it
	r := &report{Machine: figures.Machine(work)}
	for _, name := range strings.Split(c.corpora, ",") {
		for _, form := range strings.Split(c.forms, ",") {
			g, err := c.group(name, form, work)
			if errors.Is(err, os.ErrNotExist) {
				fmt.Fprintf(os.Stderr, "bench: %s %s: no input, left out\n", name, form)
				continue
			}
			if err != nil {
				return err
			}
			if err := g.run(c.rounds); err != nil {
				return fmt.Errorf("%s %s: %w", name, form, err)
			}
			r.Groups = append(r.Groups, g)
			g.print(os.Stderr)
		}
		if c.read && os.Geteuid() == 0 {
			table, err := c.readBack(name, work)
			if err != nil {
				return fmt.Errorf("%s: reading back: %w", name, err)
			}
			r.Reads = append(r.Reads, table...)
		}
	}
	return r.write(c.out)
}

// group lists the contenders for one corpus in one form; the first is ours, the second the pipeline as
// containerd runs it by default.
func (c *config) group(name, form, work string) (*group, error) {
	ext := map[string]string{"tar": ".tar", "index": ".tar", "gz": ".tar.gz", "zst": ".tar.zst"}[form]
	in := filepath.Join(c.corpus, name+ext)
	info, err := os.Stat(in)
	if err != nil {
		return nil, err
	}
	if err := warm(in); err != nil {
		return nil, err
	}
	out := filepath.Join(work, "out.erofs")
	g := &group{Corpus: name, Form: form, InputBytes: info.Size(), out: out}
	peer := func(flags ...string) []string {
		return append([]string{c.peer, "-mkfs", c.mkfs, "-o", out}, flags...)
	}
	build := []string{c.lamina, "build", "--json", "--progress=none"}
	if form == "index" {
		g.add("lamina --tar-index", append(build, "--tar-index", "--single-file", "-o", out, in)...)
		g.add("containerd --tar=i", peer("-mode", "i", in)...)
		return g, nil
	}
	g.add("lamina", append(build, "-o", out, in)...)
	g.add("containerd", peer(in)...)
	g.add("containerd --sort=none", peer(in, "--sort=none")...)
	switch form {
	case "tar":
		g.add("lamina --inline=none", append(build, "--inline=none", "-o", out, in)...)
		g.add("cp + fsync", "sh", "-c", `cp "$0" "$1" && sync "$1"`, in, out)
		if c.goerofs != "" {
			g.add("go-erofs", c.goerofs, "-o", out, in)
		}
	case "gz":
		g.add("containerd, igzip", peer("-gunzip", "igzip", in)...)
		g.add("containerd, compress/gzip", peer("-gunzip", "std", in)...)
		g.add("igzip -dc alone", "sh", "-c", `igzip -dc "$0" >/dev/null`, in)
	}
	return g, nil
}
