package compress

import (
	"hash/crc32"
	"math/bits"
)

// Chunker cuts bytes where their content says so: equal stretches of two files are cut alike behind their first
// common cut, wherever they are (content-defined chunking with a gear hash, as FastCDC has it).
type Chunker struct {
	min, max int
	mask     uint64
}

// NewChunker returns a Chunker of chunks of about size bytes, at least a quarter and at most eight times as long. size
// is a power of two.
func NewChunker(size int) Chunker {
	// The hash of a byte moves up with each one that follows: its high bits depend on the last 64 of them.
	n := bits.Len(uint(size)) - 1
	return Chunker{min: size / 4, max: 8 * size, mask: (1<<n - 1) << (64 - n)}
}

// Next returns the length of the first chunk of b and a hash of it, which is the same everywhere. The last chunk
// is shorter than its content asks for.
func (c Chunker) Next(b []byte) (n int, hash uint64) {
	b = b[:min(len(b), c.max)]
	n = len(b)
	var h uint64
	for i := min(c.min, n); i < n; i++ {
		if h = h<<1 + gear[b[i]]; h&c.mask == 0 {
			n = i + 1
			break
		}
	}
	return n, uint64(crc32.Checksum(b[:n], castagnoli))<<32 | uint64(uint32(h)^uint32(n))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // computed by one instruction

// gear is random numbers (SplitMix64 from 0): they decide where chunks end, so they do not change.
var gear = func() (t [256]uint64) {
	var x uint64
	for i := range t {
		x += 0x9E3779B97F4A7C15
		z := (x ^ x>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		t[i] = z ^ z>>31
	}
	return t
}()
