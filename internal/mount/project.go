package mount

import "math"

// quotaUnit is in what quotactl(2) counts the blocks of limits (QIF_DQBLKSIZE, include/uapi/linux/quota.h).
const quotaUnit = 1024

// quotaBlocks rounds a limit in bytes up; a limit that is not 0 must not become 0, which means none.
func quotaBlocks(limit uint64) uint64 {
	if limit > math.MaxUint64-quotaUnit {
		return math.MaxUint64 / quotaUnit
	}
	return (limit + quotaUnit - 1) / quotaUnit
}
