//go:build !purego

package microlzma

// searchTree is searchTreeInGo by a loop in assembly, where src leaves room for its loads of 8 bytes. What pays for it is in
// BenchmarkFitDst.
func (f *matchFinder) searchTree(i, limit, best int, head uint32) {
	if !assembly || len(f.src)-i < limit+ahead {
		f.searchTreeInGo(i, limit, best, head)
		return
	}
	descend(f, i, limit, best, head)
}

// ahead is what descend may read behind the limit.
const ahead = 8

// descend is the loop. It relies on i, limit and head being as for searchTreeInGo, and on limit+ahead bytes at src[i].
//
//go:noescape
func descend(f *matchFinder, i, limit, best int, head uint32)
