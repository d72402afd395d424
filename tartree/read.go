package tartree

import (
	"errors"
	"io"
	"math"
	"path"

	"github.com/laminafs/lamina/tree"
)

// maxSize bounds the size of a file: EROFS addresses 2^48 blocks of 4 KiB.
const maxSize = 1 << 60

// Read reads the tar archive that r streams, uncompressed (see Decompress), and returns its tree. The
// data of regular files goes to spool in the order of the archive, also of files that a later entry
// replaces. The reader that spool gets offers NextWindow (Windower) and WriteTo; what spool leaves unread is
// skipped.
//
// If r is a Windower, its windows are parsed in place. Read stops behind the end mark but takes whole
// windows, or buffers, from r: drain r for a digest, do not parse what follows.
//
// Errors: *Error for what is wrong with the archive, what r or spool returned otherwise, wrapped.
func Read(r io.Reader, spool tree.Spool, o Options) (*tree.Tree, error) {
	if o.MaxNodes <= 0 {
		o.MaxNodes = DefaultMaxNodes
	}
	rd := &reader{o: o, spool: spool}
	rd.path = rd.cleanName // one closure for all files
	rd.s.open(r)
	rd.data.s = &rd.s
	rd.place.init(&rd.o)
	rd.local.sparse.reset()
	err := rd.run()
	if o.Stats != nil {
		rd.stats.End = rd.s.pos()
		*o.Stats = rd.stats
	}
	if err != nil {
		return nil, err
	}
	rd.place.finish()
	return rd.place.tree, nil
}

// reader is the state of one Read.
type reader struct {
	o     Options
	s     stream
	spool tree.Spool
	place place
	data  payload
	stats Stats

	off    int64  // of the first header of the current entry
	name   []byte // of the current entry, as the archive has it
	path   func() string
	link   []byte
	global attrs
	local  attrs // of the current entry, global included
	pax    bool  // an x header came

	gnuName, gnuLink []byte
	hasName, hasLink bool // an L or K header came

	interned map[string]string
}

// entry is a header with all that extended headers change.
type entry struct {
	typ          byte
	mode         uint32
	uid, gid     uint32
	major, minor int64
	mtime        int64
	nsec         uint32
	size         int64 // of the payload
	xattrs       []tree.Xattr
	sparse       bool
	realSize     int64
	extents      []tree.Extent // of a sparse file, as the archive has them
}

func (r *reader) run() error {
	for {
		b, err := r.header()
		if err != nil || b == nil {
			return err
		}
		switch typ := b[156]; typ {
		case typePax, typePaxSun, typeGlobal:
			err = r.readPax(b, typ)
		case typeGNUName, typeGNULink:
			err = r.readLong(b, typ)
		default:
			err = r.readEntry(b, typ)
			r.pax, r.hasName, r.hasLink = false, false, false
		}
		if err != nil {
			return err
		}
	}
}

// header returns the next header block, checked; nil at the end of the archive.
func (r *reader) header() (*[blockSize]byte, error) {
	extended := r.pax || r.hasName || r.hasLink
	for zeroBlocks := 0; ; zeroBlocks++ {
		at := r.s.pos()
		if !extended {
			r.off, r.name = at, r.name[:0]
		}
		b, n := r.s.block()
		switch {
		case b == nil && !errors.Is(r.s.err, io.EOF):
			return nil, readError(r.s.pos(), r.s.err)
		case b == nil && n > 0 && at == 0:
			return nil, r.fail(noTar(r.s.header[:n]))
		case b == nil && n > 0:
			return nil, r.fail("archive ends inside a header")
		case b == nil || isZero(b) && zeroBlocks > 0 && !r.o.Concatenated:
			r.stats.EndMark = zeroBlocks > 0
			if extended {
				r.warn("extended header without an entry left out")
			}
			return nil, nil
		case isZero(b):
			continue
		case zeroBlocks > 0 && !r.o.Concatenated:
			return nil, r.fail("a single block of zeros between entries")
		case !checksum(b) && at == 0:
			return nil, r.fail(noTar(b[:]))
		case !checksum(b):
			r.name = appendName(r.name[:0], b)
			return nil, r.failAt(at, "checksum of the header is wrong")
		}
		return b, nil
	}
}

// noTar says what data are that do not begin with a header.
func noTar(b []byte) string {
	switch kind, other := recognize(b); {
	case kind != None:
		return "no tar archive: " + kind.String() + " data, compressed twice"
	case other != "":
		return "no tar archive: " + other
	case len(b) < blockSize:
		return "no tar archive: shorter than a header"
	}
	return "no tar archive: checksum of the first header is wrong"
}

// extended returns the payload of an extended header.
func (r *reader) extended(b *[blockSize]byte) ([]byte, error) {
	r.name = appendName(r.name[:0], b)
	size, ok := octal12((*[12]byte)(b[124:136]))
	if !ok || size < 0 || size > maxExtended {
		return nil, r.fail("extended header is larger than 1 MiB")
	}
	padded := (size + blockSize - 1) &^ (blockSize - 1)
	body := r.s.bytes(int(padded))
	if int64(len(body)) < size {
		return nil, r.cut(size - int64(len(body)))
	}
	return body[:size], nil
}

func (r *reader) readPax(b *[blockSize]byte, typ byte) error {
	if r.pax {
		return r.fail("extended header follows an extended header")
	}
	body, err := r.extended(b)
	if err != nil {
		return err
	}
	a := &r.local
	if typ == typeGlobal {
		a = &r.global
		a.reset(&attrs{})
	} else {
		r.pax = true
		a.reset(&r.global)
	}
	if why := paxRecords(body, func(k, v []byte) string { return r.record(a, k, v) }); why != "" {
		return r.fail(why)
	}
	if typ != typeGlobal {
		return nil
	}
	if a.has&(hasPath|hasLink|hasSize) != 0 || a.sparse.used {
		r.warn("path, linkpath, size and GNU.sparse of a global header left out")
		a.has &^= hasPath | hasLink | hasSize
	}
	if len(a.xattrs)+len(a.archived) > maxGlobalXattrs {
		return r.fail("more than 16 extended attributes in a global header")
	}
	return nil
}

func (r *reader) readLong(b *[blockSize]byte, typ byte) error {
	body, err := r.extended(b)
	if err != nil {
		return err
	}
	body = cString(body)
	if typ == typeGNUName {
		r.gnuName, r.hasName = append(r.gnuName[:0], body...), len(body) > 0
	} else {
		r.gnuLink, r.hasLink = append(r.gnuLink[:0], body...), len(body) > 0
	}
	return nil
}

// readEntry takes one real entry in, its payload included.
func (r *reader) readEntry(b *[blockSize]byte, typ byte) error {
	var e entry
	e.typ = typ
	a := &r.global
	if r.pax {
		a = &r.local
	}
	r.names(b, a)
	if err := r.fields(&e, b, a); err != nil {
		return err
	}
	r.stats.Entries++
	switch e.typ {
	case typeFile, typeContiguous, typeGNUSparse:
		return r.file(&e, b, a)
	case typeDir, typeSymlink, typeChar, typeBlock, typeFifo, typeLink:
		return r.add(&e)
	case typeGNUDumpDir:
		e.typ = typeDir
		if err := r.add(&e); err != nil {
			return err
		}
		return r.skip(e.size)
	case typeGNUVolume:
		r.warn("name of a volume left out")
		return r.skip(e.size)
	case typeGNUMulti:
		return r.unsupported("file that begins on another volume")
	}
	return r.unsupported("entry of an unknown type " + quoteByte(e.typ))
}

// names finds the name and the link name of the entry.
func (r *reader) names(b *[blockSize]byte, a *attrs) {
	switch {
	case r.hasName:
		r.name = append(r.name[:0], r.gnuName...)
	case a.has&hasPath != 0:
		r.name = append(r.name[:0], a.path...)
	default:
		r.name = appendName(r.name[:0], b)
	}
	if b[156] != typeLink && b[156] != typeSymlink {
		return
	}
	switch {
	case r.hasLink:
		r.link = append(r.link[:0], r.gnuLink...)
	case a.has&hasLink != 0:
		r.link = append(r.link[:0], a.link...)
	default:
		r.link = append(r.link[:0], cString(b[157:257])...)
	}
}

// fields fills e from the header and from a.
func (r *reader) fields(e *entry, b *[blockSize]byte, a *attrs) error {
	mode, ok1 := octal8((*[8]byte)(b[100:108]))
	uid, ok2 := octal8((*[8]byte)(b[108:116]))
	gid, ok3 := octal8((*[8]byte)(b[116:124]))
	mtime, ok4 := octal12((*[12]byte)(b[136:148]))
	if a.has != 0 {
		if a.has&hasUID != 0 {
			uid, ok2 = a.uid, true
		}
		if a.has&hasGID != 0 {
			gid, ok3 = a.gid, true
		}
		if a.has&hasMtime != 0 {
			mtime, ok4 = a.mtime, true
			e.nsec = a.nsec
		}
	}
	switch {
	case !ok1:
		return r.fail("mode is not a number")
	case !ok2 || uid < 0 || uid > math.MaxUint32:
		return r.fail("user id is not a number of 32 bits")
	case !ok3 || gid < 0 || gid > math.MaxUint32:
		return r.fail("group id is not a number of 32 bits")
	case !ok4:
		return r.fail("modification time is not a number")
	}
	e.mode, e.uid, e.gid, e.mtime = uint32(mode)&tree.PermMask, uint32(uid), uint32(gid), mtime
	e.xattrs = a.finishXattrs()
	switch e.typ {
	case typeFileV7:
		e.typ = typeFile
		if n := len(r.name); n > 0 && r.name[n-1] == '/' {
			e.typ = typeDir
		}
	case typeChar, typeBlock:
		return r.device(e, b, a)
	}
	if e.typ == typeFile || e.typ > typeFifo { // anything else has no payload, whatever the field says
		return r.size(e, b, a)
	}
	return nil
}

func (r *reader) size(e *entry, b *[blockSize]byte, a *attrs) error {
	size, ok := octal12((*[12]byte)(b[124:136]))
	if a.has&hasSize != 0 {
		size, ok = a.size, true
	}
	if !ok || size < 0 || size > maxSize {
		return r.fail("size is not a number from 0 to 2^60")
	}
	e.size = size
	return nil
}

func (r *reader) device(e *entry, b *[blockSize]byte, a *attrs) error {
	var ok1, ok2 = true, true
	if formatOf(b) != formatV7 {
		e.major, ok1 = octal8((*[8]byte)(b[329:337]))
		e.minor, ok2 = octal8((*[8]byte)(b[337:345]))
	}
	if a.has&hasMajor != 0 {
		e.major = a.major
	}
	if a.has&hasMinor != 0 {
		e.minor = a.minor
	}
	if !ok1 || !ok2 || e.major < 0 || e.major >= 1<<12 || e.minor < 0 || e.minor >= 1<<20 {
		return r.fail("device number is not one of Linux (12 bits major, 20 bits minor)")
	}
	return nil
}

// file takes in a regular file and its payload.
func (r *reader) file(e *entry, b *[blockSize]byte, a *attrs) error {
	var err error
	switch {
	case e.typ == typeGNUSparse:
		err = r.sparseGNU(e, b)
	case r.pax && a.sparse.used:
		err = r.sparsePAX(e, &a.sparse)
	}
	if err != nil {
		return err
	}
	f := tree.File{Size: e.size, Pos: r.s.pos(), Path: r.path}
	if e.sparse {
		if e.realSize < 0 || e.realSize > maxSize {
			return r.fail("size of the sparse file is not a number from 0 to 2^60")
		}
		var why string
		if f.Data, why = sparseData(e.extents, e.realSize, e.size); why != "" {
			return r.fail(why)
		}
		f.Size = e.realSize
	}
	return r.put(e, f)
}

// cleanName returns the path of the current entry as package io/fs has paths.
func (r *reader) cleanName() string { return path.Clean("/" + string(r.name))[1:] }

// put gives the payload to the spool and places the node.
func (r *reader) put(e *entry, f tree.File) error {
	s, err := r.slot(e)
	if err != nil {
		return err
	}
	if s.dir == nil {
		return r.skip(e.size)
	}
	r.data.left = e.size
	c, err := r.spool.Put(f, &r.data)
	if r.data.left > 0 && r.s.err != nil && len(r.s.win) == 0 {
		return r.cut(r.data.left)
	}
	if err != nil {
		return spoolError(r.name, err)
	}
	n := r.place.node()
	fill(n, e)
	n.Mode |= tree.TypeRegular
	n.Size, n.Content = f.Size, c
	r.place.put(s.dir, string(s.base), n)
	r.stats.Files++
	r.stats.Payload += e.size
	left := r.data.left
	r.data.left = 0
	return r.skipPadded(left, e.size)
}

// skip leaves out a payload of n bytes with its padding.
func (r *reader) skip(n int64) error { return r.skipPadded(n, n) }

// skipPadded leaves out the last left bytes of a payload of size bytes with its padding. That an archive
// ends inside the padding is no error.
func (r *reader) skipPadded(left, size int64) error {
	pad := -size & (blockSize - 1)
	if missing := r.s.skip(left + pad); missing > pad {
		return r.cut(missing - pad)
	} else if missing > 0 && !errors.Is(r.s.err, io.EOF) {
		return readError(r.s.pos(), r.s.err)
	}
	return nil
}
