package dedupe

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// blockSize is the block of the file system that a file is on: the unit of sharing.
func blockSize(f *os.File) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("dedupe: %s: statfs: %w", f.Name(), err)
	}
	return max(512, int64(st.Bsize)), nil
}

// shareRange makes n bytes of dst lie where those of src do, and returns how many do (FIDEDUPERANGE; vfs_dedupe_file_range
// in fs/remap_range.c, Linux 6.18). Bytes that differ are none.
func shareRange(src *os.File, srcPos int64, dst *os.File, dstPos, n int64) (done int64, err error) {
	for done < n {
		arg := unix.FileDedupeRange{Src_offset: uint64(srcPos + done), Src_length: uint64(n - done),
			Info: []unix.FileDedupeRangeInfo{{Dest_fd: int64(dst.Fd()), Dest_offset: uint64(dstPos + done)}}}
		if err := unix.IoctlFileDedupeRange(int(src.Fd()), &arg); err != nil {
			return done, dedupeError(src, err)
		}
		switch got := arg.Info[0]; {
		case got.Status == -int32(unix.EINVAL): // a file of btrfs without checksums, which the others may have
			return done, fmt.Errorf("dedupe: %s: %w: %w", dst.Name(), errSkip, unix.EINVAL)
		case got.Status < 0:
			return done, dedupeError(dst, unix.Errno(-got.Status))
		case got.Status == unix.FILE_DEDUPE_RANGE_DIFFERS, got.Bytes_deduped == 0:
			return done, nil
		default:
			done += int64(got.Bytes_deduped)
		}
	}
	return done, nil
}

func dedupeError(f *os.File, err error) error {
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EXDEV):
		return fmt.Errorf("dedupe: %s: %w: %w", f.Name(), ErrNoSharing, err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ETXTBSY):
		return fmt.Errorf("dedupe: %s: %w: %w", f.Name(), errSkip, err)
	}
	return fmt.Errorf("dedupe: %s: %w", f.Name(), err)
}

// rowAt is how many of the n bytes at pos are in one row on the disk, and where it begins; -1: nowhere that can be said.
func rowAt(f *os.File, pos, n int64) (place, length int64, err error) {
	e, ok, err := extentAt(f, pos, n)
	if err != nil {
		return 0, 0, dedupeError(f, err)
	}
	switch start := int64(e.logical); {
	case !ok:
		return -1, n, nil
	case start > pos:
		return -1, min(n, start-pos), nil
	case e.flags&fiemapUnknown != 0:
		return -1, min(n, start+int64(e.length)-pos), nil
	default:
		return int64(e.physical) + pos - start, min(n, start+int64(e.length)-pos), nil
	}
}

// sharedBytes is how many of n bytes of two files lie at the same place of the disk.
func sharedBytes(a *os.File, aPos int64, b *os.File, bPos, n int64) (shared int64, err error) {
	for n > 0 {
		pa, na, err := rowAt(a, aPos, n)
		if err != nil {
			return shared, err
		}
		pb, nb, err := rowAt(b, bPos, n)
		if err != nil {
			return shared, err
		}
		step := min(na, nb)
		if step <= 0 {
			return shared, nil
		}
		if pa >= 0 && pa == pb {
			shared += step
		}
		aPos, bPos, n = aPos+step, bPos+step, n-step
	}
	return shared, nil
}
