package mkfs

import "math/bits"

// ends finds what the end of a file shares with the ends of the fragments that came before it: the longest there is,
// compared byte by byte. It is a crit-bit tree of the fragments, read backwards:
//
//	fork (byte 7 from the end, bit 3) ─► fork (byte 20, bit 0) ─► fragments
//
// A fork is where fragments first differ that are equal behind it. So a search looks at some bits of what it is asked
// for, and then at the bytes of one fragment; it takes as long as what it is asked for is long, however many fragments
// end alike. One that ends another fragment is not remembered, as that one is. Memory: 44 bytes for each fragment;
// their bytes go to a file.
type ends struct {
	bytes tails
	known []fragment
	forks []fork
	root  int32 // fork n, or ^n: fragment n
	buf   []byte
}

// fragment is the bytes before an offset of the packed inode.
type fragment struct {
	end int64
	at  int64 // in ends.bytes
	n   int
}

// fork leads to fragments that differ in a bit of a byte, counted from the end.
type fork struct {
	at   int32
	bit  uint8
	some int32 // a fragment that it leads to
	next [2]int32
}

// maxEnd is the longest fragment that is compared, as long as mkfs.erofs looks for. Of longer ones only equal ones
// are found.
const maxEnd = 256 << 10

// common is how bytes end as a fragment does.
type common struct {
	of   int  // fragment
	n    int  // bytes
	diff byte // bits in which the byte before differs; 0: there is none before
}

// side returns where a fork sends b, which is long enough.
func (f *fork) side(b []byte) *int32 { return &f.next[b[len(b)-1-int(f.at)]>>f.bit&1] }

// find returns the fragment that ends like b in the most bytes.
func (e *ends) find(b []byte) (common, error) {
	if len(e.known) == 0 {
		return common{}, nil
	}
	at := e.root
	for at >= 0 {
		f := &e.forks[at]
		if int(f.at) >= len(b) { // all of them are alike as far as b goes
			at = ^f.some
			break
		}
		at = *f.side(b)
	}
	c := common{of: int(^at)}
	f := &e.known[c.of]
	most := min(f.n, len(b))
	for step := 256; c.n < most; step *= 4 { // most differ soon
		part := b[:len(b)-c.n]
		n := min(step, most-c.n)
		part = part[len(part)-n:]
		e.buf = append(e.buf[:0], part...)
		if err := e.bytes.read(e.buf, f.at+int64(f.n-c.n-n)); err != nil {
			return common{}, err
		}
		same := commonSuffix(part, e.buf)
		c.n += same
		if same < n {
			c.diff = part[n-1-same] ^ e.buf[n-1-same]
			break
		}
	}
	return c, nil
}

// add takes note of a fragment that ends before an offset of the packed inode, and has more bytes than find said of it.
func (e *ends) add(b []byte, end int64, c common) error {
	at, err := e.bytes.add(b)
	if err != nil {
		return err
	}
	f := fragment{end, at, len(b)}
	if len(e.known) > 0 && c.diff == 0 { // it ends as another one, all of it
		e.known[c.of] = f
		return nil
	}
	n := int32(len(e.known))
	e.known = append(e.known, f)
	if n == 0 {
		e.root = ^n
		return nil
	}
	bit := uint8(bits.Len8(c.diff) - 1)
	link := &e.root
	for *link >= 0 {
		g := &e.forks[*link]
		if int(g.at) > c.n || int(g.at) == c.n && g.bit < bit {
			break
		}
		link = g.side(b)
	}
	g := fork{int32(c.n), bit, n, [2]int32{*link, *link}}
	*g.side(b) = ^n
	*link = int32(len(e.forks))
	e.forks = append(e.forks, g)
	return nil
}

// commonSuffix returns how many bytes at the ends of two slices of one length are the same.
func commonSuffix(a, b []byte) int {
	n := len(a)
	for n >= 64 && string(a[n-64:n]) == string(b[n-64:n]) {
		n -= 64
	}
	for n > 0 && a[n-1] == b[n-1] {
		n--
	}
	return len(a) - n
}
