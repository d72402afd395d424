package zstd

import (
	"math"
	"math/bits"
)

// logs holds 256 times the logarithm of 1 + i/1024.
var logs = func() (t [1025]uint16) {
	for i := range t {
		t[i] = uint16(math.Round(256 * math.Log2(1+float64(i)/1024)))
	}
	return t
}()

// log2 returns 256 times the logarithm of n, which is not 0.
func log2(n uint32) int {
	e := bits.Len32(n) - 1
	if e > 10 {
		return e<<8 + int(logs[n>>(e-10)-1<<10])
	}
	return e<<8 + int(logs[n<<(10-e)-1<<10])
}

// entropy returns how long n symbols of which count tells the numbers get at best, in 1/256 bits.
func entropy(count []uint32) int {
	n, cost := 0, 0
	for _, c := range count {
		if c > 0 {
			n += int(c)
			cost -= int(c) * log2(c)
		}
	}
	if n == 0 {
		return 0
	}
	return cost + n*log2(uint32(n))
}
