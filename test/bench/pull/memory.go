//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
)

func isNotImplemented(err error) bool { return errdefs.IsNotImplemented(err) }

// memory is what containers that read the same files keep in memory.
type memory struct {
	Name       string
	Idle       int64 // of the daemon before the first request, resident bytes
	Pulled     int64 // after the pull
	One, All   int64 // page cache of one container and of all, charged to their cgroups
	Daemon     int64 // resident, with all containers
	Containers int
}

// reader reads every file of the image and then waits.
const reader = `busybox find /usr /bin /lib /etc -xdev -type f -exec busybox cat {} + >/dev/null; busybox touch /ready; exec busybox sleep 100000`

// memory measures with an image of base and busybox: the page cache after one container and after all of them.
func (w *world) memory(ctx context.Context, r *report) error {
	warm, err := w.image(ctx, "warm")
	if err != nil {
		return err
	}
	img, err := w.image(ctx, "base")
	if err != nil {
		return err
	}
	img.Layers = append(img.Layers, warm.Layers[0])
	if img, err = newImage(img.Layers); err != nil {
		return err
	}
	ref, err := w.registry.Push(ctx, "bench/memory", "v1", img)
	if err != nil {
		return err
	}
	for _, c := range w.contenders() {
		if c.alone || len(c.options) > 0 {
			continue
		}
		m, err := w.memoryOf(ctx, c, ref)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.Memories = append(r.Memories, m)
	}
	return nil
}

func (w *world) memoryOf(ctx context.Context, c contender, ref string) (m *memory, err error) {
	s, err := w.boot(ctx, c, 1)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := s.bench.Close(); e != nil && err == nil {
			err = e
		}
	}()
	m = &memory{Name: c.name, Containers: w.containers}
	if s.lamina != nil {
		time.Sleep(time.Second)
		m.Idle, _, err = s.lamina.Memory()
		if err != nil {
			return nil, err
		}
	}
	if _, err := s.containerd.Ctr(ctx, "images", "pull", "--plain-http", "--snapshotter", c.snapshotter, ref); err != nil {
		return nil, err
	}
	if m.Pulled, _, err = s.daemon().Memory(); err != nil {
		return nil, err
	}
	// What the pull left in memory must not hide what the containers read.
	if err := errors.Join(s.disk.Sync(), os.WriteFile("/proc/sys/vm/drop_caches", []byte("1"), 0o200)); err != nil {
		return nil, err
	}
	defer func() {
		for i := range w.containers {
			id := fmt.Sprint("m", i)
			_, _ = s.containerd.Ctr(ctx, "tasks", "kill", "-s", "KILL", id) // it may not have been started
			_, _ = s.containerd.Ctr(ctx, "tasks", "rm", "-f", id)
			_, _ = s.containerd.Ctr(ctx, "containers", "rm", id)
		}
	}()
	for i := range w.containers {
		if err := s.reads(ctx, c, ref, fmt.Sprint("m", i)); err != nil {
			return nil, err
		}
		if i == 0 {
			m.One = s.pageCache()
		}
	}
	m.All = s.pageCache()
	m.Daemon, _, err = s.daemon().Memory()
	return m, err
}

// reads runs a container that reads, until it has read.
func (s *system) reads(ctx context.Context, c contender, ref, id string) error {
	if _, err := s.containerd.Ctr(ctx, "run", "-d", "--snapshotter", c.snapshotter, ref, id, "busybox", "sh", "-c", reader); err != nil {
		return err
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, err := s.containerd.Ctr(ctx, "tasks", "exec", "--exec-id", "ready", id, "busybox", "test", "-e", "/ready")
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
}

// pageCache is the page cache charged to the cgroups of the containers: what each was the first to read.
func (s *system) pageCache() (bytesOfFiles int64) {
	files, _ := filepath.Glob("/sys/fs/cgroup/memory/" + s.containerd.Namespace + "/*/memory.stat")
	v2, _ := filepath.Glob("/sys/fs/cgroup/" + s.containerd.Namespace + "/*/memory.stat")
	for _, f := range append(files, v2...) {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
			var n int64
			if k, v, ok := strings.Cut(sc.Text(), " "); ok && (k == "cache" || k == "file") {
				_, _ = fmt.Sscan(v, &n)
				bytesOfFiles += n
			}
		}
	}
	return bytesOfFiles
}
