package disk

import (
	"strings"
)

// Algorithm is a compression algorithm (Z_EROFS_COMPRESSION_*).
type Algorithm uint8

// The algorithms of section 7.1.
const (
	LZ4     Algorithm = 0
	LZMA    Algorithm = 1 // MicroLZMA
	Deflate Algorithm = 2 // raw
	ZSTD    Algorithm = 3

	algorithmCount = 4
)

var algorithmNames = [algorithmCount]string{"lz4", "lzma", "deflate", "zstd"}

func (a Algorithm) String() string {
	if a < algorithmCount {
		return algorithmNames[a]
	}
	return "unknown"
}

// Known tells whether the format defines the algorithm.
func (a Algorithm) Known() bool { return a < algorithmCount }

// Algorithms is a set of algorithms: bit n stands for Algorithm(n).
type Algorithms uint16

// Has tells whether a is in the set.
func (s Algorithms) Has(a Algorithm) bool { return a < 16 && s>>a&1 != 0 }

// Unknown returns the members that the format does not define; Linux refuses such an image.
func (s Algorithms) Unknown() Algorithms { return s &^ (1<<algorithmCount - 1) }

// String lists the known members, separated by commas.
func (s Algorithms) String() string {
	var names []string
	for a := range Algorithm(algorithmCount) {
		if s.Has(a) {
			names = append(names, a.String())
		}
	}
	return strings.Join(names, ",")
}

// Algorithms returns what the superblock announces: the bitmap with COMPR_CFGS; without it a non-zero
// LZ4 distance, or the 0padding feature alone (erofs-utils before 1.3), means LZ4. An empty set is an
// image without compressed files.
func (s *Superblock) Algorithms() Algorithms {
	switch {
	case s.Incompat&HasComprCfgs != 0:
		return Algorithms(s.ComprAlgs)
	case s.ComprAlgs != 0 || s.Incompat&HasZeroPadding != 0:
		return 1 << LZ4
	}
	return 0
}
