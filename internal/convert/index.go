package convert

import (
	"io"
	"os"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/durable"
	"github.com/laminafs/lamina/mkfs"
)

// Index reads a layer and writes to out a tar index: metadata only, to be mounted with the uncompressed
// tar as its device.
func Index(in io.Reader, out mkfs.File, o Options) (Result, error) {
	return writeIndex(in, out, nil, o)
}

// IndexAndTar is Index that writes the uncompressed tar, every byte of it, on the way: what the index
// is to be mounted with.
func IndexAndTar(in io.Reader, index mkfs.File, tar io.Writer, o Options) (Result, error) {
	return writeIndex(in, index, func(b []byte) error {
		_, err := tar.Write(b)
		return err
	}, o)
}

func writeIndex(in io.Reader, out mkfs.File, also func([]byte) error, o Options) (Result, error) {
	w, err := mkfs.NewIndex(out, o.Mkfs)
	if err != nil {
		return Result{}, err
	}
	r, t, err := read(in, fixed(w), also, o)
	if err != nil {
		_ = w.Close()
		return r, err
	}
	if o.Mkfs.UUID == [16]byte{} && !o.Mkfs.NoUUID {
		w.SetUUID(mkfs.UUIDFrom(r.digest()))
	}
	r.Summary, err = w.Finish(t, mkfs.Tar{Size: r.TarSize, Digest: r.digest()})
	return r, err
}

// IndexedTar reads a layer and writes to out one file that is both: the tar index, then the untouched,
// uncompressed tar, whose digest is the diffID. It mounts alone. Result.Size is that of the index, a
// multiple of 4096; the tar begins there.
//
// The tar goes to out while it streams. Then the index is inserted before it: by the file system where
// it can (ext4, xfs: fallocate(FALLOC_FL_INSERT_RANGE)), else by copying.
func IndexedTar(in io.Reader, out *os.File, o Options) (Result, error) {
	tmp, err := durable.Temp(o.Mkfs.TempDir)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = tmp.Close() }() // nothing in it is to be kept
	var pos, kicked int64
	o.Mkfs.SizeAlign = insertAlign
	r, err := writeIndex(in, tmp.File, func(b []byte) error {
		n, err := out.WriteAt(b, pos)
		pos += int64(n)
		if pos-kicked >= kickSize {
			startWriteback(out, kicked, pos-kicked)
			kicked = pos
		}
		return err
	}, o)
	if err != nil {
		return r, err
	}
	if err := insert(out, r.Size, pos); err != nil {
		return r, err
	}
	if _, err := io.Copy(io.NewOffsetWriter(out, 0), io.NewSectionReader(tmp, 0, r.Size)); err != nil {
		return r, err
	}
	return r, out.Truncate(disk.Align(r.Size+pos, 512))
}

// kickSize is how much of the tar is written before the disk is set to work on it: inserting the index
// waits for all of it.
const kickSize = 8 << 20

// insertAlign is the block size of the file systems that can insert a range, and of all common ones.
const insertAlign = 4096

// insert moves the first size bytes of f up by n bytes.
func insert(f *os.File, n, size int64) error {
	if insertRange(f, n) == nil {
		return nil
	}
	buf := make([]byte, 4<<20)
	for end := size; end > 0; {
		start := max(0, end-int64(len(buf)))
		b := buf[:end-start]
		if _, err := f.ReadAt(b, start); err != nil {
			return err
		}
		if _, err := f.WriteAt(b, start+n); err != nil {
			return err
		}
		end = start
	}
	return nil
}
