package lz4

import (
	"errors"
	"fmt"

	"github.com/laminafs/lamina/internal/oracle"
)

// The tests do not run in parallel, so one buffer of each is enough.
var dstArena, srcArena = oracle.NewArena(5 << 20), oracle.NewArena(5 << 20)

// sequence is a sequence of a block, as the format document has it.
type sequence struct {
	literals         []byte
	offset, n        int // of the match; n is 0 in the last sequence
	start, at, after int // of the match in the content; of the sequence in the block; where it ends there
}

// parse reads a block the slow way: the judge of Decode and of what the encoders write.
func parse(block []byte) (all []sequence, err error) {
	content := 0
	for i := 0; ; {
		s := sequence{at: i}
		if i >= len(block) {
			return all, errors.New("no token")
		}
		token := block[i]
		i++
		length := func(n int) int {
			for more := n == 15; more; i++ {
				if i >= len(block) {
					err = errors.New("length is cut off")
					return 0
				}
				n += int(block[i])
				more = block[i] == 255
			}
			return n
		}
		n := length(int(token >> 4))
		if err != nil || n > len(block)-i {
			s.literals = block[i:]
			return append(all, s), fmt.Errorf("%d literals in %d bytes: %v", n, len(block)-i, err)
		}
		s.literals = block[i : i+n]
		i += n
		content += n
		s.after = i
		if i == len(block) {
			return append(all, s), nil
		}
		if len(block)-i < 2 {
			return append(all, s), errors.New("offset is cut off")
		}
		s.start = content
		s.offset = int(block[i]) | int(block[i+1])<<8
		i += 2
		if s.offset == 0 || s.offset > content {
			return append(all, s), fmt.Errorf("offset %d at %d", s.offset, content)
		}
		n = length(int(token&15)) + minMatch
		if err != nil || i == len(block) {
			return append(all, s), fmt.Errorf("ends with a match: %v", err)
		}
		content += n
		s.n, s.after = n, i
		all = append(all, s)
		if content > 64<<20 {
			return all, fmt.Errorf("%d bytes of content", content)
		}
	}
}

// expand returns the content of sequences, up to most bytes.
func expand(all []sequence, most int) []byte {
	var b []byte
	for _, s := range all {
		b = append(b, s.literals...)
		for i := 0; i < s.n && len(b) < most; i++ {
			b = append(b, b[len(b)-s.offset])
		}
	}
	return b[:min(most, len(b))]
}
