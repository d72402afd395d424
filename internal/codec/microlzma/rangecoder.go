package microlzma

// rangeEncoder writes the bits of a stream to out. Bytes beyond out are counted and not written, so pos may become
// more than len(out); its caller finds out with size.
type rangeEncoder struct {
	low     uint64 // of which bit 32 is a carry into the pending bytes
	rng     uint32
	cache   byte // the first pending byte; those after it are 0xff
	pending int  // bytes that a carry may still change, cache included
	pos     int
	out     []byte

	logging bool // every probability goes to log before it changes
	log     []undone
}

func (r *rangeEncoder) start(out []byte) {
	*r = rangeEncoder{rng: 1<<32 - 1, pending: 1, out: out, log: r.log}
}

// shift moves the highest byte of low out.
func (r *rangeEncoder) shift() {
	if uint32(r.low) >= 0xff<<24 && r.low>>32 == 0 {
		r.pending++
	} else {
		carry := byte(r.low >> 32)
		for b := r.cache; r.pending > 0; r.pending-- {
			if r.pos < len(r.out) {
				r.out[r.pos] = b + carry
			}
			r.pos++
			b = 0xff
		}
		r.pending = 1
		r.cache = byte(r.low >> 24)
	}
	r.low = r.low & (1<<24 - 1) << 8
}

// size returns how long the stream is if it ends here.
func (r *rangeEncoder) size() int {
	n := r.pos + r.pending + rangeBytes - 1
	if r.rng < topValue {
		n++
	}
	return n
}

// finish ends the stream so that the decoder's value is 0 there.
func (r *rangeEncoder) finish() {
	if r.rng < topValue {
		r.shift()
	}
	for range rangeBytes {
		r.shift()
	}
}

// bit encodes a bit of probability p.
func (r *rangeEncoder) bit(p *uint16, bit uint32) {
	if r.rng < topValue {
		r.rng <<= 8
		r.shift()
	}
	v := uint32(*p)
	if r.logging {
		r.log = append(r.log, undone{p, uint16(v)})
	}
	bound := r.rng >> probBits * v
	if bit == 0 {
		r.rng = bound
		*p = uint16(v + (1<<probBits-v)>>probMove)
	} else {
		r.low += uint64(bound)
		r.rng -= bound
		*p = uint16(v - v>>probMove)
	}
}

// plain encodes the low bits of v, the highest one first, without probabilities.
func (r *rangeEncoder) plain(v uint32, bits uint32) {
	for bits > 0 {
		bits--
		if r.rng < topValue {
			r.rng <<= 8
			r.shift()
		}
		r.rng >>= 1
		if v>>bits&1 != 0 {
			r.low += uint64(r.rng)
		}
	}
}

// tree encodes the low bits of v, the highest one first, with the probabilities of a tree.
func (r *rangeEncoder) tree(probs []uint16, v uint32, bits uint32) {
	m := uint32(1)
	for bits > 0 {
		bits--
		b := v >> bits & 1
		r.bit(&probs[m], b)
		m = m<<1 | b
	}
}

// reverseTree is tree with the lowest bit first; the root is probs[at+1].
func (r *rangeEncoder) reverseTree(probs []uint16, at, v uint32, bits uint32) {
	m := uint32(1)
	for ; bits > 0; bits-- {
		r.bit(&probs[at+m], v&1)
		m = m<<1 | v&1
		v >>= 1
	}
}
