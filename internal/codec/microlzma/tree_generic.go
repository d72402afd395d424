//go:build !amd64 || purego

package microlzma

func (f *matchFinder) searchTree(i, limit, best int, head uint32) {
	f.searchTreeInGo(i, limit, best, head)
}
