package mkfs

import (
	"testing"

	"github.com/laminafs/lamina/internal/compress"
)

// What is known of a file does not grow with it, and is enough for what is near.
func TestApartKnowsWhatIsNear(t *testing.T) {
	const piece, ahead = 64 << 10, 8 << 20
	a := newApart(12)
	most := 0
	for at := int64(0); at < 4<<30; at += piece {
		a.add(at, &compress.Run{Len: piece, Pos: at, PLen: 8192})
		a.add(at+ahead, &compress.Run{Len: piece, Pos: at + ahead + 16384, PLen: 8192, Device: 1})
		most = max(most, len(a.edges[0].begins)+len(a.edges[1].begins))
		for _, back := range []int64{0, apartFar - piece, apartFar, 3 * apartFar} {
			there := at - back
			if there < 0 {
				continue
			}
			r := compress.Run{Pos: there + 8192, PLen: 4096, Device: 1}
			if got, want := a.clash(at, &r), back < apartFar; got != want {
				t.Fatalf("%d bytes behind a pcluster of the image, at %d: clash %v", back, at, got)
			}
			if there < ahead {
				continue
			}
			r = compress.Run{Pos: there + 24576, PLen: 4096}
			if got, want := a.clash(at, &r), back < apartFar; got != want {
				t.Fatalf("%d bytes behind a reference, at %d: clash %v", back, at, got)
			}
		}
	}
	if most > 4*2*apartKept/piece {
		t.Errorf("%d edges are kept of a file of 4 GiB", most)
	}
}
