package fsck

import (
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
	"github.com/laminafs/lamina/internal/zmap"
)

const (
	// decodeJobs and decodeBytes bound what is collected before it is decoded.
	decodeJobs  = 512
	decodeBytes = 16 << 20
)

// decodes are pclusters that are still to be decoded.
type decodes struct {
	jobs  []decodeJob
	bytes int64
	done  map[pclusterID]int64 // how many bytes of those known by this place were decoded
	read  map[int]*extentSet   // by device: pclusters that were read whole to be decoded, and could be
	bufs  [][]byte             // of the goroutines
}

// decodeJob is an extent to decode, and who to blame.
type decodeJob struct {
	where  place
	in     image.Inode
	e      zmap.Extent
	device int
	pos    int64
	err    error
}

// pclusterID is a pcluster as an extent has it. Others may begin there and be longer, or be said to have
// another algorithm.
type pclusterID struct {
	pos, plen int64
	device    int32
	algorithm disk.Algorithm
}

// decode has an extent decoded whose pcluster is at pos, if Options ask for it. A shared pcluster is
// decoded once, unless a file needs more of it.
func (c *checker) decode(in *image.Inode, z *zmap.Extent, device int, pos int64) {
	if !c.o.ReadData || z.Kind != zmap.Compressed {
		return
	}
	q := &c.jobs
	if q.done == nil {
		q.done = make(map[pclusterID]int64)
		q.read = make(map[int]*extentSet)
		q.bufs = make([][]byte, runtime.GOMAXPROCS(0))
	}
	id := pclusterID{pos, z.PLen, int32(device), z.Algorithm}
	if n, ok := q.done[id]; ok && n >= z.Len {
		return
	}
	q.done[id] = z.Len
	w := c.where
	w.name = slices.Clone(w.name)
	q.jobs = append(q.jobs, decodeJob{where: w, in: *in, e: *z, device: device, pos: pos})
	if q.bytes += z.Len; q.bytes >= decodeBytes || len(q.jobs) == decodeJobs {
		c.flush()
	}
}

// flush decodes what was collected, on all processors, and reports what does not decode.
func (c *checker) flush() {
	q := &c.jobs
	var next atomic.Int64
	var wait sync.WaitGroup
	for g := range min(len(q.bufs), len(q.jobs)) {
		wait.Go(func() {
			buf := q.bufs[g]
			for k := next.Add(1); k <= int64(len(q.jobs)); k = next.Add(1) {
				j := &q.jobs[k-1]
				buf = slices.Grow(buf[:0], int(j.e.Len))[:j.e.Len]
				j.err = c.im.DecodeExtent(&j.in, &j.e, buf)
			}
			q.bufs[g] = buf
		})
	}
	wait.Wait()
	where := c.where
	for k := range q.jobs {
		j := &q.jobs[k]
		c.rep.Stats.Decoded += j.e.Len
		if j.err != nil {
			c.where = j.where
			device := 0
			if j.e.Inline {
				device = c.meta(j.in.NID)
			}
			c.object(CompressedData, device, j.in.Off, j.err)
		} else if !j.e.Inline {
			q.wasRead(j)
		}
	}
	c.where = where
	if len(q.jobs) > 0 {
		c.observe(PhaseInodes)
	}
	q.jobs, q.bytes = q.jobs[:0], 0
}

// wasRead keeps that a pcluster was read, so that its bytes are not read again as data of files.
func (q *decodes) wasRead(j *decodeJob) {
	s := q.read[j.device]
	if s == nil {
		s = new(extentSet)
		q.read[j.device] = s
	}
	s.add(j.pos, j.pos+j.e.PLen)
}

// unread yields what is to be read of the ranges of a device, ascending ones: not what was read to be decoded.
func (q *decodes) unread(device int, ranges iter.Seq2[int64, int64]) iter.Seq2[int64, int64] {
	s := q.read[device]
	if s == nil {
		return ranges
	}
	s.merge()
	return func(yield func(lo, hi int64) bool) {
		rest := s.runs
		for lo, hi := range ranges {
			for ; len(rest) > 0 && rest[0].start < hi; rest = rest[1:] {
				if lo < rest[0].start && !yield(lo, rest[0].start) {
					return
				}
				if lo = max(lo, rest[0].end); lo >= hi {
					break
				}
			}
			if lo < hi && !yield(lo, hi) {
				return
			}
		}
	}
}
