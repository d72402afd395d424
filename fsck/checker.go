package fsck

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
)

// granule is the unit of metadata claims. Every structure starts at a multiple of it.
const granule = 4

// checker is one walk over an image.
type checker struct {
	o   Options
	rep *Report
	max int   // findings that rep may hold
	err error // of the reader; it ends the walk

	im     *image.Image
	sb     *disk.Superblock
	bits   uint8
	bs     int64
	space  []space // by device, like im.Devices, and then the metabox
	absent []bool  // by device: not given, and not part of the image
	where  place
	record func(claim) // of the map and of the search for owners; may be nil

	seen    bitmap // NIDs that an entry named
	inos    bitmap // values of i_ino
	dirs    list[directory]
	names   arena
	links   linkTable
	packed  uint64 // NID of the packed inode, 0 if there is none
	box     int    // index of the metabox in space, 0 if there is none
	decoded int64  // bytes of compressed directories
	jobs    decodes
	said    map[string]bool // what is reported once for an image
	partial bool            // some entries could not be seen, so counts prove nothing
	missed  missed
	clashes [][]span // by device: bytes that two structures of metadata want
	buf     []byte   // block of the directory being read
	unused  gapReader
	prev    []byte // name before the current one
	chunks  []disk.ChunkIndex
	xattrs  xattrSet
}

// space is what the bytes of a device belong to.
type space struct {
	size int64 // 0 if the device is not given
	meta bitmap
	data extentSet
	// entries are the shared xattrs whose bounds were checked and claimed, by granule.
	entries bitmap
	// dirents are the bytes that were read as entries of directories, by granule. None is read twice,
	// so directories that share blocks cost no more than their inodes.
	dirents bitmap
}

// span is a range of bytes.
type span struct{ lo, hi int64 }

// missed counts what was not looked into.
type missed struct {
	metabox, indexes, absent uint64
}

// any tells whether bytes may belong to what was not looked into.
func (m *missed) any() bool { return m.metabox+m.indexes > 0 }

// place is what is being looked at, for findings and for the map.
type place struct {
	inode bool
	nid   uint64
	dir   int    // index of the directory, -1 for none
	name  []byte // in dir; nil for dir itself
	gen   uint32 // changes with every new inode
}

// claim says that bytes of a device belong to the current place.
type claim struct {
	device   int
	off, end int64
	kind     Kind
}

func newChecker(r io.ReaderAt, size int64, o Options) *checker {
	c := &checker{o: o, rep: &Report{Findings: []Finding{}, Counts: map[Code]int{}}, max: o.MaxFindings, said: map[string]bool{}, where: place{dir: -1}}
	if c.max == 0 {
		c.max = DefaultMaxFindings
	}
	c.space = []space{{size: max(size, 0)}}
	return c
}

// Check checks the image r of size bytes. An error is a failure of r or of a device; whatever is wrong
// with their bytes is in the report.
func Check(r io.ReaderAt, size int64, o Options) (*Report, error) {
	c := newChecker(r, size, o)
	if c.run(r); c.err != nil {
		return nil, c.err
	}
	if err := c.findOwners(r); err != nil {
		return nil, err
	}
	if c.finish(); c.err != nil {
		return nil, c.err
	}
	return c.rep, nil
}

// run reads the superblock and walks over everything that it leads to.
func (c *checker) run(r io.ReaderAt) {
	c.observe(PhaseSuper)
	if !c.super(r) {
		c.partial = true
		return
	}
	c.observe(PhaseInodes)
	c.unlinked()
	c.walk()
	c.flush()
	for i := range c.space {
		c.space[i].data.merge()
	}
}

// read returns n bytes of a device. The range must lie within c.space[device].size; nil means that
// the device failed, which c.err says.
func (c *checker) read(device int, off, n int64, what string) []byte {
	if c.err != nil {
		return nil
	}
	b, err := c.window(device).Read(off, n, what)
	if err != nil {
		c.fail(device, off, err)
		return nil
	}
	return b
}

// window returns the window of a device, nil if it is not given.
func (c *checker) window(device int) *image.Window {
	if device == c.box && device > 0 {
		device = image.MetaboxDevice
	}
	return c.im.Window(device)
}

// device returns the index in space of the device of an extent.
func (c *checker) device(device int) int {
	if device == image.MetaboxDevice {
		return c.box
	}
	return device
}

// meta returns the index in space of what the inode nid lies in.
func (c *checker) meta(nid uint64) int { return c.device(image.MetaDevice(nid)) }

// fail keeps the first failure of a device. The metabox fails where it cannot be decoded: what is there
// cannot be looked into.
func (c *checker) fail(device int, off int64, err error) {
	if device > 0 && device == c.box && (isCorrupt(err) || errors.Is(err, errors.ErrUnsupported)) {
		c.once("metabox", CompressedData, -1, nil, "the metabox cannot be decoded: "+why(err))
		c.missed.metabox++
		c.partial = true
		return
	}
	if c.err == nil {
		c.err = fmt.Errorf("fsck: device %d: offset %d: %w", device, off, err)
	}
}

// known takes an error about bytes that were checked before, so it was reported then; anything else is
// a failure of the device.
func (c *checker) known(off int64, err error) {
	if !isCorrupt(err) && !errors.Is(err, errors.ErrUnsupported) {
		c.fail(0, off, err)
	}
}

func isCorrupt(err error) bool { return errors.Is(err, disk.ErrCorrupt) }

// why returns the rule that a FormatError says is broken.
func why(err error) string {
	if f := (*disk.FormatError)(nil); errors.As(err, &f) {
		return f.Field + ": " + f.Why
	}
	return err.Error()
}

// hex and octal format values the way people know them.
func hex[T ~uint16 | ~uint32](v T) string { return fmt.Sprintf("%#x", uint64(v)) }
func octal(mode uint16) string            { return fmt.Sprintf("%#o", mode) }

// within tells whether n bytes at off are on the device.
func (c *checker) within(device int, off, n int64) bool {
	size := c.space[device].size
	return off >= 0 && n >= 0 && n <= size && off <= size-n
}

// add reports a finding about the current place. got is formatted as numbers and names are: %#x for
// bit sets is up to the caller.
func (c *checker) add(code Code, off int64, got any, why string, args ...any) {
	device := 0
	if c.where.inode {
		device = c.meta(c.where.nid)
	}
	c.addAt(c.where, code, device, off, got, why, args...)
}

// nowhere is the device of what has been decoded.
const nowhere = -1

func (c *checker) addAt(w place, code Code, device int, off int64, got any, why string, args ...any) {
	c.rep.Counts[code]++
	switch severity := code.Severity(); severity {
	case Error:
		c.rep.Errors++
	case Warning:
		c.rep.Warnings++
	default:
		c.rep.Notes++
	}
	if len(c.rep.Findings) >= c.max && !c.evict(code.Severity()) {
		c.rep.Omitted++
		return
	}
	switch {
	case device == nowhere:
		device, off = 0, -1
	case device == c.box && device > 0:
		device = image.MetaboxDevice
	}
	f := Finding{Code: code, Severity: code.Severity(), Device: device, Off: off, Inode: w.inode, Why: fmt.Sprintf(why, args...)}
	if w.inode {
		f.NID, f.Path = w.nid, c.path(w.dir, w.name)
	}
	switch v := got.(type) {
	case nil:
	case []byte:
		f.Got = fmt.Sprintf("%q", v)
	case string:
		f.Got = v
	default:
		f.Got = fmt.Sprint(v)
	}
	c.rep.Findings = append(c.rep.Findings, f)
}

// evict makes room for a finding of some severity in a full report by leaving out the last of the
// mildest ones; false if there is none milder.
func (c *checker) evict(s Severity) bool {
	worst := -1
	for i, f := range c.rep.Findings {
		if f.Severity < s && (worst < 0 || f.Severity <= c.rep.Findings[worst].Severity) {
			worst = i
		}
	}
	if worst < 0 {
		return false
	}
	c.rep.Findings = slices.Delete(c.rep.Findings, worst, worst+1)
	c.rep.Omitted++
	return true
}

// once reports what holds for the whole image and would otherwise repeat for every inode.
func (c *checker) once(key string, code Code, off int64, got any, why string) {
	if !c.said[key] {
		c.said[key] = true
		c.add(code, off, got, "%s", why)
	}
}

// maxPathText bounds the path of a finding: a hostile image can nest directories by the million.
const maxPathText = 4096

// path returns the path of a name in a directory, or of the directory itself if name is nil.
func (c *checker) path(dir int, name []byte) string {
	if dir < 0 {
		return ""
	}
	var parts [][]byte
	length := 0
	if name != nil {
		parts, length = append(parts, name), len(name)+1
	}
	for i := dir; i != 0; i = int(c.dirs.at(i).parent) {
		n := c.names.get(c.dirs.at(i).name)
		if length += len(n) + 1; length > maxPathText {
			parts = append(parts, []byte("..."))
			break
		}
		parts = append(parts, n)
	}
	if len(parts) == 0 {
		return "/"
	}
	out := make([]byte, 0, length)
	for _, p := range slices.Backward(parts) {
		out = append(append(out, '/'), p...)
	}
	return string(out)
}

// claimMeta gives n bytes of metadata to the current place and tells whether all of them were free.
// Those in front of the first byte that was taken are claimed all the same. The range must be on the
// device.
func (c *checker) claimMeta(device int, off, n int64, kind Kind) bool {
	if n == 0 {
		return true
	}
	end := off + n
	lo, hi := uint64(off)/granule, (uint64(end)+granule-1)/granule
	stop := c.space[device].meta.claim(lo, hi)
	if stop > lo {
		c.tell(claim{device, off, min(end, int64(stop*granule)), kind})
	}
	if stop == hi {
		c.rep.Stats.countMeta(kind, n)
		c.rep.Stats.Padding += int64(hi*granule) - end
		return true
	}
	c.clash(device, int64(stop*granule), end, kind)
	return false
}

// clash reports that bytes of the current place, from lo on, belong to other metadata.
func (c *checker) clash(device int, lo, end int64, kind Kind) {
	c.addAt(c.where, OverlapMeta, device, lo, kind, "shares bytes with other metadata")
	if len(c.clashes[device]) < maxClashes {
		c.clashes[device] = append(c.clashes[device], span{lo, end})
	}
}

// claimData gives n bytes of file data to the current place.
func (c *checker) claimData(device int, off, n int64) {
	if n > 0 {
		c.space[device].data.add(off, off+n)
		c.tell(claim{device, off, off + n, KindData})
	}
}

func (c *checker) tell(cl claim) {
	if c.record != nil {
		c.record(cl)
	}
}

func (c *checker) observe(p Phase) {
	if c.o.Observe != nil {
		c.o.Observe(Event{Phase: p, Inodes: c.rep.Stats.Inodes, Inos: c.inosInSuper(), Bytes: c.rep.Stats.BytesRead})
	}
}

func (c *checker) inosInSuper() uint64 {
	if c.sb == nil {
		return 0
	}
	return c.sb.Inos
}
