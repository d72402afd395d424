package fsck

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
)

// compressedImages are golden images of package erofs, made by mkfs.erofs.
var compressedImages = []string{"packed", "compact", "big", "tails", "shared", "extents", "box"}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.ReadFile("../erofs/testdata/" + name + ".erofs.gz")
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// index returns where the index of a file begins behind the map header.
func (e *edit) index(path string) int64 { return e.find(path, KindIndex).Off + disk.MapHeaderSize }

// The mutations of compressed images; everything is decoded.
var compressedMutations = []mutation{
	{"nothing", "compact", func(*edit) {}, nil},
	{"algorithm", "compact", func(e *edit) { e.put8(e.index("/dir/numbers")-2, 5) }, []Code{CompressedHeader, SpaceUnreachable, SpacePadding}},
	{"algorithm that the superblock lacks", "tails", func(e *edit) { e.put8(e.index("/dir/numbers")-2, 1) }, []Code{CompressedIndex, SpaceUnreachable}},
	{"large lclusters", "compact", func(e *edit) { e.put8(e.index("/dir/numbers")-1, 6) }, []Code{CompressedHeader, SpaceUnreachable, SpacePadding}},
	{"unknown bit of h_advise", "compact", func(e *edit) { e.b[e.index("/dir/numbers")-3] |= 0x80 }, []Code{CompressedHeader}},
	{"big pclusters without the feature", "compact", func(e *edit) { e.b[e.index("/dir/numbers")-4] |= 6 }, []Code{CompressedHeader, SpaceUnreachable, SpacePadding}},
	{"size that the index does not have", "compact", func(e *edit) { e.put32(e.inode("/dir/numbers")+iSize, 1<<31) }, []Code{CompressedHeader, SpaceUnreachable, SpacePadding}},
	{"distance of 0", "big", func(e *edit) { e.put16(e.index("/dir/numbers")+8+2*8+4, 0) }, []Code{CompressedIndex}},
	{"distance past the head", "big", func(e *edit) { e.put16(e.index("/dir/numbers")+8+2*8+4, 3) }, []Code{CompressedIndex}},
	{"distance past the next head", "big", func(e *edit) { e.put16(e.index("/dir/numbers")+8+2*8+6, 2000) }, []Code{CompressedIndex}},
	{"first lcluster is no head", "big", func(e *edit) { e.put16(e.index("/dir/numbers")+8, 2) }, []Code{CompressedIndex, SpaceUnreachable}},
	{"pcluster beyond the end", "big", func(e *edit) { e.put32(e.index("/dir/numbers")+8+4, 1<<30) }, []Code{DataRange, SpaceUnreachable}},
	{"data that does not decode", "big", func(e *edit) {
		r := e.find("/dir/numbers", KindData)
		e.put64(r.Off+r.Len-100, 0)
		clear(e.b[r.Off:][:r.Len])
	}, []Code{CompressedData}},
	{"fragment beyond the packed inode", "shared", func(e *edit) { e.put32(e.index("/dir/plain")-8, 1<<30) }, []Code{FragmentRange}},
	{"fragment without a packed inode", "shared", func(e *edit) { e.put64(super(0x60), 0) }, []Code{FragmentRange, SpaceUnreachable, SuperInos}},
	{"metabox that does not decode", "box", func(e *edit) {
		clear(e.b[disk.SuperOffset+512 : len(e.b)-512])
	}, []Code{CompressedData}},
}

func TestDamagedCompressedImagesEndInAReport(t *testing.T) {
	flips := 400
	if testing.Short() {
		flips = 40
	}
	for _, name := range compressedImages {
		b := golden(t, name)
		rng := rand.New(rand.NewPCG(1, 2))
		for range flips {
			at, bit := disk.SuperOffset+rng.IntN(len(b)-disk.SuperOffset), byte(1)<<rng.IntN(8)
			b[at] ^= bit
			survive(t, b)
			if _, err := Check(bytes.NewReader(b), int64(len(b)), Options{ReadData: true}); err != nil {
				t.Errorf("%s, bit %#x of byte %d: %v", name, bit, at, err)
			}
			b[at] ^= bit
		}
		for range flips / 20 {
			survive(t, b[:rng.IntN(len(b))])
		}
	}
}

func TestStatsCountPclusters(t *testing.T) {
	st := checked(t, golden(t, "extents"), Options{ReadData: true}).Stats
	if st.Pclusters == 0 || st.Fragments == 0 || st.Decoded == 0 || st.Stored >= st.Logical {
		t.Errorf("%+v", st)
	}
}
