//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

type contender struct {
	Name string `json:"name"`
	Runs []run  `json:"runs"`
	args []string
}

// run is one execution; times in seconds, sizes in bytes.
type run struct {
	Wall float64          `json:"wall"`
	User float64          `json:"user"`
	Sys  float64          `json:"sys"`
	RSS  map[string]int64 `json:"rss"` // peak of each process
	Size int64            `json:"size"`
}

func (r *run) cpu() float64 { return r.User + r.Sys }

// peak sums the peaks of the processes of a pipeline: they are resident at the same time.
func (r *run) peak() float64 {
	var n int64
	for _, v := range r.RSS {
		n += v
	}
	return float64(n)
}

type group struct {
	Corpus     string       `json:"corpus"`
	Form       string       `json:"form"`
	InputBytes int64        `json:"inputBytes"`
	DiffID     string       `json:"diffID"` // that all who compute it agree on
	Contenders []*contender `json:"contenders"`
	out        string
}

func (g *group) add(name string, args ...string) {
	g.Contenders = append(g.Contenders, &contender{Name: name, args: args})
}

// run gives every contender one run that does not count and then the rounds.
func (g *group) run(rounds int) error {
	for _, c := range g.Contenders {
		if _, err := g.measure(c); err != nil {
			return err
		}
	}
	for i := range rounds {
		for k := range g.Contenders {
			if i%2 == 1 {
				k = len(g.Contenders) - 1 - k
			}
			r, err := g.measure(g.Contenders[k])
			if err != nil {
				return err
			}
			g.Contenders[k].Runs = append(g.Contenders[k].Runs, r)
		}
	}
	return nil
}

func (g *group) measure(c *contender) (run, error) {
	if err := os.RemoveAll(g.out); err != nil {
		return run{}, err
	}
	syscall.Sync()
	cmd := exec.Command(c.args[0], c.args[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return run{}, fmt.Errorf("%s: %w: %s", strings.Join(c.args, " "), err, stderr.Bytes())
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	r := run{
		Wall: wall.Seconds(),
		User: cmd.ProcessState.UserTime().Seconds(),
		Sys:  cmd.ProcessState.SystemTime().Seconds(),
		RSS:  map[string]int64{c.Name: usage.Maxrss << 10},
	}
	var said struct {
		RSS    map[string]int64 `json:"rss"`
		DiffID string           `json:"diffID"`
	}
	if json.Unmarshal(stdout.Bytes(), &said) == nil && said.RSS != nil {
		r.RSS = said.RSS
	}
	if said.DiffID != "" && g.DiffID == "" {
		g.DiffID = said.DiffID
	}
	if said.DiffID != "" && said.DiffID != g.DiffID {
		return run{}, fmt.Errorf("%s: diffID %s, another one had %s", c.Name, said.DiffID, g.DiffID)
	}
	if info, err := os.Stat(g.out); err == nil {
		r.Size = info.Size()
	}
	return r, os.RemoveAll(g.out)
}

// warm reads a file once, so that it is in the page cache.
func warm(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, struct{ io.Reader }{f})
	return err
}
