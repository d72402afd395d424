package cli

import (
	"crypto/rand"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/mkfs"
)

// imageFlags are the flags that say how an image is laid out, as the user gave them.
type imageFlags struct {
	blockSize, uuid, label, inline, inlineMax, chunkSize, alignLarge, alignSize, mtime, owner, inodes, whiteouts, tempDir string

	dedupe, fingerprints, noXattrs, noChecksum, large, concatenated bool

	uidMap, gidMap, xattrPrefixes []string
	xattrShare                    int
	compress                      compressFlags
}

func (f *imageFlags) register(fs *pflag.FlagSet) {
	fs.StringVarP(&f.blockSize, "block-size", "b", "4096", "block size in bytes, 512 to 64K")
	fs.StringVarP(&f.uuid, "uuid", "U", "digest", "UUID, or digest (names the input), clear, random")
	fs.StringVarP(&f.label, "label", "L", "", "volume label, at most 15 bytes")
	fs.StringVar(&f.inline, "inline", "tails", "tails of files stored behind their inode: tails, none")
	fs.StringVar(&f.inlineMax, "inline-max", "0", "longest tail that is inlined (0: the best measured)")
	f.compress.register(fs)
	fs.StringVar(&f.chunkSize, "chunk-size", "0", "make files chunk-based with chunks of this size")
	fs.BoolVar(&f.dedupe, "dedupe", false, "store equal files (with --chunk-size: chunks; compressed: equal parts) once")
	fs.StringVar(&f.alignLarge, "align-large", "0", "align files of at least this size to it (2M for DAX)")
	fs.StringVar(&f.alignSize, "align-size", "0", "pad the image to a multiple of this")
	fs.StringVar(&f.mtime, "mtime", "", "modification times: keep, SECONDS for all, clamp:SECONDS (default: keep, or clamp:$SOURCE_DATE_EPOCH)")
	fs.StringVar(&f.owner, "owner", "", "owner of all files, UID:GID")
	fs.StringArrayVar(&f.uidMap, "uid-map", nil, "map user ids, FROM:TO:COUNT (repeatable)")
	fs.StringArrayVar(&f.gidMap, "gid-map", nil, "map group ids, FROM:TO:COUNT (repeatable)")
	fs.IntVar(&f.xattrShare, "xattr-share", 2, "store an extended attribute once if at least N inodes have it (negative: never)")
	fs.StringArrayVar(&f.xattrPrefixes, "xattr-prefix", nil, "long name prefix stored once, such as trusted.overlay. (repeatable)")
	fs.BoolVar(&f.fingerprints, "page-cache-sharing", false, "store digests of files, for Linux 7.0 to keep equal files of images in memory once")
	fs.BoolVar(&f.noXattrs, "no-xattrs", false, "leave extended attributes out")
	fs.BoolVar(&f.noChecksum, "no-checksum", false, "leave the superblock checksum out")
	fs.StringVar(&f.inodes, "inodes", "auto", "form of inodes: auto, compact, extended")
	fs.BoolVar(&f.large, "48bit", false, "use the 48-bit layout also where it is not needed")
	fs.StringVar(&f.whiteouts, "whiteouts", "overlay", "whiteouts of a layer: overlay (as overlayfs has them), keep, strip")
	fs.BoolVar(&f.concatenated, "concatenated", false, "read on behind the end mark of a tar, as tar --ignore-zeros does")
	fs.StringVar(&f.tempDir, "temp-dir", "", "directory for temporary files (default: that of OUT)")
}

// options makes convert.Options of the flags; every contradiction is reported.
func (f *imageFlags) options() (o convert.Options, err error) {
	var errs []error
	size := func(flag, s string) int64 {
		n, err := parseSize(s)
		if err != nil {
			errs = append(errs, usagef("--%s: %w", flag, err))
		}
		return n
	}
	m := &o.Mkfs
	m.BlockSize = int(min(size("block-size", f.blockSize), 1<<30))
	m.InlineMax = int(min(size("inline-max", f.inlineMax), 1<<30))
	m.ChunkSize = size("chunk-size", f.chunkSize)
	m.LargeAlign = size("align-large", f.alignLarge)
	m.SizeAlign = size("align-size", f.alignSize)
	m.Label, m.Dedupe, m.DropXattrs, m.NoChecksum, m.Large = f.label, f.dedupe, f.noXattrs, f.noChecksum, f.large
	m.Fingerprints = f.fingerprints
	m.XattrShare, m.XattrPrefixes, m.TempDir = f.xattrShare, f.xattrPrefixes, f.tempDir
	o.Tar.Concatenated = f.concatenated
	errs = append(errs,
		choose("inline", f.inline, &m.Inline, map[string]mkfs.Inline{"none": mkfs.InlineNone, "tails": mkfs.InlineTails}),
		choose("inodes", f.inodes, &m.Inodes, map[string]mkfs.InodeForm{
			"auto": mkfs.InodeAuto, "compact": mkfs.InodeCompact, "extended": mkfs.InodeExtended}),
		choose("whiteouts", f.whiteouts, &o.Tar.Whiteouts, whiteoutNames),
		f.compress.set(m), setUUID(m, f.uuid), f.setTimes(m), f.setOwner(m))
	return o, joinUsage(errs...)
}

// choose sets one of a closed set of values.
func choose[T any](flag, value string, to *T, values map[string]T) error {
	v, ok := values[value]
	if !ok {
		names := make([]string, 0, len(values))
		for n := range values {
			names = append(names, n)
		}
		return usagef("--%s: %q: not one of %s", flag, value, sortedList(names))
	}
	*to = v
	return nil
}

func setUUID(m *mkfs.Options, s string) (err error) {
	switch s {
	case "digest", "":
	case "clear":
		m.NoUUID = true
	case "random":
		_, err = rand.Read(m.UUID[:])
		m.UUID[6], m.UUID[8] = m.UUID[6]&0x0f|0x40, m.UUID[8]&0x3f|0x80
	default:
		if m.UUID, err = parseUUID(s); err != nil {
			return usagef("--uuid: %w", err)
		}
		if m.UUID == [16]byte{} {
			m.NoUUID = true
		}
	}
	return err
}

func (f *imageFlags) setTimes(m *mkfs.Options) error {
	epoch, set, err := sourceDateEpoch()
	switch spec, isClamp := strings.CutPrefix(f.mtime, "clamp:"); {
	case f.mtime == "" && set:
		m.Time, m.Timestamp = mkfs.TimeClamp, epoch
	case f.mtime == "":
		return err
	case f.mtime == "keep":
	default:
		m.Time = mkfs.TimeFixed
		if isClamp {
			m.Time = mkfs.TimeClamp
		}
		if m.Timestamp, err = strconv.ParseInt(spec, 10, 64); err != nil {
			return usagef("--mtime: %q: not keep, SECONDS or clamp:SECONDS", f.mtime)
		}
	}
	return nil
}

func (f *imageFlags) setOwner(m *mkfs.Options) error {
	if f.owner != "" {
		if len(f.uidMap)+len(f.gidMap) > 0 {
			return errBothOf("--owner", "--uid-map and --gid-map")
		}
		u, g, _ := strings.Cut(f.owner, ":")
		uid, err := parseID(u)
		gid, err2 := parseID(g)
		if err != nil || err2 != nil {
			return usagef("--owner: %q: not UID:GID, two numbers", f.owner)
		}
		m.Owner = func(uint32, uint32) (uint32, uint32) { return uid, gid }
		return nil
	}
	uids, err := parseRanges("--uid-map", f.uidMap)
	gids, err2 := parseRanges("--gid-map", f.gidMap)
	if len(uids)+len(gids) > 0 {
		m.Owner = func(u, g uint32) (uint32, uint32) { return mapID(u, uids), mapID(g, gids) }
	}
	return joinUsage(err, err2)
}

func parseRanges(flag string, specs []string) (out []idRange, err error) {
	for _, s := range specs {
		r, err := parseIDRange(s)
		if err != nil {
			return nil, usagef("%s: %w", flag, err)
		}
		out = append(out, r)
	}
	return out, nil
}
