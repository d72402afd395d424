package erofs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
)

// bomb is a Zstandard frame of a few hundred bytes that stands for n bytes 'b', a multiple of 128 KiB.
func bomb(n int) []byte {
	const block = 128 << 10
	b := []byte{0x28, 0xB5, 0x2F, 0xFD, 0x00, 7 << 3} // window of 128 KiB, no content size
	for at := 0; at < n; at += block {
		header := uint32(block<<3 | 1<<1) // a run
		if at+block >= n {
			header |= 1
		}
		b = append(b, byte(header), byte(header>>8), byte(header>>16), 'b')
	}
	return b
}

// bombs is an image of files that are one extent of size bytes each; all of them lie over each other.
func bombs(t testing.TB, files int, size int64) []byte {
	m := newMaker(t, 12)
	m.b = make([]byte, 4096)
	binary.LittleEndian.PutUint16(m.b[disk.SuperOffset+disk.SuperSize:], disk.ZSTDConfigSize)
	m.b[disk.SuperOffset+disk.SuperSize+disk.ComprCfgLenLen+1] = 10
	m.sb.Incompat |= disk.HasZeroPadding | disk.HasComprCfgs | disk.Has48Bit
	m.sb.ComprAlgs = 1 << disk.ZSTD
	pos := uint64(m.blocks(bomb(16<<20))) * 4096
	advise, _ := disk.AdviseRecordSize(disk.Extent16Size)
	var list []DirEntry
	for k := range files {
		h := disk.MapHeader{Advise: advise}
		h.SetExtentCount(1)
		e := disk.Extent{Plen: disk.MakePlen(uint32(3000+k), disk.ZSTD), Pstart: pos}
		index := make([]byte, 16+disk.Extent16Size) // the inode ends at a multiple of 32
		h.Encode((*[disk.MapHeaderSize]byte)(index))
		e.Encode16((*[disk.Extent16Size]byte)(index[16:]))
		nid := m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.CompressedFull), Mode: 0o100644, Nlink: 1, Size: uint64(size)}, index)
		list = append(list, DirEntry{fmt.Sprintf("f%03d", k), nid, 1})
	}
	return m.with(list...)
}

// liveBytes are the bytes of the heap that are in use.
func liveBytes() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func TestBombsTakeBoundedMemory(t *testing.T) {
	const files, size = 60, 12 << 20
	im := open(t, bytes.NewReader(bombs(t, files, size)))
	before := liveBytes()
	var peak atomic.Uint64
	var next atomic.Int64
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			p := make([]byte, 100)
			for k := next.Add(1); k <= files; k = next.Add(1) {
				i, err := im.Lookup(fmt.Sprintf("f%03d", k-1))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := i.Content().ReadAt(p, size-1000); err != nil || p[0] != 'b' || p[99] != 'b' {
					t.Errorf("%v, %q", err, p)
				}
				if n := liveBytes(); n > peak.Load() {
					peak.Store(n)
				}
			}
		})
	}
	wait.Wait()
	// 32 MiB are the bound of the cache; the collector lets as much garbage lie about.
	if grown := int64(peak.Load() - before); grown > 100<<20 {
		t.Errorf("%d bytes more on the heap", grown)
	}
}

func TestPclusterOfMoreThanTwelveMebibytesIsRefused(t *testing.T) {
	im := open(t, bytes.NewReader(bombs(t, 1, 12<<20+1)))
	if _, err := im.ReadFile("f000"); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestPclusterShorterThanItsIndexSaysIsCorrupt(t *testing.T) {
	b := bombs(t, 1, 12<<20)
	at := bytes.Index(b, []byte{0x28, 0xB5, 0x2F, 0xFD})
	b[at+6] |= 1 // the first block is the last
	if _, err := open(t, bytes.NewReader(b)).ReadFile("f000"); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}
