//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"

	"github.com/laminafs/lamina/test/bench/figures"
	"github.com/laminafs/lamina/test/containerd/harness"
)

// start is how long it takes from Prepare to a mounted root of an image of twenty layers.
type start struct {
	Name   string
	First  float64      // ms of the first container after the pull
	Warm   []float64    // ms of the next ones, which stay
	Steps  [][3]float64 // ms of Prepare, of asking the mount manager, of mounting, for each in Warm
	Run    []float64    // ms of `ctr run --rm ... true`
	Mounts int          // that the last container added
}

// step is the median of one step, in ms.
func (s *start) step(i int) float64 {
	var all []float64
	for _, steps := range s.Steps {
		all = append(all, steps[i])
	}
	return figures.Median(all)
}

// startsOf measures starts with the containers before still there, as on a machine that does something.
func (w *world) startsOf(ctx context.Context, r *report) error {
	img, err := w.image(ctx, "warm")
	if err != nil {
		return err
	}
	ref, err := w.registry.Push(ctx, "bench/warm", "v1", img)
	if err != nil {
		return err
	}
	for _, c := range w.contenders() {
		if c.alone || len(c.options) > 0 {
			continue
		}
		st, err := w.start(ctx, c, ref, img)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.Starts = append(r.Starts, st)
	}
	return nil
}

func (w *world) start(ctx context.Context, c contender, ref string, img *harness.Image) (st *start, err error) {
	s, err := w.boot(ctx, c, 1)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := s.bench.Close(); e != nil && err == nil {
			err = e
		}
	}()
	if _, err := s.containerd.Ctr(ctx, "images", "pull", "--plain-http", "--snapshotter", c.snapshotter, ref); err != nil {
		return nil, err
	}
	cl, err := client.New(s.containerd.Address)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	st = &start{Name: c.name}
	m := &starter{client: cl, ctx: namespaces.WithNamespace(ctx, s.containerd.Namespace), snapshotter: c.snapshotter, dir: s.bench.Path("roots")}
	done := func(context.Context) error { return nil }
	if m.ctx, done, err = cl.WithLease(m.ctx); err != nil { // or the snapshots would be collected
		return nil, err
	}
	defer func() { err = errors.Join(err, done(m.ctx)) }()
	var ids []digest.Digest
	for _, l := range img.Layers {
		ids = append(ids, l.DiffID)
	}
	m.chain = identity.ChainID(ids).String()
	defer func() { err = errors.Join(err, m.clear()) }()
	for i := range w.starts {
		before := len(harness.Mounts(s.bench.Dir))
		steps, err := m.one(i)
		if err != nil {
			return nil, err
		}
		took := steps[0] + steps[1] + steps[2]
		st.Mounts = len(harness.Mounts(s.bench.Dir)) - before
		if i == 0 {
			st.First = took
			continue
		}
		st.Warm, st.Steps = append(st.Warm, took), append(st.Steps, steps)
	}
	for i := range 5 {
		begun := time.Now()
		if _, err := s.containerd.Ctr(ctx, "run", "--rm", "--snapshotter", c.snapshotter, ref, fmt.Sprint("run", i), "busybox", "true"); err != nil {
			return nil, err
		}
		st.Run = append(st.Run, time.Since(begun).Seconds()*1000)
	}
	return st, nil
}

// starter does what containerd's shim and mount manager do before a container starts.
type starter struct {
	client      *client.Client
	ctx         context.Context
	snapshotter string
	chain, dir  string
	undo        []func() error
}

func (m *starter) one(i int) (ms [3]float64, err error) {
	key := fmt.Sprint("start", i)
	dir := fmt.Sprintf("%s/%d", m.dir, i)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return ms, err
	}
	sn := m.client.SnapshotService(m.snapshotter)
	begun := time.Now()
	step := func(i int) {
		now := time.Now()
		ms[i], begun = now.Sub(begun).Seconds()*1000, now
	}
	mounts, err := sn.Prepare(m.ctx, key, m.chain)
	if err != nil {
		return ms, err
	}
	step(0)
	m.undo = append(m.undo, func() error { return sn.Remove(m.ctx, key) })
	manager := m.client.MountManager()
	info, err := manager.Activate(m.ctx, key, mounts)
	switch {
	case err == nil: // some are mounted by the manager
		mounts = info.System
		m.undo = append(m.undo, func() error { return manager.Deactivate(m.ctx, key) })
	case !isNotImplemented(err):
		return ms, err
	}
	step(1)
	if err := mount.All(mounts, dir); err != nil {
		return ms, err
	}
	step(2)
	m.undo = append(m.undo, func() error { return mount.UnmountAll(dir, 0) })
	return ms, nil
}

func (m *starter) clear() (err error) {
	for i := len(m.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, m.undo[i]())
	}
	return err
}
