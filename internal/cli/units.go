package cli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// parseSize reads a number of bytes: decimal, hexadecimal (0x), or with K, M, G, T for powers of 1024.
func parseSize(s string) (int64, error) {
	shift := uint(0)
	digits := s
	if s != "" {
		if i := strings.IndexByte("KMGT", upper(s[len(s)-1])); i >= 0 {
			shift, digits = uint(10*(i+1)), s[:len(s)-1]
		}
	}
	n, err := strconv.ParseUint(digits, 0, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, usagef("%q: not a size (4096, 4K, 2M)", s)
	}
	return int64(n << shift), nil
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// parseUUID reads the usual form of a UUID.
func parseUUID(s string) (u [16]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(u) {
		return u, usagef("%q: not a UUID", s)
	}
	copy(u[:], b)
	return u, nil
}

func formatUUID(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// parseID reads a user or group id.
func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return 0, usagef("%q: not an id", s)
	}
	return uint32(n), nil
}

// sourceDateEpoch is the time that SOURCE_DATE_EPOCH sets an upper bound with.
func sourceDateEpoch() (t int64, set bool, err error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return 0, false, nil
	}
	t, err = strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, false, usagef("SOURCE_DATE_EPOCH: %q: not a number", s)
	}
	return t, true, nil
}

// idRange maps ids [from, from+count) to [to, to+count).
type idRange struct{ from, to, count uint32 }

// parseIDRange reads FROM:TO:COUNT.
func parseIDRange(s string) (r idRange, err error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return r, usagef("%q: not FROM:TO:COUNT", s)
	}
	for i, p := range []*uint32{&r.from, &r.to, &r.count} {
		if *p, err = parseID(parts[i]); err != nil {
			return r, err
		}
	}
	if r.count == 0 || uint64(r.from)+uint64(r.count) > 1<<32 || uint64(r.to)+uint64(r.count) > 1<<32 {
		return r, usagef("%q: the range is empty or leaves 32 bits", s)
	}
	return r, nil
}

// mapID returns what the ranges make of an id; an id in none of them stays.
func mapID(id uint32, ranges []idRange) uint32 {
	for _, r := range ranges {
		if id >= r.from && id-r.from < r.count {
			return r.to + (id - r.from)
		}
	}
	return id
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 {
		f /= 1024
		i++
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

// joinUsage makes one usage error of several errors.
func joinUsage(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return &usageError{err}
	}
	return nil
}
