//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// run is one execution; times in seconds, sizes in bytes.
type run struct {
	Wall   float64 `json:"wall"`
	CPU    float64 `json:"cpu"`
	RSS    int64   `json:"rss"`
	Size   int64   `json:"size,omitempty"` // of the image
	Failed string  `json:"failed,omitempty"`
}

type side struct {
	name string
	args []string
}

// measure gives every side a run in each round, forward and backward in turn. Who dies of the input, as mkfs.erofs does
// of some, has a run that says so.
func (w *row) measure(sides []side, image string, rounds int) error {
	for i := range rounds {
		for k := range sides {
			if i%2 == 1 {
				k = len(sides) - 1 - k
			}
			if err := os.Remove(image); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			r, err := start(sides[k].args)
			if err != nil {
				r = run{Failed: err.Error()}
			} else if info, err := os.Stat(image); err == nil {
				r.Size = info.Size()
			}
			w.Runs[sides[k].name] = append(w.Runs[sides[k].name], r)
		}
	}
	return nil
}

// start runs a program and measures it.
func start(args []string) (run, error) {
	cmd := exec.Command(args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	begin := time.Now()
	err := cmd.Run()
	wall := time.Since(begin)
	if err != nil {
		return run{}, fmt.Errorf("%s: %w: %.300s", strings.Join(args, " "), err, stderr.Bytes())
	}
	s := cmd.ProcessState
	return run{Wall: wall.Seconds(), CPU: (s.UserTime() + s.SystemTime()).Seconds(), RSS: s.SysUsage().(*syscall.Rusage).Maxrss << 10}, nil
}
