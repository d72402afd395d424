package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/disk"
)

// dumpFront is a command line of dump.erofs.
type dumpFront struct {
	frontend
	super, stats, extents, ls, cat bool
	path                           string
	nid                            uint64
	byNID                          bool
	offset                         int64
	devices                        []string

	im  *imageFile
	out *bufio.Writer
}

// dumpErofs is dump.erofs.
func (e *env) dumpErofs(name string, args []string) int {
	out := bufio.NewWriter(e.stdout)
	f := &dumpFront{frontend: frontend{name: name, help: dumpHelp}, out: out}
	operands, done, err := f.parse(out, args, f.options())
	if err == nil && !done {
		err = f.run(e, operands)
	}
	return e.frontExit(name, errors.Join(err, out.Flush()))
}

func (f *dumpFront) options() []option {
	opts := append(f.common(), []option{
		{short: 's', set: flag(&f.super, true)},
		{short: 'S', set: flag(&f.stats, true)},
		{short: 'e', set: flag(&f.extents, true)},
		{long: "ls", set: flag(&f.ls, true)},
		{long: "cat", set: flag(&f.cat, true)},
		{long: "path", arg: needArg, set: text(&f.path)},
		{long: "nid", arg: needArg, set: func(v string) (err error) {
			f.byNID = true
			f.nid, err = strconv.ParseUint(v, 0, 64)
			return err
		}},
		{long: "device", arg: needArg, set: list(&f.devices)},
		{long: "offset", arg: needArg, set: func(v string) (err error) {
			f.offset, err = parseSize(v)
			return err
		}},
	}...)
	return append(opts, refuse(noArg, "blkid-udev")...)
}

func (f *dumpFront) run(e *env, operands []string) error {
	if len(operands) != 1 {
		return usagef("missing argument: IMAGE; see %s --help", f.name)
	}
	inode := f.path != "" || f.byNID
	if (f.ls || f.cat || f.extents) && !inode {
		return usagef("-e, --ls and --cat need --path or --nid")
	}
	im, err := openFiles(operands[0], f.offset, f.devices)
	if err != nil {
		return err
	}
	defer im.close()
	f.im = im
	if f.super || !inode && !f.stats {
		if err := f.showSuper(); err != nil {
			return fmt.Errorf("%s: %w", operands[0], err)
		}
	}
	if !f.stats && !inode {
		return nil
	}
	if err := im.read(); err != nil {
		return fmt.Errorf("%s: %w", operands[0], err)
	}
	if f.stats {
		if err := f.showStats(e); err != nil {
			return err
		}
	}
	if inode {
		return f.showInode(e)
	}
	return nil
}

// showSuper is -s.
func (f *dumpFront) showSuper() error {
	s, err := f.im.super()
	if err != nil {
		return err
	}
	line := func(name string, format string, v any) { fmt.Fprintf(f.out, "%-45s "+format+"\n", name+":", v) }
	line("Filesystem magic number", "0x%X", s.Magic)
	line("Filesystem blocksize", "%d", s.BlockSize())
	blocks := s.Blocks()
	for _, d := range s.devices {
		blocks += d.Blocks
	}
	line("Filesystem blocks", "%d", blocks)
	line("Filesystem inode metadata start block", "%d", s.MetaBlkAddr)
	line("Filesystem shared xattr metadata start block", "%d", s.XattrBlkAddr)
	line("Filesystem root nid", "%d", s.RootNID())
	if s.Incompat&disk.HasFragments != 0 && s.PackedNID != 0 {
		line("Filesystem packed nid", "%d", s.PackedNID)
	}
	if s.Incompat&disk.HasMetabox != 0 {
		line("Filesystem metabox nid", "%d", s.MetaboxNID)
	}
	if s.Incompat&disk.HasComprCfgs != 0 {
		line("Filesystem compr_algs", "%s", strings.ReplaceAll(s.Algorithms().String(), ",", ", "))
	} else {
		line("Filesystem lz4_max_distance", "%d", s.ComprAlgs)
	}
	line("Filesystem sb_size", "%d", s.Size())
	line("Filesystem inode count", "%d", s.Inos)
	line("Filesystem created", "%s", time.Unix(s.Epoch+int64(s.BuildTime), 0).Format("Mon Jan _2 15:04:05 2006"))
	compat, incompat, kernel := featureNames(&s.Superblock)
	line("Filesystem compatible features", "%s", compat)
	line("Filesystem incompatible features", "%s", incompat)
	line("Filesystem UUID", "%s", formatUUID(s.UUID))
	if kernel != "" {
		line("Required upstream Linux kernel version", "%s", kernel)
	}
	return nil
}

// featureNames lists the features, each with a space behind it as the original has it: where a bit has
// two names, it prints both, unless the device table tells which one is meant.
func featureNames(s *disk.Superblock) (compat, incompat, kernel string) {
	for _, ft := range disk.AllFeatures() {
		switch {
		case ft.Compat&s.Compat != 0:
			compat += ft.Name + " "
		case ft.Incompat&s.Incompat == 0,
			ft.Name == "device_table" && s.ExtraDevices == 0, ft.Name == "compr_head2" && s.ExtraDevices != 0:
		default:
			incompat += ft.Name + " "
		}
	}
	return compat, incompat, featuresKernel(s)
}

// featuresKernel is the first kernel that knows the incompatible features and the compression algorithms
// of an image, "" if it has none.
func featuresKernel(s *disk.Superblock) (kernel string) {
	for _, ft := range disk.Features(s) {
		if ft.Incompat != 0 {
			kernel = laterKernel(kernel, ft.Kernel)
		}
	}
	for a, since := range map[disk.Algorithm]string{disk.LZMA: "5.16", disk.Deflate: "6.6", disk.ZSTD: "6.10"} {
		if s.Algorithms().Has(a) {
			kernel = laterKernel(kernel, since)
		}
	}
	return kernel
}

// laterKernel returns the later of two versions MAJOR.MINOR; "" is earlier than all.
func laterKernel(a, b string) string {
	var a1, a2, b1, b2 int
	_, _ = fmt.Sscanf(a, "%d.%d", &a1, &a2) // "" leaves zeros
	_, _ = fmt.Sscanf(b, "%d.%d", &b1, &b2)
	if b1 > a1 || b1 == a1 && b2 > a2 {
		return b
	}
	return a
}

// errFound ends a walk that has found what it looked for.
var errFound = errors.New("found")

// find returns the inode asked for, its path and its parent directory.
func (f *dumpFront) find(e *env) (i, parent *erofs.Inode, path string, err error) {
	if !f.byNID {
		i, err = f.im.Lookup(trimSlashes(f.path))
		return i, f.im.Root(), f.path, err
	}
	root := f.im.Root()
	if i, err = f.im.Inode(f.nid); err != nil || i.NID == root.NID {
		return i, root, "/", err
	}
	err = e.walk(f.im, root, "", true, func(p *erofs.Inode, name string, in *erofs.Inode) error {
		if in.NID != f.nid {
			return nil
		}
		parent, path = p, "/"+name
		return errFound
	})
	if err == nil || errors.Is(err, errFound) {
		return i, parent, path, nil
	}
	return nil, nil, "", err
}

func trimSlashes(p string) string {
	if name := fsName(p); name != "." {
		return name
	}
	return ""
}

func (f *dumpFront) showInode(e *env) error {
	i, parent, path, err := f.find(e)
	if err != nil {
		return err
	}
	if f.cat {
		if !i.IsRegular() && !i.IsSymlink() {
			return fmt.Errorf("%s: is not a file", printable(path))
		}
		return e.copyContent(f.out, i)
	}
	head, xattrs := i.MetaSize()
	fmt.Fprintf(f.out, "Path : %s\n", printable(path))
	stored := i.StoredSize()
	fmt.Fprintf(f.out, "Size: %d  On-disk size: %d  %s\n", i.Size, stored, dumpTypes[disk.FileTypeOf(i.Mode)])
	fmt.Fprintf(f.out, "NID: %d   Links: %d   Layout: %d   Compression ratio: %.2f%%\n", i.NID, i.Nlink, uint8(i.Layout), percent(stored, i.Size))
	fmt.Fprintf(f.out, "Inode size: %d   Xattr size: %d\n", head, xattrs)
	fmt.Fprintf(f.out, "Uid: %d   Gid: %d  Access: %04o/%s\n", i.UID, i.GID, i.Mode&0o7777, modeText(i.Mode)[1:])
	fmt.Fprintf(f.out, "Timestamp: %s\n", time.Unix(i.Mtime, int64(i.Nsec)).Format("2006-01-02 15:04:05.000000000"))
	if f.ls {
		err = f.showEntries(i, parent)
	}
	if f.extents && err == nil {
		err = f.showExtents(path, i)
	}
	return err
}

// percent returns part of all in percent; nothing of nothing is all of it.
func percent(part, all int64) float64 {
	if all == 0 {
		return 100
	}
	return 100 * float64(part) / float64(all)
}

var dumpTypes = [...]string{
	"unknown", "regular file", "directory", "char dev", "block dev", "FIFO file", "SOCK file", "symlink file",
}

// showEntries is --ls.
func (f *dumpFront) showEntries(dir, parent *erofs.Inode) error {
	entries, err := dir.Entries()
	if err != nil {
		return err
	}
	fmt.Fprint(f.out, "\n       NID TYPE  FILENAME\n")
	fmt.Fprintf(f.out, "%10d %4d  .\n", dir.NID, disk.FileDir)
	if p, err := f.parentOf(dir, parent); err == nil {
		fmt.Fprintf(f.out, "%10d %4d  ..\n", p, disk.FileDir)
	}
	for _, d := range entries {
		fmt.Fprintf(f.out, "%10d %4d  %s\n", d.NID, d.Type, printable(d.Name))
	}
	return nil
}

// parentOf finds the NID of "..": for a path, that of the path without its last name.
func (f *dumpFront) parentOf(dir, parent *erofs.Inode) (uint64, error) {
	if f.byNID || dir.NID == parent.NID {
		return parent.NID, nil
	}
	p, err := f.im.Lookup(trimSlashes(f.path + "/.."))
	if err != nil {
		return 0, err
	}
	return p.NID, nil
}

// showExtents is -e.
func (f *dumpFront) showExtents(path string, i *erofs.Inode) error {
	list, err := i.Extents()
	if err != nil {
		return err
	}
	fmt.Fprint(f.out, "\n Ext:   logical offset   |  length :     physical offset    |  length\n")
	for n, x := range list {
		on := x.Stored
		if x.Packed {
			x.Physical = 0 // the original knows it, and does not say it
		} else if x.Hole {
			on = x.Length
		}
		fmt.Fprintf(f.out, "%4d: %8d..%8d | %7d : %10d..%10d | %7d", n,
			x.Logical, x.Logical+x.Length, x.Length, x.Physical, x.Physical+on, on)
		switch {
		case x.Hole:
			fmt.Fprint(f.out, "  # hole")
		case x.Device > 0:
			fmt.Fprintf(f.out, "  # device %d", x.Device)
		}
		fmt.Fprintln(f.out)
	}
	fmt.Fprintf(f.out, "%s: %d extents found\n", printable(path), len(list))
	return nil
}
