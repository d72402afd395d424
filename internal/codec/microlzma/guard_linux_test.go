package microlzma

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// guarded is memory with a page in front of it and one behind it that nobody may touch.
var guarded = sync.OnceValues(func() (dst, src []byte) { return guard(1 << 21), guard(1 << 21) })

func guard(size int) []byte {
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(err)
	}
	for _, p := range [][]byte{mem[:page], mem[page+size:]} {
		if err := unix.Mprotect(p, unix.PROT_NONE); err != nil {
			panic(err)
		}
	}
	return mem[page : page+size : page+size]
}
