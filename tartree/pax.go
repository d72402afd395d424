package tartree

import (
	"bytes"
	"encoding/base64"
	"math"
	"slices"
	"strings"

	"github.com/laminafs/lamina/tree"
)

const (
	// maxExtended bounds the payload of an extended header: as much as archive/tar takes.
	maxExtended = 1 << 20
	// maxXattrs bounds the extended attributes of an entry. listxattr(2) shows at most 64 KiB of names, of
	// seven bytes and more.
	maxXattrs = 1 << 14
	// maxGlobalXattrs bounds those of a global header: each costs 32 bytes for every later entry, and an
	// entry is at least 512 bytes of archive.
	maxGlobalXattrs = 16
	maxXattrName    = 255     // XATTR_NAME_MAX
	maxXattrValue   = 1 << 16 // XATTR_SIZE_MAX
	maxInterned     = 256     // names and short values of attributes kept for sharing
	maxInternedLen  = 128
)

// Which fields of attrs are set.
const (
	hasPath = 1 << iota
	hasLink
	hasSize
	hasUID
	hasGID
	hasMtime
	hasMajor
	hasMinor
)

// attrs is what extended headers say about the next entry, or (global) about all that follow.
type attrs struct {
	has          uint
	path, link   []byte
	size         int64
	uid, gid     int64
	major, minor int64
	mtime        int64
	nsec         uint32
	xattrs       []tree.Xattr // in order of the records
	archived     []tree.Xattr // those from LIBARCHIVE.xattr
	sparse       sparseAttrs
}

// reset makes a what global headers say.
func (a *attrs) reset(global *attrs) {
	a.has = global.has
	a.size, a.uid, a.gid, a.mtime, a.nsec = global.size, global.uid, global.gid, global.mtime, global.nsec
	a.major, a.minor = global.major, global.minor
	a.xattrs = append(a.xattrs[:0], global.xattrs...)
	a.archived = append(a.archived[:0], global.archived...)
	if a.sparse.used {
		a.sparse.reset()
	}
}

// paxRecords calls record for each "LENGTH KEY=VALUE\n" of the body of an extended header and returns
// what is wrong with it, "" if nothing.
func paxRecords(b []byte, record func(key, value []byte) string) string {
	for len(b) > 0 {
		n, i := 0, 0
		for i < len(b) && i < 8 && b[i]-'0' < 10 {
			n = 10*n + int(b[i]-'0')
			i++
		}
		if i == 0 || i >= len(b) || b[i] != ' ' || n <= i+1 || n > len(b) || b[n-1] != '\n' {
			return "extended header: broken record length"
		}
		rec := b[i+1 : n-1]
		eq := bytes.IndexByte(rec, '=')
		if eq <= 0 || bytes.IndexByte(rec[:eq], 0) >= 0 {
			return "extended header: record without a key"
		}
		if why := record(rec[:eq], rec[eq+1:]); why != "" {
			return "extended header: " + string(rec[:min(eq, 64)]) + ": " + why
		}
		b = b[n:]
	}
	return ""
}

// record takes one record in. Records that do not concern a file system are left out.
func (r *reader) record(a *attrs, key, v []byte) (why string) {
	ok := true
	switch string(key) {
	case "path":
		a.path, why = a.text(hasPath, a.path, v)
	case "linkpath":
		a.link, why = a.text(hasLink, a.link, v)
	case "size":
		ok = a.number(hasSize, &a.size, v)
	case "uid":
		ok = a.number(hasUID, &a.uid, v)
	case "gid":
		ok = a.number(hasGID, &a.gid, v)
	case "SCHILY.devmajor":
		ok = a.number(hasMajor, &a.major, v)
	case "SCHILY.devminor":
		ok = a.number(hasMinor, &a.minor, v)
	case "mtime":
		if a.set(hasMtime, v) {
			a.mtime, a.nsec, ok = paxTime(v)
		}
	case "RHT.security.selinux": // GNU tar of Red Hat, before SCHILY.xattr
		a.archived, why = r.xattr(a.archived, []byte("security.selinux"), v)
	default:
		switch {
		case bytes.HasPrefix(key, []byte("SCHILY.xattr.")):
			a.xattrs, why = r.xattr(a.xattrs, key[len("SCHILY.xattr."):], v)
		case bytes.HasPrefix(key, []byte("LIBARCHIVE.xattr.")):
			why = r.archivedXattr(a, key[len("LIBARCHIVE.xattr."):], v)
		case bytes.HasPrefix(key, []byte("GNU.sparse.")):
			why = a.sparse.record(key[len("GNU.sparse."):], v)
		case bytes.HasPrefix(key, []byte("SCHILY.acl.")):
			r.warn("POSIX ACL in text form left out")
		}
	}
	if !ok {
		return "not a number"
	}
	return why
}

// set marks a field as set, or as not set if the value is empty, and reports which.
func (a *attrs) set(bit uint, v []byte) bool {
	if len(v) == 0 {
		a.has &^= bit
		return false
	}
	a.has |= bit
	return true
}

func (a *attrs) text(bit uint, dst, v []byte) ([]byte, string) {
	if bytes.IndexByte(v, 0) >= 0 {
		return dst, "NUL in a name"
	}
	a.set(bit, v)
	return append(dst[:0], v...), ""
}

func (a *attrs) number(bit uint, dst *int64, v []byte) (ok bool) {
	if !a.set(bit, v) {
		return true
	}
	*dst, ok = decimal(v)
	return ok
}

// decimal parses a decimal number with an optional sign.
func decimal(b []byte) (n int64, ok bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg || len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if c -= '0'; c > 9 || n > (math.MaxInt64-int64(c))/10 {
			return 0, false
		}
		n = 10*n + int64(c)
	}
	if neg {
		n = -n
	}
	return n, true
}

// paxTime parses seconds with an optional fraction; digits behind the ninth are dropped. The fraction of
// a negative time counts downwards.
func paxTime(b []byte) (sec int64, nsec uint32, ok bool) {
	whole, frac, _ := bytes.Cut(b, []byte("."))
	if sec, ok = decimal(whole); !ok {
		return 0, 0, false
	}
	scale := uint32(1e9)
	for _, c := range frac {
		if c -= '0'; c > 9 {
			return 0, 0, false
		}
		scale /= 10
		nsec += uint32(c) * scale
	}
	if whole[0] == '-' && nsec > 0 {
		sec, nsec = sec-1, 1e9-nsec // sec is above the smallest int64: decimal refuses that one
	}
	return sec, nsec, true
}

// xattr appends an attribute; what comes later wins, see finishXattrs.
func (r *reader) xattr(list []tree.Xattr, name, value []byte) ([]tree.Xattr, string) {
	switch {
	case len(name) == 0 || len(name) > maxXattrName:
		return list, "name of an extended attribute is empty or longer than 255 bytes"
	case len(value) > maxXattrValue:
		return list, "extended attribute is longer than 65536 bytes"
	case len(list) >= maxXattrs:
		return list, "too many extended attributes"
	}
	return append(list, tree.Xattr{Name: r.intern(name), Value: r.intern(value)}), ""
}

// archivedXattr takes in what bsdtar writes: the name URL-encoded, the value in base64 without padding.
func (r *reader) archivedXattr(a *attrs, name, value []byte) (why string) {
	plain := make([]byte, base64.RawStdEncoding.DecodedLen(len(value)))
	n, err := base64.RawStdEncoding.Decode(plain, bytes.TrimRight(value, "="))
	if err != nil {
		return "not base64"
	}
	a.archived, why = r.xattr(a.archived, unescape(name), plain[:n])
	return why
}

// unescape decodes %XX; what is no such sequence stays.
func unescape(b []byte) []byte {
	if bytes.IndexByte(b, '%') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if h, l := unhex(b[i+1]), unhex(b[i+2]); h >= 0 && l >= 0 {
				out = append(out, byte(h<<4|l))
				i += 2
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

func unhex(c byte) int {
	switch {
	case c-'0' < 10:
		return int(c - '0')
	case c|0x20-'a' < 6:
		return int(c|0x20-'a') + 10
	}
	return -1
}

// intern returns b as a string, the same one for names and short values that come often.
func (r *reader) intern(b []byte) string {
	if len(b) > maxInternedLen {
		return string(b)
	}
	if s, ok := r.interned[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(r.interned) < maxInterned {
		if r.interned == nil {
			r.interned = make(map[string]string)
		}
		r.interned[s] = s
	}
	return s
}

// finishXattrs returns the attributes in the order of a tree.Node: by name, the last of a name.
func (a *attrs) finishXattrs() []tree.Xattr {
	if len(a.xattrs) == 0 && len(a.archived) == 0 {
		return nil
	}
	return lastOfName(slices.Concat(a.archived, a.xattrs))
}

// lastOfName sorts attributes by name, in place, and drops all but the last of each name.
func lastOfName(all []tree.Xattr) []tree.Xattr {
	slices.SortStableFunc(all, func(x, y tree.Xattr) int { return strings.Compare(x.Name, y.Name) })
	n := 0
	for i := range all {
		if i+1 < len(all) && all[i+1].Name == all[i].Name {
			continue
		}
		all[n] = all[i]
		n++
	}
	return slices.Clip(all[:n])
}
