package tartree

import (
	"bytes"

	"github.com/laminafs/lamina/tree"
)

// maxExtents bounds the map of one sparse file: 16 MiB of memory. GNU tar makes an extent of every run
// of 512-byte blocks, so a file of 1 GiB that is all needles stays below it.
const maxExtents = 1 << 20

const whyExtents = "sparse map: too many extents"

// sparseAttrs is what PAX records say of a sparse file. Versions 0.0 and 0.1 have the map in the
// records, 1.0 at the head of the payload.
type sparseAttrs struct {
	used         bool
	major, minor int64 // -1: no record
	size         int64 // -1: no record
	blocks       int64 // number of extents that the records promise; -1: no record
	name         []byte
	hasMap       bool
	half         bool // an offset without its length so far
	extents      []tree.Extent
}

func (s *sparseAttrs) reset() {
	*s = sparseAttrs{major: -1, minor: -1, size: -1, blocks: -1, name: s.name[:0], extents: s.extents[:0]}
}

func (s *sparseAttrs) record(key, v []byte) (why string) {
	if !s.used {
		s.reset()
		s.used = true
	}
	ok := true
	switch string(key) {
	case "major":
		s.major, ok = natural(v)
	case "minor":
		s.minor, ok = natural(v)
	case "size", "realsize":
		s.size, ok = natural(v)
	case "numblocks":
		s.blocks, ok = natural(v)
	case "name":
		if bytes.IndexByte(v, 0) >= 0 {
			return "NUL in a name"
		}
		s.name = append(s.name[:0], v...)
	case "map":
		s.hasMap, s.half, s.extents = true, false, s.extents[:0]
		for len(v) > 0 && why == "" {
			var tok []byte
			tok, v, _ = bytes.Cut(v, []byte(","))
			why = s.token(tok)
		}
		return why
	case "offset", "numbytes":
		if s.half != (key[0] == 'n') {
			return "offset and numbytes do not alternate"
		}
		s.hasMap = true
		return s.token(v)
	}
	if !ok {
		return "not a number"
	}
	return ""
}

func natural(b []byte) (int64, bool) {
	n, ok := decimal(b)
	return n, ok && n >= 0
}

// token takes the next number of the map: offset, length, offset and so on.
func (s *sparseAttrs) token(b []byte) string {
	n, ok := natural(b)
	switch {
	case !ok:
		return "sparse map: not a number"
	case s.half:
		s.extents[len(s.extents)-1].Len = n
	case len(s.extents) >= maxExtents:
		return whyExtents
	default:
		s.extents = append(s.extents, tree.Extent{Off: n})
	}
	s.half = !s.half
	return ""
}

// sparsePAX sets up e and the name from the records of a sparse file, reading the map of version 1.0 from
// the payload. Without a version or a map in the records it is no sparse file.
func (r *reader) sparsePAX(e *entry, s *sparseAttrs) error {
	switch {
	case s.major == 1 && s.minor == 0:
		if err := r.sparseMap10(e, s); err != nil {
			return err
		}
	case s.major == 0 && (s.minor == 0 || s.minor == 1) || s.major < 0 && s.minor < 0 && s.hasMap:
		if s.blocks >= 0 && s.blocks != int64(len(s.extents)) {
			return r.fail("sparse map: has another number of extents than GNU.sparse.numblocks says")
		}
	case s.major < 0 && s.minor < 0:
		return nil
	default:
		return r.unsupported("sparse file of an unknown version")
	}
	if s.half {
		return r.fail("sparse map: offset without a length")
	}
	if len(s.name) > 0 {
		r.name = append(r.name[:0], s.name...)
	}
	e.sparse = true
	if s.size >= 0 {
		e.realSize = s.size
	} else {
		e.realSize = e.size
	}
	e.extents = s.extents
	return nil
}

// sparseMap10 reads the map at the head of the payload: decimal numbers, each with a newline, first the
// number of extents, padded to whole blocks.
func (r *reader) sparseMap10(e *entry, s *sparseAttrs) error {
	s.extents, s.half = s.extents[:0], false
	var tok [20]byte // of one number
	count, n := int64(-1), 0
	for count < 0 || int64(len(s.extents)) < count || s.half {
		if e.size < blockSize {
			return r.fail("sparse map: longer than the payload")
		}
		b, got := r.s.block()
		if b == nil {
			return r.cut(int64(blockSize - got))
		}
		e.size -= blockSize
		for _, c := range b {
			switch {
			case count >= 0 && int64(len(s.extents)) == count && !s.half:
				// padding
			case c != '\n' && n == len(tok):
				return r.fail("sparse map: not a number")
			case c != '\n':
				tok[n] = c
				n++
			case count < 0:
				var ok bool
				if count, ok = natural(tok[:n]); !ok {
					return r.fail("sparse map: not a number")
				}
				n = 0
			default:
				if why := s.token(tok[:n]); why != "" {
					return r.fail(why)
				}
				n = 0
			}
		}
	}
	return nil
}

// sparseGNU reads the map of an old GNU sparse file: four extents in the header, 21 in each block that
// follows it. h may be overwritten.
func (r *reader) sparseGNU(e *entry, h *[blockSize]byte) error {
	if formatOf(h) != formatGNU {
		return r.unsupported("sparse file in the form of star")
	}
	var ok bool
	if e.realSize, ok = number(h[483:495]); !ok {
		return r.fail("size of the sparse file is not a number")
	}
	e.sparse = true
	s := &r.local.sparse
	s.reset()
	s.used = true
	table, more := h[386:482], h[482] != 0
	for {
		for ; len(table) >= 24 && table[0] != 0; table = table[24:] {
			off, ok1 := number(table[:12])
			length, ok2 := number(table[12:24])
			if !ok1 || !ok2 {
				return r.fail("sparse map: not a number")
			}
			if len(s.extents) >= maxExtents {
				return r.fail(whyExtents)
			}
			s.extents = append(s.extents, tree.Extent{Off: off, Len: length})
		}
		if !more {
			e.extents = s.extents
			return nil
		}
		b, got := r.s.block()
		if b == nil {
			return r.cut(int64(blockSize - got))
		}
		table, more = b[:504], b[504] != 0
	}
}

// sparseData checks a map and returns it as tree.File.Data has it: ascending, nothing empty, nothing
// touching; nil if all is data.
func sparseData(m []tree.Extent, size, stored int64) (data []tree.Extent, why string) {
	var end, sum int64
	n := 0
	for _, x := range m {
		if x.Off < end || x.Len < 0 || x.Len > size-x.Off || x.Off > size {
			return nil, "sparse map: extents overlap, descend or leave the file"
		}
		if x.Len > 0 && (n == 0 || x.Off > end) {
			n++
		}
		end = x.Off + x.Len
		sum += x.Len
	}
	if sum != stored {
		return nil, "sparse map: does not add up to the payload"
	}
	if sum == size {
		return nil, ""
	}
	data = make([]tree.Extent, 0, n)
	for _, x := range m {
		switch last := len(data) - 1; {
		case x.Len == 0:
		case last >= 0 && data[last].Off+data[last].Len == x.Off:
			data[last].Len += x.Len
		default:
			data = append(data, x)
		}
	}
	return data, ""
}
