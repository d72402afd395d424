//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/erofs"
)

// images are what is read back; mkfs.erofs makes them.
func (c *config) images() (list []string) {
	for _, i := range []string{"-zlz4", "-zlz4hc -C65536", "-zdeflate -C65536", "-zzstd -C65536", "-zlzma -C65536"} {
		if method := strings.Fields(i)[0][len("-z"):]; slices.Contains(strings.Split(c.methods, ","), method) {
			list = append(list, i)
		}
	}
	return list
}

// decodeOf compares fsck.erofs --extract, which decodes every file and writes none, with ours.
func (c *config) decodeOf(name, tar string) (rows []*row, err error) {
	image := filepath.Join(c.work, "foreign")
	for _, args := range c.images() {
		if err := c.foreign(args, image, tar); err != nil {
			return nil, err
		}
		w := &row{Corpus: name, What: args, Runs: map[string][]run{}}
		sides := []side{{ours, []string{c.lamina, "fsck.erofs", "--extract", image}}, {"fsck.erofs", []string{c.judge("fsck.erofs"), "--extract", image}}}
		if err := w.measure(sides, filepath.Join(c.work, "none"), c.rounds); err != nil {
			return nil, err
		}
		w.progress()
		rows = append(rows, w)
	}
	return rows, nil
}

func (c *config) foreign(args, image, tar string) error {
	if err := os.Remove(image); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err := start(append(append([]string{c.judge("mkfs.erofs"), "--quiet", "--tar=f"}, strings.Fields(args)...), image, tar))
	return err
}

// randomReads is how many places are read in a round.
const randomReads = 2000

// place is 4 KiB of a file.
type place struct {
	path string
	off  int64
}

// equal is an Image that may keep as much as the page cache of the mount has of the files.
const equal = "lamina, equal memory"

// randomOf reads the same random places of one image from a mount of the kernel and through an erofs.Image: one as Open
// gives it, and one with as much memory as the kernel used. "cold" is a new Image and a new mount, "warm" the second pass
// over the same places; the image file is in the page cache always.
func (c *config) randomOf(name, tar string) (rows []*row, err error) {
	image, dir := filepath.Join(c.work, "foreign"), filepath.Join(c.work, "mnt")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, args := range c.images() {
		if err := c.foreign(args, image, tar); err != nil {
			return nil, err
		}
		cold := &row{Corpus: name, What: args + ", cold", Runs: map[string][]run{}}
		warm := &row{Corpus: name, What: args + ", warm", Runs: map[string][]run{}}
		for range c.rounds {
			if err := randomRound(cold, warm, image, dir); err != nil {
				return nil, err
			}
		}
		for _, w := range []*row{cold, warm} {
			fmt.Fprintf(os.Stderr, "%s %s: random 4K, us of CPU: ours %.3g, with equal memory %.3g, kernel %.3g\n", name, w.What,
				1e6*w.median(ours, cpu), 1e6*w.median(equal, cpu), 1e6*w.median("kernel", cpu))
		}
		rows = append(rows, cold, warm)
	}
	return rows, nil
}

// opener opens a file to read.
type opener func(path string) (r io.ReaderAt, done func(), err error)

func randomRound(cold, warm *row, image, dir string) (err error) {
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	im, err := erofs.Open(f)
	if err != nil {
		return err
	}
	places, err := randomPlaces(im, randomReads)
	if err != nil {
		return err
	}
	if err := unix.Mount(image, dir, "erofs", unix.MS_RDONLY, ""); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Unmount(dir, 0)) }()
	kernel := func(path string) (io.ReaderAt, func(), error) {
		f, err := os.Open(filepath.Join(dir, path))
		if err != nil {
			return nil, nil, err
		}
		return f, func() { _ = f.Close() }, nil
	}
	if err := twice(cold, warm, "kernel", places, kernel); err != nil {
		return err
	}
	used, err := pageCache(dir)
	if err != nil {
		return err
	}
	for side, o := range map[string]erofs.Options{ours: {}, equal: {Cache: used}} {
		open, err := throughImage(f, o)
		if err == nil {
			err = twice(cold, warm, side, places, open)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// throughImage opens files of an image of which nothing has been read.
func throughImage(f *os.File, o erofs.Options) (opener, error) {
	im, err := o.Open(f)
	return func(path string) (io.ReaderAt, func(), error) {
		i, err := im.Lookup(path)
		if err != nil {
			return nil, nil, err
		}
		return i.Content(), func() {}, nil
	}, err
}

// pageCache returns how many bytes of the files in a directory are in the page cache.
func pageCache(dir string) (total int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		var all unix.CachestatRange
		var s unix.Cachestat_t
		if err := unix.Cachestat(uint(f.Fd()), &all, &s, 0); err != nil {
			return &fs.PathError{Op: "cachestat", Path: path, Err: err}
		}
		total += int(s.Cache) * os.Getpagesize()
		return nil
	})
	return total, err
}

// twice reads all places two times.
func twice(cold, warm *row, side string, places []place, open opener) error {
	for _, w := range []*row{cold, warm} {
		runtime.GC() // of what others left
		r, err := readPlaces(places, open)
		if err != nil {
			return fmt.Errorf("%s: %w", side, err)
		}
		w.Runs[side] = append(w.Runs[side], r)
	}
	return nil
}

// readPlaces reads all places, each by a new open; the times are of one read.
func readPlaces(places []place, open opener) (run, error) {
	buf := make([]byte, 4096)
	begin, used := time.Now(), cpuTime()
	for _, p := range places {
		r, done, err := open(p.path)
		if err != nil {
			return run{}, err
		}
		_, err = r.ReadAt(buf, p.off)
		done()
		if err != nil && !errors.Is(err, io.EOF) {
			return run{}, fmt.Errorf("%s: %w", p.path, err)
		}
	}
	n := float64(len(places))
	return run{Wall: time.Since(begin).Seconds() / n, CPU: (cpuTime() - used).Seconds() / n}, nil
}

// cpuTime is the processor time of this process.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // only a bad argument has one
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// randomPlaces are n places in the regular files of an image, each byte as likely as any other.
func randomPlaces(im *erofs.Image, n int) (list []place, err error) {
	var files []place // off is the size
	var total int64
	err = fs.WalkDir(im, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() >= 4096 {
			total += info.Size()
			files = append(files, place{path, info.Size()})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if total == 0 {
		return nil, errors.New("no file of 4 KiB and more")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for len(list) < n {
		at := rng.Int64N(total)
		for _, f := range files {
			if at < f.off {
				list = append(list, place{f.path, at &^ 4095})
				break
			}
			at -= f.off
		}
	}
	return list, nil
}
