package snapshotter

import (
	"hash/maphash"
	"sync"
)

// locks keep two calls of this process from making the directories and mounts of the same snapshot. A
// fixed number of them stands for all snapshots.
type locks [64]sync.Mutex

var lockSeed = maphash.MakeSeed()

// lock locks a snapshot and returns what unlocks it.
func (l *locks) lock(id string) (unlock func()) {
	m := &l[maphash.String(lockSeed, id)%uint64(len(l))]
	m.Lock()
	return m.Unlock
}
