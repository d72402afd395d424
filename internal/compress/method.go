package compress

import (
	"bytes"
	"fmt"

	"github.com/laminafs/lamina/internal/codec/deflate"
	"github.com/laminafs/lamina/internal/codec/lz4"
	"github.com/laminafs/lamina/internal/codec/microlzma"
	"github.com/laminafs/lamina/internal/codec/zstd"
	"github.com/laminafs/lamina/internal/disk"
)

// MaxPcluster and MaxExtent bound a pcluster, encoded and decoded (Z_EROFS_PCLUSTER_MAX_SIZE and
// Z_EROFS_PCLUSTER_MAX_DSIZE of Linux).
const (
	MaxPcluster = 1 << 20
	MaxExtent   = 12 << 20
)

// MaxDense bounds an encoded pcluster that begins at any byte: it touches one page more than it fills, and Linux 6.18 reads
// none that touches more pages than MaxPcluster has (EFAULT). Pages have up to 64 KiB.
const MaxDense = MaxPcluster - 64<<10

// Algorithm is an encoder; two of them write LZ4 data.
type Algorithm uint8

// The encoders.
const (
	LZ4 Algorithm = iota
	LZ4HC
	LZMA
	Deflate
	ZSTD

	algorithmCount
)

// algorithms is the table of encoders.
var algorithms = [algorithmCount]struct {
	name     string
	disk     disk.Algorithm
	min, max int // levels
	normal   int
	extreme  bool // levels from 100 on are those above 0 with more effort
	encoder  func(level, window int) (Encoder, error)
}{
	LZ4: {name: "lz4", disk: disk.LZ4, encoder: func(_, window int) (Encoder, error) {
		return lz4.NewEncoder(lz4.Options{MaxDistance: window})
	}},
	LZ4HC: {name: "lz4hc", disk: disk.LZ4, max: lz4.MaxLevel, normal: lz4.DefaultLevel, encoder: func(level, window int) (Encoder, error) {
		return lz4.NewEncoder(lz4.Options{HC: true, Level: level, MaxDistance: window})
	}},
	LZMA: {name: "lzma", disk: disk.LZMA, max: 9, normal: microlzma.DefaultLevel, extreme: true, encoder: func(level, window int) (Encoder, error) {
		return microlzma.NewEncoder(microlzma.Options{Level: level, Dict: window})
	}},
	Deflate: {name: "deflate", disk: disk.Deflate, max: deflate.MaxLevel, normal: deflate.DefaultLevel, encoder: func(level, window int) (Encoder, error) {
		return deflate.NewEncoder(deflate.Options{Level: level, MaxDistance: window})
	}},
	ZSTD: {name: "zstd", disk: disk.ZSTD, max: zstd.MaxLevel, normal: zstd.DefaultLevel, encoder: func(level, window int) (Encoder, error) {
		bits, _ := disk.Log2(window)
		return zstd.NewEncoder(zstd.Options{Level: level, WindowLog: int(bits)})
	}},
}

func (a Algorithm) String() string {
	if a < algorithmCount {
		return algorithms[a].name
	}
	return "unknown"
}

// Disk returns what the format calls the data that a writes.
func (a Algorithm) Disk() disk.Algorithm { return algorithms[a].disk }

// ParseAlgorithm finds an algorithm by its name in mkfs.erofs.
func ParseAlgorithm(name string) (Algorithm, bool) {
	for a := range algorithmCount {
		if algorithms[a].name == name {
			return a, true
		}
	}
	return 0, false
}

// LevelZero as Method.Level is level 0, which zero does not say because it means the default.
const LevelZero = -1

// Method is an algorithm with its parameters.
type Method struct {
	Algorithm Algorithm
	Level     int // of mkfs.erofs; 0: the default; LevelZero: 0
	Dict      int // how far back matches refer in bytes, 0: by Pcluster as mkfs.erofs
	Pcluster  int // the largest that will be asked for, bytes
}

// Check reports parameters that the algorithm does not have.
func (m Method) Check() error {
	if m.Algorithm >= algorithmCount {
		return fmt.Errorf("algorithm %d: unknown", m.Algorithm)
	}
	a := &algorithms[m.Algorithm]
	level := m.Level
	if a.extreme && level >= 100 {
		level -= 100
	}
	if level < LevelZero || level > a.max {
		return fmt.Errorf("%s level %d: not from %d to %d", a.name, m.Level, a.min, a.max)
	}
	lo, hi := m.windows()
	if w := m.window(); w < lo || w > hi || m.Algorithm.Disk() == disk.ZSTD && w&(w-1) != 0 {
		return fmt.Errorf("%s dictionary of %d bytes: not from %d to %d, or no power of two for zstd", a.name, m.Dict, lo, hi)
	}
	return nil
}

// windows returns the bounds of Dict.
func (m Method) windows() (lo, hi int) {
	switch m.Algorithm.Disk() {
	case disk.LZMA:
		return disk.LZMAMinDict, disk.LZMAMaxDict
	case disk.Deflate:
		return 1 << 8, 1 << disk.DeflateMaxWindowBits
	case disk.ZSTD:
		return 1 << disk.ZSTDMinWindowLog, 1 << (disk.ZSTDMinWindowLog + disk.ZSTDMaxWindow)
	}
	return lz4.MaxDistance, lz4.MaxDistance
}

// window returns how far back matches refer.
func (m Method) window() int {
	if m.Dict != 0 {
		return m.Dict
	}
	lo, hi := m.windows()
	switch m.Algorithm.Disk() {
	case disk.LZMA:
		return min(max(32<<10, 4*m.Pcluster), hi)
	case disk.ZSTD:
		w := lo
		for w < 8*m.Pcluster && w < hi {
			w *= 2
		}
		return w
	}
	return hi
}

// level returns the level as the encoder counts it.
func (m Method) level() int {
	switch m.Level {
	case 0:
		return algorithms[m.Algorithm].normal
	case LevelZero:
		return 0
	}
	return m.Level
}

// Config returns the record that announces the method in the image (section 7.2).
func (m Method) Config(blockBits uint8) []byte {
	switch m.Algorithm.Disk() {
	case disk.LZMA:
		c := disk.LZMAConfig{DictSize: uint32(m.window())}
		b := new([disk.LZMAConfigSize]byte)
		c.Encode(b)
		return b[:]
	case disk.Deflate:
		c := disk.DeflateConfig{}
		for 1<<c.WindowBits < m.window() {
			c.WindowBits++
		}
		b := new([disk.DeflateConfigSize]byte)
		c.Encode(b)
		return b[:]
	case disk.ZSTD:
		bits, _ := disk.Log2(m.window())
		c := disk.ZSTDConfig{Window: bits - disk.ZSTDMinWindowLog}
		b := new([disk.ZSTDConfigSize]byte)
		c.Encode(b)
		return b[:]
	}
	c := disk.LZ4Config{MaxDistance: lz4.MaxDistance, MaxPclusterBlks: uint16(m.Pcluster >> blockBits)}
	b := new([disk.LZ4ConfigSize]byte)
	c.Encode(b)
	return b[:]
}

// Decode decodes the first len(dst) bytes of a pcluster that the method made, padding included.
func (m Method) Decode(dst, src []byte) error {
	src = bytes.TrimLeft(src, "\x00")
	switch m.Algorithm.Disk() {
	case disk.LZMA:
		return microlzma.Decode(dst, src, m.window())
	case disk.Deflate:
		return deflate.Decode(dst, src)
	case disk.ZSTD:
		bits, _ := disk.Log2(m.window())
		return zstd.Decode(dst, src, int(bits))
	}
	return lz4.Decode(dst, src)
}

// DecodeWhole is Decode for a pcluster that holds len(dst) bytes and no more, as far as its algorithm tells: what Linux refuses
// if it is to be decoded completely. dst has room for one more byte, cap(dst) > len(dst).
func (m Method) DecodeWhole(dst, src []byte) error {
	src = bytes.TrimLeft(src, "\x00")
	switch m.Algorithm.Disk() {
	case disk.LZMA:
		return microlzma.DecodeWhole(dst, src, m.window())
	case disk.ZSTD:
		bits, _ := disk.Log2(m.window())
		return zstd.DecodeWhole(dst, src, int(bits))
	case disk.Deflate:
		return deflate.DecodeWhole(dst, src)
	}
	return lz4.DecodeWhole(dst, src)
}

// Encoder encodes as much of src as fits into dst and is good for one goroutine; its contract is that of
// the codecs.
type Encoder interface {
	FitDst(dst, src []byte) (written, consumed int)
}

// NewEncoder returns an encoder of the method, which Check must have passed.
func (m Method) NewEncoder() (Encoder, error) {
	return algorithms[m.Algorithm].encoder(m.level(), m.window())
}
