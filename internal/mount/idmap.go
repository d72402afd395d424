package mount

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// IDRange maps Count ids that begin at Inside, in the file system, to those that begin at Outside, seen in the mount.
type IDRange struct{ Inside, Outside, Count uint32 }

// String is the range as containerd writes it: "container:host:count".
func (r IDRange) String() string { return fmt.Sprintf("%d:%d:%d", r.Inside, r.Outside, r.Count) }

// IDMap maps the owners of files. An id that no range has is seen as the overflow id, and files cannot be given to it.
type IDMap struct {
	UIDs []IDRange // at least one, at most maxRanges
	GIDs []IDRange // at least one, at most maxRanges
}

// Owner maps an owner as it is seen in the mount back to the one in the file system. Ids that no range has stay: they
// came from elsewhere.
func (m *IDMap) Owner(uid, gid uint32) (uint32, uint32) { return back(m.UIDs, uid), back(m.GIDs, gid) }

func back(ranges []IDRange, id uint32) uint32 {
	for _, r := range ranges {
		if id >= r.Outside && id-r.Outside < r.Count {
			return id - r.Outside + r.Inside
		}
	}
	return id
}

// maxRanges is how many ranges a user namespace takes (UID_GID_MAP_MAX_EXTENTS, include/linux/user_namespace.h).
const maxRanges = 340

// ParseIDRanges reads "container:host:count", several with commas between, as containerd writes mappings in the options
// uidmap= and gidmap= and in the labels of a snapshot.
func ParseIDRanges(s string) ([]IDRange, error) {
	var ranges []IDRange
	for part := range strings.SplitSeq(s, ",") {
		var n [3]uint32
		fields := strings.Split(part, ":")
		ok := len(fields) == len(n)
		for i := 0; ok && i < len(n); i++ {
			v, err := strconv.ParseUint(fields[i], 10, 32)
			n[i], ok = uint32(v), err == nil
		}
		if !ok || n[2] == 0 {
			return nil, fmt.Errorf("mount: id mapping %q: %q: not container:host:count", s, part)
		}
		ranges = append(ranges, IDRange{n[0], n[1], n[2]})
		if len(ranges) > maxRanges {
			return nil, fmt.Errorf("mount: id mapping: more than %d ranges", maxRanges)
		}
	}
	return ranges, nil
}

// procMap is what /proc/<pid>/uid_map takes in one write; the kernel wants less than a page.
func procMap(ranges []IDRange) (string, error) {
	var b strings.Builder
	for _, r := range ranges {
		if r.Count == 0 || uint64(r.Inside)+uint64(r.Count) > 1<<32-1 || uint64(r.Outside)+uint64(r.Count) > 1<<32-1 {
			return "", fmt.Errorf("mount: id mapping %s: not within 32 bits", r)
		}
		fmt.Fprintf(&b, "%d %d %d\n", r.Inside, r.Outside, r.Count)
	}
	if len(ranges) == 0 || len(ranges) > maxRanges || b.Len() >= os.Getpagesize() {
		return "", fmt.Errorf("mount: id mapping: %d ranges: the kernel takes 1 to %d", len(ranges), maxRanges)
	}
	return b.String(), nil
}
