package zstd

// What a seqLoop stops for.
const (
	seqDone  = iota // all sequences are executed, or none is left whose bits are there
	seqTight        // one is to be executed that is near a bound, or out of it
)

// copySlack is what copying may write behind the end of a match, and read behind the literals.
const copySlack = 32

// seqLoop executes the sequences of a block: each copies literals to dst, and a match from before that place.
//
//	dst  | history and content ...  op | room |  history that lies before dst[0]  | old |
//
// A match that begins before dst[0] is that much before dst[old].
//
// Relied on, and by assembly not looked at: there are headroom bytes before src[start:], copySlack bytes behind lit[:litEnd];
// entries are of tables; room is copySlack bytes before the end of dst or more; old is 0, or in dst and more than
// op+window+copySlack.
type seqLoop struct {
	src   []byte // where the bits are, as backward has them
	start int
	left  int

	tables  [3]seqTable
	entries [3]seqEntry // the states
	n       int         // sequences that have not been decoded
	rep     [3]int

	lit    []byte // and copySlack bytes or more
	litPos int
	litEnd int

	dst    []byte
	op     int
	end    int // of what the block may have; behind dst if dst takes less
	room   int // sequences that end here or before may be copied by wide
	old    int // 0: nothing is before dst[0]
	window int

	status             int
	litLen, dist, size int // of the sequence that was decoded last
}

// sequences executes l.n sequences.
func (l *seqLoop) sequences() error {
	l.room = min(l.end, len(l.dst)-copySlack)
	for {
		l.status = seqDone
		l.run()
		if l.status != seqTight {
			break
		}
		if err := l.execute(); err != nil {
			return err
		}
	}
	if l.left != 0 || l.n > 0 {
		return corrupt("stream of sequences")
	}
	return nil
}

// generic is run in Go.
func (l *seqLoop) generic() {
	for l.n > 0 && l.left >= 0 {
		if l.decode(); l.left < 0 {
			return
		}
		if l.op+l.litLen+l.size > l.room || l.litLen > l.litEnd-l.litPos || l.dist <= 0 || l.dist > min(l.op+l.litLen, l.window) {
			l.status = seqTight
			return
		}
		wide(l.dst, l.op, l.lit, l.litPos, l.litLen)
		l.litPos += l.litLen
		l.op += l.litLen
		if l.dist >= 16 {
			wide(l.dst, l.op, l.dst, l.op-l.dist, l.size)
		} else {
			overlap(l.dst, l.op, l.dist, l.size)
		}
		l.op += l.size
	}
}

// wide copies n bytes, by 16.
func wide(dst []byte, d int, src []byte, s, n int) {
	for end := d + n; d < end; d, s = d+16, s+16 {
		copy16(dst, d, src, s)
	}
}

// overlap copies n bytes from dist before op on, some of which it has written itself.
func overlap(dst []byte, op, dist, n int) {
	for from, end := op-dist, min(op+n, len(dst)); op < end; {
		op += copy(dst[op:end], dst[from:op]) // twice as much each time
	}
}

// decode decodes a sequence. RFC 8878, 3.1.1.3.2.1.2 and 3.1.1.5.
func (l *seqLoop) decode() {
	in := backward{l.src, l.start, l.left}
	ll, of, ml := l.entries[literalLength], l.entries[offset], l.entries[matchLength]
	value := int(of.base) + int(in.take(uint(of.extra)))
	l.size = int(ml.base) + int(in.take(uint(ml.extra)))
	l.litLen = int(ll.base) + int(in.take(uint(ll.extra)))
	if of.extra > 1 {
		l.rep = [3]int{value, l.rep[0], l.rep[1]}
	} else {
		if l.litLen == 0 {
			value++
		}
		l.repeat(value)
	}
	l.dist = l.rep[0]
	if l.n--; l.n > 0 {
		l.entries[literalLength] = l.tables[literalLength].at(uint(ll.next) + in.take(uint(ll.bits)))
		l.entries[matchLength] = l.tables[matchLength].at(uint(ml.next) + in.take(uint(ml.bits)))
		l.entries[offset] = l.tables[offset].at(uint(of.next) + in.take(uint(of.bits)))
	}
	l.left = in.left
}

// repeat makes one of the last distances, or 3: the last one less 1, the last one.
func (l *seqLoop) repeat(i int) {
	switch r := &l.rep; i {
	case 1:
		r[0], r[1] = r[1], r[0]
	case 2:
		r[0], r[1], r[2] = r[2], r[0], r[1]
	case 3:
		r[0], r[1], r[2] = r[0]-1, r[0], r[1]
	}
}

// execute executes the sequence that was decoded last, and checks all that can be wrong with it. It is for those that run
// leaves.
func (l *seqLoop) execute() error {
	if l.left < 0 {
		return corrupt("stream of sequences")
	}
	if err := l.literals(l.litLen); err != nil {
		return err
	}
	switch {
	case l.dist <= 0 || l.dist > l.window || l.dist > l.op && l.dist-l.op > l.old:
		return corrupt("distance of a match")
	case l.size > l.end-l.op:
		return corrupt("length of a block")
	}
	n := l.size
	if before := l.dist - l.op; before > 0 {
		from := l.old - before
		n = copy(l.dst[l.op:], l.dst[from:from+min(before, n)])
		l.op += n
		n = l.size - n // a ring: dst does not end here
	}
	overlap(l.dst, l.op, l.dist, n)
	if l.op += n; l.op > len(l.dst) {
		l.op = len(l.dst)
		return errFull
	}
	return nil
}

// literals copies n literals.
func (l *seqLoop) literals(n int) error {
	switch {
	case n > l.litEnd-l.litPos:
		return corrupt("number of literals")
	case n > l.end-l.op:
		return corrupt("length of a block")
	}
	if copy(l.dst[l.op:], l.lit[l.litPos:l.litPos+n]) < n {
		l.op = len(l.dst)
		return errFull
	}
	l.litPos += n
	l.op += n
	return nil
}
