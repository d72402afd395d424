package oracle

import (
	"os"

	"golang.org/x/sys/unix"
)

// NewArena returns size bytes or more between two pages that nobody may touch. They stay as long as the process.
func NewArena(size int) Arena {
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
	return Arena(mem[page : page+size : page+size])
}
