//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/test/containerd/harness"
)

// world is what the parts share.
type world struct {
	*config
	tools    harness.Tools
	registry *harness.Registry
}

// A contender is a way to get an image. The first one is ours, the others are compared with it.
type contender struct {
	name        string
	snapshotter string
	options     []string // of mkfs.erofs
	alone       bool     // lamina pull
}

var contenders = []contender{
	{name: "lamina", snapshotter: "lamina"},
	{name: "overlayfs", snapshotter: "overlayfs"},
	{name: "erofs", snapshotter: "erofs"},
	{name: "erofs -T0 --mkfs-time --sort=none", snapshotter: "erofs", options: []string{"-T0", "--mkfs-time", "--sort=none"}},
	{name: "lamina pull", alone: true},
}

// sample is what one pull cost.
type sample struct {
	Seconds float64 // until the pull returned
	Durable float64 // until sync returned after that
	CPU     float64 // seconds of the daemons and their children
	RSS     int64   // peak of our daemon, or of containerd, or of lamina pull
}

// A group is all contenders on one image.
type group struct {
	Image   string
	Bytes   int64 // of the uncompressed layers
	Layers  int
	Unpacks int
	Names   []string
	Samples map[string][]sample
}

func (w *world) contenders() []contender {
	if w.only == "" {
		return contenders
	}
	only := strings.Split(w.only, ",")
	return slices.DeleteFunc(slices.Clone(contenders), func(c contender) bool { return !slices.Contains(only, c.name) })
}

func (w *world) pulls(ctx context.Context, r *report) error {
	for _, spec := range strings.Split(w.images, ",") {
		name, unpacks := spec, 1
		if name == "ten" {
			unpacks = 4
		}
		if name == "ten1" {
			name = "ten"
		}
		img, err := w.image(ctx, name)
		if err != nil {
			return err
		}
		ref, err := w.registry.Push(ctx, "bench/"+name, "v1", img)
		if err != nil {
			return err
		}
		g := &group{Image: name, Layers: len(img.Layers), Unpacks: unpacks, Samples: map[string][]sample{}}
		for _, t := range img.Tars() {
			info, err := os.Stat(t)
			if err != nil {
				return err
			}
			g.Bytes += info.Size()
		}
		list := w.contenders()
		for _, c := range list {
			g.Names = append(g.Names, c.name)
		}
		for round := range w.rounds {
			order := slices.Clone(list)
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, c := range order {
				s, err := w.pull(ctx, c, ref, unpacks)
				if err != nil {
					return fmt.Errorf("%s by %s: %w", name, c.name, err)
				}
				g.Samples[c.name] = append(g.Samples[c.name], s)
			}
		}
		g.print(os.Stderr)
		r.Pulls = append(r.Pulls, g)
	}
	return nil
}

// system is a fresh disk with fresh daemons on it.
type system struct {
	bench      *harness.Bench
	disk       *harness.Disk
	lamina     *harness.Lamina
	containerd *harness.Containerd
}

func (w *world) boot(ctx context.Context, c contender, unpacks int) (s *system, err error) {
	s = &system{}
	if s.bench, err = harness.NewBench("", w.tools); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = s.bench.Close() // the error counts
		}
	}()
	image := filepath.Join(w.work, "disk.img")
	s.bench.Defer(func() error { return os.Remove(image) })
	if s.disk, err = s.bench.NewDiskAt(ctx, image, "d", "ext4", 8<<30); err != nil {
		return nil, err
	}
	root := filepath.Join(s.disk.Dir, "containerd")
	if c.snapshotter == "lamina" || c.alone {
		l := harness.LaminaConfig{Root: filepath.Join(s.disk.Dir, "lamina"), Containerd: root}
		if c.alone {
			s.lamina = s.bench.NewLamina(l)
			return s, s.lamina.WriteConfig()
		}
		if s.lamina, err = s.bench.StartLamina(ctx, l); err != nil {
			return nil, err
		}
	}
	config := harness.ContainerdConfig{Version: w.version, Root: root, Unpacks: unpacks, ErofsOption: c.options, LogLevel: "error",
		Erofs: c.snapshotter == "erofs", Path: []string{filepath.Join(w.tools.Cache, "judges/bin")}}
	if s.lamina != nil {
		config.Lamina, config.Exports = s.lamina.Socket, s.lamina.Config.Root
	}
	s.containerd, err = s.bench.StartContainerd(ctx, config)
	return s, err
}

// pull boots a system, pulls once and takes all away.
func (w *world) pull(ctx context.Context, c contender, ref string, unpacks int) (out sample, err error) {
	s, err := w.boot(ctx, c, unpacks)
	if err != nil {
		return out, err
	}
	defer func() {
		if e := s.bench.Close(); e != nil && err == nil {
			err = e
		}
	}()
	unix.Sync() // what the run before left to write
	if c.alone {
		return w.alone(ctx, s, ref)
	}
	before := s.cpu()
	begun := time.Now()
	if _, err := s.containerd.Ctr(ctx, "images", "pull", "--plain-http", "--snapshotter", c.snapshotter, ref); err != nil {
		return out, err
	}
	out.Seconds = time.Since(begun).Seconds()
	if err := s.disk.Sync(); err != nil {
		return out, err
	}
	out.Durable = time.Since(begun).Seconds()
	out.CPU = (s.cpu() - before).Seconds()
	_, out.RSS, err = s.daemon().Memory()
	return out, err
}

// daemon is the process that does the work.
func (s *system) daemon() *harness.Process {
	if s.lamina != nil {
		return s.lamina.Process
	}
	return s.containerd.Process
}

func (s *system) cpu() (all time.Duration) {
	for _, p := range []*harness.Process{s.containerd.Process, s.laminaProcess()} {
		if p != nil {
			d, _ := p.CPU() // it runs
			all += d
		}
	}
	return all
}

func (s *system) laminaProcess() *harness.Process {
	if s.lamina == nil {
		return nil // of that type
	}
	return s.lamina.Process
}

// alone runs lamina pull.
func (w *world) alone(ctx context.Context, s *system, ref string) (out sample, err error) {
	begun := time.Now()
	u, err := harness.RunUsage(ctx, w.lamina, "pull", "--config", s.lamina.File, "--progress=none", ref)
	if err != nil {
		return out, err
	}
	out.Seconds = time.Since(begun).Seconds()
	if err := s.disk.Sync(); err != nil {
		return out, err
	}
	out.Durable = time.Since(begun).Seconds()
	out.CPU, out.RSS = u.CPU.Seconds(), u.RSS
	return out, nil
}
