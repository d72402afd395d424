package cli

import (
	"bufio"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// mkfsFront is a command line of mkfs.erofs.
type mkfsFront struct {
	frontend
	job buildJob

	quiet, tar, index, aufs, strip  bool
	mkfsTime, ignoreTime, timeGiven bool
	inline                          bool
	uid, gid                        *uint32
	uidOffset, gidOffset            uint32
	alignBlocks, stripeBlocks       int64
	sources                         []string // a directory, a tar, or images
	vmdk                            string   // a descriptor of image and sources as one disk
	incremental, dereference        bool
	content                         contentMode
	excludePath                     []string
	excludeRegex                    []*regexp.Regexp
	compress                        mkfsCompress
}

// mkfsErofs is mkfs.erofs.
func (e *env) mkfsErofs(name string, args []string) int {
	out := bufio.NewWriter(e.stdout)
	defer func() { _ = out.Flush() }() // as with everything said to people
	f := &mkfsFront{frontend: frontend{name: name, help: mkfsHelp, verbosity: 2}, inline: true}
	operands, done, err := f.parse(out, args, f.options())
	if err == nil && !done {
		err = f.complete(operands)
		if err == nil {
			err = e.runMkfs(f, out)
		}
	}
	_ = out.Flush()
	return e.frontExit(name, err)
}

func (e *env) runMkfs(f *mkfsFront, out *bufio.Writer) error {
	quiet := f.quiet || f.verbosity == 0
	if !quiet {
		f.job.warn = func(text string) { fmt.Fprintf(e.stderr, "%s: warning: %s\n", f.name, oneLine(text)) }
		fmt.Fprintf(out, "%s (lamina) %s\n", f.name, erofsVersion)
	}
	r, err := e.make(f)
	if err != nil || quiet {
		return err
	}
	bs := int64(r.BlockSize)
	fmt.Fprintf(out, "Build completed.\n------\nFilesystem UUID: %s\n", formatUUID(r.UUID))
	fmt.Fprintf(out, "Filesystem total blocks: %d (of %d-byte blocks)\n", (r.Size+bs-1)/bs, bs)
	fmt.Fprintf(out, "Filesystem total inodes: %d\n", r.Inodes)
	fmt.Fprintf(out, "Filesystem total metadata blocks: %d\n", (r.Metadata+bs-1)/bs)
	fmt.Fprintf(out, "Filesystem total deduplicated bytes (of source files): %d\n", r.Saved)
	return nil
}

// make makes the image in the way that the options and the sources ask for.
func (e *env) make(f *mkfsFront) (r buildResult, err error) {
	if err := apart([]string{f.job.output, f.job.blob, f.job.tarOut, f.vmdk}, f.sources); err != nil {
		return r, err
	}
	if err := f.checkVMDKNames(); err != nil {
		return r, err
	}
	switch {
	case f.job.blob != "" && (f.incremental || f.merges()):
		return r, usagef("--blobdev goes with one directory or tar as source")
	case f.incremental:
		r, err = e.grow(f)
	case f.merges():
		r, err = e.mergeImages(f)
	default:
		r, err = e.build(&f.job)
	}
	if err == nil && f.vmdk != "" {
		err = e.writeVMDK(f, &r)
	}
	return r, err
}

// complete makes the job of the options and the operands.
func (f *mkfsFront) complete(operands []string) error {
	switch {
	case len(operands) == 0:
		return usagef("missing argument: FILE; see %s --help", f.name)
	case len(operands) == 1 && !f.tar:
		return usagef("missing argument: SOURCE; see %s --help", f.name)
	case len(operands) > 2 && f.tar:
		return usagef("%s: a second tar; lamina merge merges them", operands[2])
	case len(operands) == 1:
		operands = append(operands, "-")
	}
	f.sources = operands[1:]
	f.job.output, f.job.input = operands[0], operands[1]
	f.job.index, f.job.tarElsewhere = f.index, f.index
	f.job.only = sourceDir
	if f.tar {
		f.job.only = sourceStream
	}
	o := &f.job.options
	if f.index {
		o.Mkfs.BlockSize = 512 // as the original, whatever -b says
	} else if !f.inline {
		o.Mkfs.Inline = mkfs.InlineNone
	}
	o.Mkfs.SizeAlign = f.alignBlocks * f.blockSize()
	if f.stripeBlocks > 1 {
		o.Mkfs.LargeAlign = f.stripeBlocks * f.blockSize()
	}
	if err := f.contents(); err != nil {
		return err
	}
	if err := f.compress.set(&o.Mkfs); err != nil {
		return err
	}
	f.job.exclude = f.excluded()
	f.whiteouts()
	f.owner()
	if err := f.times(); err != nil {
		return err
	}
	check := o.Mkfs
	if f.job.blob != "" {
		check.DataDevice = nowhere{}
	}
	return joinUsage(check.Validate())
}

// blockSize is that of the image, in bytes.
func (f *mkfsFront) blockSize() int64 {
	switch {
	case f.index:
		return 512
	case f.job.options.Mkfs.BlockSize == 0:
		return 4096
	}
	return int64(f.job.options.Mkfs.BlockSize)
}

// excluded joins --exclude-path and --exclude-regex.
func (f *mkfsFront) excluded() func(string) bool {
	if len(f.excludePath)+len(f.excludeRegex) == 0 {
		return nil
	}
	literal := excludePaths(f.excludePath)
	return func(path string) bool {
		if literal != nil && literal(path) {
			return true
		}
		return slices.ContainsFunc(f.excludeRegex, func(r *regexp.Regexp) bool { return r.MatchString(path) })
	}
}

func (f *mkfsFront) whiteouts() {
	o := &f.job.options
	switch {
	case f.aufs && f.strip && !f.incremental: // else they first hide what is there
		o.Tar.Whiteouts = tartree.Strip
	case f.aufs:
		o.Tar.Whiteouts = tartree.Overlay
	default:
		o.Tar.Whiteouts = tartree.Keep
	}
	o.Edit = func(t *tree.Tree) (err error) {
		if f.strip {
			err = stripOverlay(t)
		}
		if f.dereference && err == nil {
			err = dereference(t)
		}
		return err
	}
}

// dereference gives every name an inode of its own. Their data stays in one place.
func dereference(t *tree.Tree) error {
	seen := make(map[*tree.Node]bool)
	return t.Walk(func(_ string, n *tree.Node) error {
		for _, e := range append([]tree.Entry(nil), n.Entries()...) {
			if seen[e.Node] {
				own := *e.Node
				n.Add(e.Name, &own)
			}
			seen[e.Node] = !e.Node.IsDir()
		}
		return nil
	})
}

// stripOverlay removes the whiteouts and marks of overlayfs.
func stripOverlay(t *tree.Tree) error {
	return t.Walk(func(_ string, n *tree.Node) error {
		n.RemoveXattr("trusted.overlay.opaque")
		for _, e := range append([]tree.Entry(nil), n.Entries()...) {
			if e.Node.IsWhiteout() {
				n.Remove(e.Name)
			}
		}
		return nil
	})
}

func (f *mkfsFront) owner() {
	if f.uid == nil && f.gid == nil && f.uidOffset == 0 && f.gidOffset == 0 {
		return
	}
	forced := func(id, offset uint32, force *uint32) uint32 {
		if force != nil {
			return *force
		}
		return id + offset
	}
	f.job.options.Mkfs.Owner = func(u, g uint32) (uint32, uint32) {
		return forced(u, f.uidOffset, f.uid), forced(g, f.gidOffset, f.gid)
	}
}

// times: -T fixes all times unless --mkfs-time says that it is the time of the build only;
// SOURCE_DATE_EPOCH is an upper bound.
func (f *mkfsFront) times() error {
	m := &f.job.options.Mkfs
	epoch, set, err := sourceDateEpoch()
	if f.timeGiven && f.mkfsTime {
		m.BuildTime = m.Timestamp
	}
	switch {
	case f.timeGiven && !f.mkfsTime:
		m.Time = mkfs.TimeFixed
	case f.ignoreTime && f.timeGiven:
		m.Time = mkfs.TimeFixed
	case f.ignoreTime:
		m.Time, m.Timestamp = mkfs.TimeFixed, time.Now().Unix()
		if set {
			m.Timestamp = epoch
		}
	case !f.timeGiven && set:
		m.Time, m.Timestamp = mkfs.TimeClamp, epoch
	}
	return err
}

// options is the table of all options of mkfs.erofs 1.9.
func (f *mkfsFront) options() []option {
	m := &f.job.options.Mkfs
	opts := append(f.common(), []option{
		{short: 'b', arg: needArg, set: func(v string) error {
			n, err := parseSize(v)
			m.BlockSize = int(min(n, 1<<30))
			return err
		}},
		{short: 'E', arg: needArg, set: f.extended},
		{short: 'L', arg: needArg, set: text(&m.Label)},
		{short: 'T', arg: needArg, set: func(v string) (err error) {
			f.timeGiven = true
			if m.Timestamp, err = strconv.ParseInt(v, 0, 64); err != nil {
				err = usagef("not a number of seconds")
			}
			return err
		}},
		{short: 'U', arg: needArg, set: func(v string) error { return setUUID(m, v) }},
		{short: 'x', arg: needArg, set: f.xattrs},
		{long: "all-time", set: flag(&f.mkfsTime, false)},
		{long: "mkfs-time", set: flag(&f.mkfsTime, true)},
		{long: "ignore-mtime", set: flag(&f.ignoreTime, true)},
		{long: "preserve-mtime", set: flag(&f.ignoreTime, false)},
		{long: "blobdev", arg: needArg, set: text(&f.job.blob)},
		{long: "chunksize", arg: needArg, set: func(v string) (err error) {
			m.ChunkSize, err = parseSize(v)
			return err
		}},
		{long: "fsalignblks", arg: needArg, set: func(v string) (err error) {
			f.alignBlocks, err = parseSize(v)
			f.alignBlocks = min(f.alignBlocks, 1<<30)
			return err
		}},
		{long: "dsunit", arg: needArg, set: func(v string) (err error) {
			f.stripeBlocks, err = parseSize(v)
			f.stripeBlocks = min(f.stripeBlocks, 1<<30)
			return err
		}},
		{long: "vmdk-desc", arg: needArg, set: text(&f.vmdk)},
		{long: "hard-dereference", arg: mayArg, set: flag(&f.dereference, true)},
		{long: "exclude-path", arg: needArg, set: list(&f.excludePath)},
		{long: "exclude-regex", arg: needArg, set: func(v string) error {
			r, err := regexp.Compile(v)
			f.excludeRegex = append(f.excludeRegex, r)
			return err
		}},
		{long: "quiet", set: flag(&f.quiet, true)},
		{long: "xattr-prefix", arg: needArg, set: list(&m.XattrPrefixes)},
		{long: "xattr-inode-digest", arg: mayArg, set: func(v string) error {
			if v != "" && v != disk.FingerprintName {
				return errNotOurs
			}
			m.Fingerprints = true
			return nil
		}},
		{long: "mount-point", arg: needArg, set: ignored},       // matters to what is refused only
		{long: "async-queue-limit", arg: needArg, set: ignored}, // the same
	}...)
	opts = append(opts, f.sourceOptions()...)
	opts = append(opts, f.ownerOptions()...)
	opts = append(opts, f.compress.options()...)
	opts = append(opts, refuse(mayArg, "random-pclusterblks", "random-algorithms")...)
	return append(opts, refusedWhy()...)
}

func (f *mkfsFront) sourceOptions() []option {
	return []option{
		{long: "tar", arg: mayArg, set: func(v string) error {
			if v != "" && v != "f" && v != "i" {
				return errNotOurs
			}
			f.tar, f.index = true, v == "i"
			return nil
		}},
		{long: "aufs", set: flag(&f.aufs, true)},
		{long: "ovlfs-strip", arg: mayArg, set: func(v string) error {
			if v != "" && v != "0" && v != "1" {
				return usagef("not 0 or 1")
			}
			f.strip = v != "0"
			return nil
		}},
		{long: "sort", arg: needArg, set: func(v string) error {
			if v != "path" && v != "none" {
				return usagef("not path or none")
			}
			return nil // data always stays in the order of the archive
		}},
		{long: "ungzip", arg: mayArg, set: text(&f.job.tarOut)}, // compression is recognized anyway
		{long: "gzip", arg: mayArg, set: text(&f.job.tarOut)},
		{long: "clean", arg: mayArg, set: func(v string) (err error) {
			f.incremental = false
			f.content, err = parseContent(v)
			return err
		}},
		{long: "incremental", arg: mayArg, set: func(v string) (err error) {
			f.incremental = true
			f.content, err = parseContent(v)
			return err
		}},
	}
}

func (f *mkfsFront) ownerOptions() []option {
	id := func(to **uint32) func(string) error {
		return func(v string) error {
			n, err := parseID(v)
			*to = &n
			return err
		}
	}
	offset := func(to *uint32) func(string) error {
		return func(v string) error {
			n, err := strconv.ParseInt(v, 0, 64) // may be negative; ids wrap as in C
			*to = uint32(n)
			return err
		}
	}
	return []option{
		{long: "all-root", set: func(string) error {
			f.uid, f.gid = new(uint32), new(uint32)
			return nil
		}},
		{long: "force-uid", arg: needArg, set: id(&f.uid)},
		{long: "force-gid", arg: needArg, set: id(&f.gid)},
		{long: "uid-offset", arg: needArg, set: offset(&f.uidOffset)},
		{long: "gid-offset", arg: needArg, set: offset(&f.gidOffset)},
	}
}

// xattrs is -x: share what more than N inodes have; negative: none at all.
func (f *mkfsFront) xattrs(v string) error {
	m := &f.job.options.Mkfs
	n, err := strconv.ParseInt(v, 0, 31)
	if err != nil {
		return usagef("not a number")
	}
	if m.DropXattrs = n < 0; n >= 0 {
		m.XattrShare = int(n) + 1
	}
	return nil
}

// extended is -E.
func (f *mkfsFront) extended(v string) error {
	m := &f.job.options.Mkfs
	for _, token := range strings.Split(v, ",") {
		name, value, _ := strings.Cut(token, "=")
		if known, err := f.compress.extended(name, value); known || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		switch name {
		case "inline_data":
			f.inline = true
		case "noinline_data", "^inline_data":
			f.inline = false
		case "dedupe":
			m.Dedupe = true
		case "^dedupe":
			m.Dedupe = false
		case "48bit":
			m.Large = true
		case "^48bit":
			m.Large = false
		case "force-inode-compact":
			m.Inodes = mkfs.InodeCompact
		case "force-inode-extended":
			m.Inodes = mkfs.InodeExtended
		case "nosbcrc":
			m.NoChecksum = true
		case "", "^dot-omitted", "^xattr-name-filter", "force-inode-blockmap", "xattr-name-filter":
			// off, or a choice that is made by itself
		default:
			if token == v {
				return errNotOurs
			}
			return usagef("%s: not supported by lamina", token)
		}
	}
	return nil
}
