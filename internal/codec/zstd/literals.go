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
	fresh, last *huffTable // of this block; of the last one that had its own
	kind        byte       // what plan has chosen
	tree        []byte     // that describes fresh
}

// plan chooses how to encode n literals, which count counts.
func (e *literalsEncoder) plan(n int, count *[256]uint32) {
	e.kind = rawLiterals
	if n < 8 {
		return
	}
	e.fresh.build(count)
	if e.fresh.used == 1 {
		e.kind = oneLiteral
		return
	}
	own, _ := e.fresh.cost(count)
	tree, ok := e.fresh.appendTree(e.tree[:0])
	e.tree = tree
	size := n
	if ok && len(tree)+own/8 < size {
		size = len(tree) + own/8
		e.kind = huffLiterals
	}
	if e.last.valid {
		if cost, has := e.last.cost(count); has && cost/8 <= size {
			e.kind = sameTree
		}
	}
	if e.kind == huffLiterals {
		e.fresh.assign()
	}
}

// lens returns what literals take, in bits.
func (e *literalsEncoder) lens() *[256]uint8 {
	switch e.kind {
	case huffLiterals:
		return &e.fresh.lens
	case sameTree:
		return &e.last.lens
	case oneLiteral:
		return &noBits
	}
	return &eightBits
}

var noBits, eightBits = func() (a, b [256]uint8) {
	for i := range b {
		b[i] = 8
	}
	return a, b
}()

// overhead returns what the section takes for n literals beside their bits, in bytes.
func (e *literalsEncoder) overhead(n int) int {
	size := 1
	switch {
	case n >= 1<<14:
		size = 5
	case n >= 1<<10:
		size = 4
	case n >= 1<<5:
		size = 3
	}
	switch e.kind {
	case huffLiterals:
		return size + len(e.tree) + 9
	case sameTree:
		return size + 9
	case oneLiteral:
		return size + 1
	}
	return size
}

// append appends the section for literals, as planned for them or for more that begin with them.
func (e *literalsEncoder) append(dst, literals []byte) []byte {
	switch n := len(literals); {
	case n < 8 || e.kind == rawLiterals:
		e.kind = rawLiterals
		return appendPlain(dst, rawLiterals, literals, n)
	case e.kind == oneLiteral:
		return appendPlain(dst, oneLiteral, literals[:1], n)
	case e.kind == sameTree:
		return e.appendHuff(dst, literals, e.last, nil)
	}
	return e.appendHuff(dst, literals, e.fresh, e.tree)
}

// commit tells that the block with the literals that were appended last is written.
func (e *literalsEncoder) commit() {
	if e.kind == huffLiterals {
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

// appendHuff appends a section in a Huffman code.
func (e *literalsEncoder) appendHuff(dst, literals []byte, t *huffTable, tree []byte) []byte {
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
		e.kind = rawLiterals
		return appendPlain(dst[:start], rawLiterals, literals, n)
	}
	format := uint64(head - 2)
	if !four {
		format = 0
	}
	v := uint64(e.kind) | format<<2 | uint64(n)<<4 | uint64(size)<<(4+width)
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
