package zstd

// Types of a literals section. RFC 8878, 3.1.1.3.1.1.
const (
	rawLiterals = iota
	oneLiteral
	huffLiterals
	sameTree
)

// literalsEncoder encodes the literals of one block after the other.
type literalsEncoder struct {
	fresh, last huffTable // of this block; of the last one that had its own
	temp        []byte
	useFresh    bool // what commit is to keep
}

// append appends the section for literals, which count counts.
func (e *literalsEncoder) append(dst, literals []byte, count *[256]uint32) []byte {
	e.useFresh = false
	n := len(literals)
	if n < 8 {
		return appendPlain(dst, rawLiterals, literals, n)
	}
	if count[literals[0]] == uint32(n) {
		return appendPlain(dst, oneLiteral, literals[:1], n)
	}
	e.fresh.build(count)
	own, _ := e.fresh.cost(count)
	tree, ok := e.fresh.appendTree(e.temp[:0])
	e.temp = tree[:0]
	size := n + 3
	if ok && 3+len(tree)+own/8 < size {
		size = 3 + len(tree) + own/8
	} else {
		ok = false
	}
	if cost, has := e.last.cost(count); has && e.last.valid && 3+cost/8 <= size {
		return e.appendHuff(dst, literals, &e.last, sameTree, nil)
	}
	if !ok {
		return appendPlain(dst, rawLiterals, literals, n)
	}
	e.useFresh = true
	e.fresh.assign()
	return e.appendHuff(dst, literals, &e.fresh, huffLiterals, tree)
}

// commit tells that the block with the literals that were appended last is written.
func (e *literalsEncoder) commit() {
	if e.useFresh {
		e.fresh, e.last = e.last, e.fresh
	}
}

// appendPlain appends a section that holds literals as they are, or one of them.
func appendPlain(dst []byte, kind byte, literals []byte, n int) []byte {
	switch {
	case n < 1<<5:
		dst = append(dst, kind|byte(n<<3))
	case n < 1<<12:
		dst = append(dst, kind|1<<2|byte(n<<4), byte(n>>4))
	default:
		dst = append(dst, kind|3<<2|byte(n<<4), byte(n>>4), byte(n>>12))
	}
	return append(dst, literals...)
}

// appendHuff appends a section in a Huffman code; as raw literals if that comes out longer.
func (e *literalsEncoder) appendHuff(dst, literals []byte, t *huffTable, kind byte, tree []byte) []byte {
	start, n := len(dst), len(literals)
	four, head, width := true, 3, uint(10)
	switch {
	case n < 256:
		four = false
	case n >= 1<<14:
		head, width = 5, 18
	case n >= 1<<10:
		head, width = 4, 14
	}
	dst = append(dst, make([]byte, head)...)
	dst = append(dst, tree...)
	if four {
		dst = appendFour(dst, literals, t)
	} else {
		dst = t.appendStream(dst, literals)
	}
	size := len(dst) - start - head
	if size >= n {
		e.useFresh = false
		return appendPlain(dst[:start], rawLiterals, literals, n)
	}
	format := uint64(head - 2)
	if !four {
		format = 0
	}
	v := uint64(kind) | format<<2 | uint64(n)<<4 | uint64(size)<<(4+width)
	for i := range head {
		dst[start+i] = byte(v >> (8 * i))
	}
	return dst
}

// appendFour appends four streams behind the lengths of three of them.
func appendFour(dst, literals []byte, t *huffTable) []byte {
	table := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	quarter := (len(literals) + 3) / 4
	for i := range 4 {
		start := len(dst)
		dst = t.appendStream(dst, literals[i*quarter:min((i+1)*quarter, len(literals))])
		if i < 3 {
			n := len(dst) - start
			dst[table+2*i], dst[table+2*i+1] = byte(n), byte(n>>8)
		}
	}
	return dst
}
