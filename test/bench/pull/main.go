//go:build linux

// Command pull measures what containerd costs with Lamina and with its own snapshotters: pull and unpack from a registry on
// the loopback interface, the start of a container of a warm image, the memory of many containers.
//
// Every pull runs on a fresh ext4 in a loop file with fresh daemons; contenders alternate within a round and rounds alternate
// between forward and backward order. What counts is the median over the rounds of the ratio within a round. Ours is durable
// when the pull returns, the others are not: the time until sync(2) has written their layers is a column of its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/laminafs/lamina/test/bench/figures"
	"github.com/laminafs/lamina/test/containerd/harness"
)

type config struct {
	repository, corpus, work, out, lamina string
	images, parts                         string
	rounds, starts, containers            int
	version                               string
	only                                  string
}

func main() {
	var c config
	flag.StringVar(&c.repository, "repository", ".", "root of the repository, whose .cache has the daemons")
	flag.StringVar(&c.corpus, "corpus", ".cache/corpus", "directory of NAME.tar and NAME.tar.gz")
	flag.StringVar(&c.work, "work", ".cache/bench-pull", "directory on the disk to measure, 4 GiB")
	flag.StringVar(&c.out, "out", ".cache/bench-pull", "prefix of the result files, .md and .json")
	flag.StringVar(&c.lamina, "lamina", "bin/lamina", "the program to judge")
	flag.StringVar(&c.images, "images", "base,golang,node,ten", "images to pull")
	flag.StringVar(&c.parts, "parts", "pull,start,memory", "what to measure")
	flag.StringVar(&c.only, "only", "", "contenders to run, separated by commas; all if empty")
	flag.StringVar(&c.version, "containerd", "2.4.2", "version of containerd")
	flag.IntVar(&c.rounds, "rounds", 5, "rounds of pulls")
	flag.IntVar(&c.starts, "starts", 30, "starts of a container")
	flag.IntVar(&c.containers, "containers", 50, "containers that read the same files")
	flag.Parse()
	if err := c.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "pull:", err)
		os.Exit(1)
	}
}

func (c *config) run(ctx context.Context) (err error) {
	for _, p := range []*string{&c.repository, &c.corpus, &c.work, &c.out, &c.lamina} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(c.work, "layers"), 0o755); err != nil {
		return err
	}
	tools := harness.FindTools(c.repository, c.lamina)
	shared, err := harness.NewBench("", tools)
	if err != nil {
		return err
	}
	defer func() {
		if e := shared.Close(); e != nil && err == nil {
			err = e
		}
	}()
	registry, err := shared.StartRegistry(ctx, filepath.Join(c.work, "registry"))
	if err != nil {
		return err
	}
	r := &report{Machine: figures.Machine(c.work), Rounds: c.rounds}
	defer func() {
		if e := r.write(c.out); e != nil && err == nil {
			err = e
		}
	}()
	w := &world{config: c, tools: tools, registry: registry}
	for _, part := range strings.Split(c.parts, ",") {
		fn := map[string]func(context.Context, *report) error{"pull": w.pulls, "start": w.startsOf, "memory": w.memory}[part]
		if fn == nil {
			return fmt.Errorf("part %q", part)
		}
		if err := fn(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}
