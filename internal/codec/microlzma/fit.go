package microlzma

// FitDst encodes as long a prefix of src as its level can fit into dst, and returns the length of the stream,
// at most len(dst), and of the prefix. They are 0 if the stream would not be shorter than the prefix. The
// result depends on the options and on the arguments alone.
func (e *Encoder) FitDst(dst, src []byte) (written, consumed int) {
	if len(dst) <= rangeBytes || len(src) == 0 {
		return 0, 0
	}
	e.begin(dst, src)
	clear(e.head[:])
	for e.at < len(src) && e.fits(e.simple()) {
	}
	for e.at < len(src) && e.fits(symbol{1, literal}) {
	}
	if e.rc.size() >= e.at {
		return 0, 0
	}
	e.rc.finish()
	dst[0] = ^byte(e.props())
	return e.rc.pos, e.at
}

func (e *Encoder) simple() symbol {
	src := e.src[e.at:]
	if len(src) < 4 {
		return symbol{1, literal}
	}
	h := &e.head[(uint32(src[0])|uint32(src[1])<<8|uint32(src[2])<<16|uint32(src[3])<<24)*2654435761>>18]
	cand := int(*h) - 1
	*h = int32(e.at) + 1
	if cand < 0 || e.at-cand > e.opt.Dict {
		return symbol{1, literal}
	}
	n := 0
	for n < min(len(src), maxMatch) && e.src[cand+n] == src[n] {
		n++
	}
	if n < 4 {
		return symbol{1, literal}
	}
	return symbol{uint32(n), uint32(e.at-cand-1) + numReps}
}
