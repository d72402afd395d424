package dedupe

import (
	"cmp"
	"io/fs"
	"os"
	"slices"

	"github.com/laminafs/lamina/erofs"
)

// piece is a row of bytes of an image that begins and ends at blocks of the disk.
type piece struct{ pos, n int64 }

// piecesOf returns where the data of regular files lies in an image, in the order of the disk, each row once: from the
// first block of a file, with what its last block holds behind its end, which EROFS keeps zero. Data that does not begin
// at a block of the disk cannot be shared and is left out, as is data on other devices.
func piecesOf(f *os.File, unit int64) ([]piece, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	im, err := erofs.Open(f)
	if err != nil {
		return nil, err
	}
	var all []piece
	err = fs.WalkDir(im, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		ino, err := im.Lookup(name)
		if err != nil {
			return err
		}
		extents, err := ino.Extents()
		if err != nil {
			return err
		}
		for _, e := range extents {
			if p, ok := aligned(e, unit, st.Size()); ok {
				all = append(all, p)
			}
		}
		return nil
	})
	slices.SortFunc(all, func(a, b piece) int { return cmp.Or(cmp.Compare(a.pos, b.pos), cmp.Compare(b.n, a.n)) })
	return disjoint(all), err
}

// aligned widens an extent to whole blocks of the disk, inside the file.
func aligned(e erofs.Extent, unit, size int64) (piece, bool) {
	if e.Hole || e.Packed || e.Device != 0 || e.Physical%unit != 0 {
		return piece{}, false
	}
	p := piece{e.Physical, (e.Stored + unit - 1) / unit * unit}
	return p, p.n > 0 && p.pos+p.n <= size
}

// disjoint drops rows that begin inside an earlier one: names of one inode, chunks that files of the image share.
func disjoint(sorted []piece) []piece {
	var end int64
	return slices.DeleteFunc(sorted, func(p piece) bool {
		if p.pos < end {
			return true
		}
		end = p.pos + p.n
		return false
	})
}
