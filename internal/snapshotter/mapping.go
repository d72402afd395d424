package snapshotter

import "github.com/laminafs/lamina/internal/mount"

// mapID is the id outside for one inside.
func mapID(ranges []mount.IDRange, id int) (int, bool) {
	for _, r := range ranges {
		if id >= int(r.Inside) && id-int(r.Inside) < int(r.Count) {
			return id - int(r.Inside) + int(r.Outside), true
		}
	}
	return 0, false
}
