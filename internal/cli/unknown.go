package cli

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/laminafs/lamina/tartree"
)

// unknown makes the error of a file whose first bytes are of no kind that lamina reads say so. A header in
// the middle, and what a compressed file turned out to hold, are for tartree to tell.
func (s *source) unknown(err error) error {
	var bad *tartree.Error
	if s.at == nil || s.kind != sourceStream || !errors.As(err, &bad) || bad.Off != 0 || !errors.Is(bad, tartree.ErrArchive) {
		return err
	}
	var magic [4]byte
	if n, _ := s.at.ReadAt(magic[:], 0); n == 0 {
		return err
	}
	switch m := binary.LittleEndian.Uint32(magic[:]); {
	case m&0xffff == 0x8b1f, m == 0xfd2fb528, m&^0xf == 0x184d2a50: // gzip; zstd; a skippable frame of zstd
		return err
	}
	return &codeError{exitCorrupt, errors.New("neither tar, gzip, zstd nor EROFS: offset 0: " + strings.TrimPrefix(bad.Why, "no tar archive: "))}
}
