package lz4

import (
	"os"

	"golang.org/x/sys/unix"
)

// newArena returns memory with a page in front of it and one behind it that nobody may touch.
func newArena(size int) arena {
	page := os.Getpagesize()
	size = (size + page - 1) &^ (page - 1)
	mem, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(err)
	}
	for _, guard := range [][]byte{mem[:page], mem[page+size:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			panic(err)
		}
	}
	return arena(mem[page : page+size : page+size])
}
