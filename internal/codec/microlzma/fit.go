package microlzma

// FitDst encodes as long a prefix of src as its level can fit into dst, and returns the length of the stream,
// at most len(dst), and of the prefix. They are 0 if the stream would not be shorter than the prefix. The
// result depends on the options and on the arguments alone.
func (e *Encoder) FitDst(dst, src []byte) (written, consumed int) {
	if len(dst) <= rangeBytes || len(src) == 0 {
		return 0, 0
	}
	e.begin(dst, src)
	e.finder.start(src, e.dict)
	e.parser.start()
	if e.fits(symbol{1, literal}) { // the parsers count on a byte at every one of the last distances
		e.encode()
	}
	if e.rc.size() >= e.at {
		return 0, 0
	}
	e.rc.finish()
	dst[0] = ^byte(e.props())
	return e.rc.pos, e.at
}

// encode encodes what fits.
func (e *Encoder) encode() {
	for e.at < len(e.src) {
		e.queue = e.parser.parse(e.queue[:0])
		for _, y := range e.queue {
			posState := uint32(e.at) & e.pbMask
			if !e.fits(y) {
				e.fill()
				return
			}
			e.parser.used(y, posState)
		}
	}
}

// fill puts literals where a symbol had no room.
func (e *Encoder) fill() {
	for e.at < len(e.src) && e.fits(symbol{1, literal}) {
	}
}
