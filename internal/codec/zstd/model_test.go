package zstd

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// model makes frames of random sequences together with what they decode to, byte by byte. All tables are of a single code, so
// that any code can be had; windows are small, so that a Reader's ring goes round.
type model struct {
	r       *rand.Rand
	hostile bool // now and then something is wrong
	window  int
	out     []byte
	rep     [3]int
	bad     bool // something is: nothing of the block is given
}

// modelFrame returns a frame, what is given of it, and whether it is wrong.
func modelFrame(r *rand.Rand, hostile bool) (frame, out []byte, bad bool) {
	e, m := r.IntN(3), r.IntN(8)
	f := model{r: r, hostile: hostile, window: 1<<(10+e) + 1<<(7+e)*m, rep: [3]int{1, 4, 8}}
	var blocks []byte
	for size, last := r.IntN(6*f.window), false; !last && !f.bad; {
		last = len(f.out) >= size
		before := len(f.out)
		b, kind, n := f.block()
		h := n<<3 | kind<<1
		if last {
			h |= 1
		}
		blocks = append(append(blocks, byte(h), byte(h>>8), byte(h>>16)), b...)
		if f.bad {
			f.out = f.out[:before]
			blocks = append(blocks, make([]byte, r.IntN(100))...)
		}
	}
	window := byte(e<<3 | m)
	frame = binary.LittleEndian.AppendUint32(nil, magic)
	switch r.IntN(3) {
	case 0:
		return append(append(frame, 0, window), blocks...), f.out, f.bad
	case 1:
		n := uint32(len(f.out))
		if f.bad {
			n += 1 << 20
		}
		frame = binary.LittleEndian.AppendUint32(append(frame, 2<<6, window), n)
		return append(frame, blocks...), f.out, f.bad
	}
	var c checksum
	c.reset()
	c.update(f.out)
	frame = append(append(frame, 1<<2, window), blocks...)
	return binary.LittleEndian.AppendUint32(frame, uint32(c.sum())), f.out, f.bad
}

// rarely is for what is wrong.
func (m *model) rarely() bool { return m.hostile && m.r.IntN(200) == 0 }

func (m *model) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.r.Uint32())
	}
	return b
}

func (m *model) block() (b []byte, kind, n int) {
	limit := min(m.window, maxBlock)
	switch m.r.IntN(12) {
	case 0:
		b = m.bytes(m.r.IntN(limit + 1))
		m.out = append(m.out, b...)
		return b, rawBlock, len(b)
	case 1:
		b, n = m.bytes(1), m.r.IntN(limit+1)
		m.out = append(m.out, bytes.Repeat(b, n)...)
		return b, oneBlock, n
	}
	b = m.compressed(limit)
	m.bad = m.bad || len(b) > limit
	return b, compressedBlock, len(b)
}

// modelSequence is a sequence and its extra bits.
type modelSequence struct {
	literals, distance, size int
	extra                    [3]uint64
}

// compressed makes a block of up to limit bytes.
func (m *model) compressed(limit int) []byte {
	code := m.codes()
	var seqs []modelSequence
	size, literals, rep := 0, 0, m.rep
	for range m.r.IntN(30) {
		s, after, ok := m.sequence(code, rep, size)
		ok = ok && size+s.literals+s.size <= limit
		if !ok && !m.rarely() {
			break
		}
		m.bad = !ok
		rep = after
		seqs = append(seqs, s)
		size += s.literals + s.size
		if literals += s.literals; m.bad {
			break
		}
	}
	if rest := limit - size; rest > 0 {
		literals += m.r.IntN(min(rest, 40) + 1)
	}
	if m.rarely() && literals > 0 {
		m.bad = m.bad || literals == sum(seqs)
		literals--
	}
	m.bad = m.bad || literals > limit
	lit, b := m.literals(min(literals, maxBlock))
	if b = append(b, byte(len(seqs))); len(seqs) > 0 {
		b = append(b, oneMode<<6|oneMode<<4|oneMode<<2, code[literalLength], code[offset], code[matchLength])
		b = m.bits(b, code, seqs)
	}
	if m.bad {
		return b
	}
	m.rep = rep
	for _, s := range seqs {
		m.out = append(m.out, lit[:s.literals]...)
		lit = lit[s.literals:]
		for range s.size {
			m.out = append(m.out, m.out[len(m.out)-s.distance])
		}
	}
	m.out = append(m.out, lit...)
	return b
}

func sum(seqs []modelSequence) (literals int) {
	for _, s := range seqs {
		literals += s.literals
	}
	return literals
}

// codes chooses the code of each kind that a block has.
func (m *model) codes() (c [3]uint8) {
	far := 1
	for 1<<far < 2*m.window {
		far++
	}
	c = [3]uint8{literalLength: uint8(m.r.IntN(27)), offset: uint8(m.r.IntN(far + 1)), matchLength: uint8(m.r.IntN(40))}
	if m.r.IntN(4) == 0 {
		c[literalLength] = 0
	}
	if m.rarely() {
		c = [3]uint8{literalLength: uint8(m.r.IntN(literalCodes)), offset: uint8(m.r.IntN(offsetCodes)), matchLength: uint8(m.r.IntN(matchCodes))}
	}
	return c
}

// sequence chooses extra bits; ok if the distance is one, behind so many bytes of the block.
func (m *model) sequence(code [3]uint8, rep [3]int, size int) (s modelSequence, after [3]int, ok bool) {
	value := [3]int{}
	for kind, c := range code {
		v := &seqCodes[kind]
		s.extra[kind] = m.r.Uint64() & (1<<v.extra[c] - 1)
		value[kind] = int(v.base[c]) + int(s.extra[kind])
	}
	s.literals, s.size = value[literalLength], value[matchLength]
	have := min(len(m.out)+size+s.literals, m.window)
	if n := uint(code[offset]); n > 1 {
		d := []int{value[offset], m.window, have, have - m.r.IntN(70), 1 + m.r.IntN(20)}[m.r.IntN(5)]
		if m.rarely() {
			d = m.window + 1
		}
		if x := d + 3 - 1<<n; x >= 0 && x < 1<<n {
			s.extra[offset], value[offset] = uint64(x), d
		}
		s.distance, after = value[offset], [3]int{value[offset], rep[0], rep[1]}
	} else {
		i := value[offset]
		if s.literals == 0 {
			i++
		}
		s.distance = append(rep[:], rep[0]-1)[i]
		after = [][3]int{rep, {rep[1], rep[0], rep[2]}, {rep[2], rep[0], rep[1]}, {rep[0] - 1, rep[0], rep[1]}}[i]
	}
	return s, after, s.distance > 0 && s.distance <= have
}

// literals makes a section of n literals.
func (m *model) literals(n int) (lit, section []byte) {
	kind := byte(rawLiterals)
	lit = m.bytes(n)
	if m.r.IntN(5) == 0 && n > 0 {
		kind, lit = oneLiteral, bytes.Repeat(lit[:1], n)
	}
	switch {
	case n < 1<<5 && m.r.IntN(2) == 0:
		section = []byte{kind | byte(n<<3)}
	case n < 1<<12 && m.r.IntN(2) == 0:
		section = []byte{kind | 1<<2 | byte(n<<4), byte(n >> 4)}
	default:
		section = []byte{kind | 3<<2 | byte(n<<4), byte(n >> 4), byte(n >> 12)}
	}
	if kind == oneLiteral {
		return lit, append(section, lit[0])
	}
	return lit, append(section, lit...)
}

// bits appends the extra bits of sequences, the last one first.
func (m *model) bits(b []byte, code [3]uint8, seqs []modelSequence) []byte {
	var bit []byte
	if m.rarely() {
		m.bad = true // one bit too much
		bit = append(bit, 0)
	}
	for i := len(seqs) - 1; i >= 0; i-- {
		for _, kind := range [3]int{literalLength, matchLength, offset} {
			for k := range seqCodes[kind].extra[code[kind]] {
				bit = append(bit, byte(seqs[i].extra[kind]>>k&1))
			}
		}
	}
	bit = append(bit, 1)
	for ; len(bit)%8 != 0; bit = append(bit, 0) {
	}
	for i := 0; i < len(bit); i += 8 {
		c := byte(0)
		for k, v := range bit[i : i+8] {
			c |= v << k
		}
		b = append(b, c)
	}
	return b
}

// What Readers make of streams of a model's frames, with other sizes of the ring as well, in guarded memory.
func TestReaderAgainstAModel(t *testing.T) {
	rounds := 6000
	if testing.Short() {
		rounds = 500
	}
	const ringSize = 2*(4096+7*512) + 2*copySlack
	in, ring := oracle.NewArena(headroom+maxBlock).Last(headroom+maxBlock), oracle.NewArena(ringSize).Last(ringSize)
	bad, round := 0, 0
	for i := range rounds {
		r := rand.New(rand.NewPCG(uint64(i), 7))
		var stream, want []byte
		wrong := false
		for n := 1 + r.IntN(3); n > 0 && !wrong; n-- {
			var f, out []byte
			f, out, wrong = modelFrame(r, i%2 == 1)
			stream, want = append(stream, f...), append(want, out...)
			if r.IntN(4) == 0 && !wrong {
				stream = append(stream, skippableFrame(r.IntN(20))...)
			}
		}
		check := func(name string, dst []byte) {
			z := NewReader(bytes.NewReader(stream), 1<<20)
			z.in, z.d.loop.dst = in, dst
			got, err := io.ReadAll(io.MultiReader(io.LimitReader(z, int64(r.IntN(3000))), z))
			if (err != nil) != wrong || !bytes.Equal(got, want) {
				t.Fatalf("%s, stream %d: %d bytes, %v; want %d, wrong: %v", name, i, len(got), err, len(want), wrong)
			}
			if z.d.loop.old > 0 {
				round++
			}
		}
		check("a ring of its own", nil)
		check("a ring with guards", ring)
		twin(func() { check("the loops in Go", ring) })
		if wrong {
			bad++
		}
	}
	if bad < rounds/20 || round < rounds/2 {
		t.Errorf("of %d streams %d were wrong, %d rings went round: too few to say something", rounds, bad, round)
	}
}

func TestDecodeAgainstAModel(t *testing.T) {
	for i := range 1500 {
		r := rand.New(rand.NewPCG(uint64(i), 99))
		f, out, wrong := modelFrame(r, i%2 == 1)
		if len(out) == 0 {
			continue
		}
		n := 1 + r.IntN(len(out))
		ins, outs := arenas()
		src, dst := ins.Last(len(f)), outs.Last(n)
		copy(src, f)
		clear(dst)
		if err := Decode(dst, src, MaxWindowLog); err != nil || !bytes.Equal(dst, out[:n]) {
			t.Fatalf("frame %d: %d of %d bytes: %v", i, n, len(out), err)
		}
		if err := DecodeWhole(make([]byte, len(out)), f, MaxWindowLog); (err != nil) != wrong {
			t.Fatalf("frame %d: the whole: %v, wrong: %v", i, err, wrong)
		}
	}
}
