package disk

import "encoding/binary"

// Compression configs (section 7.2) lie behind the superblock and its extension slots, one for each
// bit of Algorithms, ascending. Each starts at a multiple of 4 with the length of its payload in 2 bytes.
const (
	ComprCfgAlign  = 4
	ComprCfgLenLen = 2

	LZ4ConfigSize     = 14
	LZMAConfigSize    = 14
	DeflateConfigSize = 6
	ZSTDConfigSize    = 6
)

// ComprCfgSize returns the length of the payload that an algorithm needs at least; 0 if unknown.
func ComprCfgSize(a Algorithm) int {
	if !a.Known() {
		return 0
	}
	return [algorithmCount]int{LZ4ConfigSize, LZMAConfigSize, DeflateConfigSize, ZSTDConfigSize}[a]
}

// LZ4Config is struct z_erofs_lz4_cfgs: 00 max_distance, 02 max_pclusterblks, 04 reserved (10).
type LZ4Config struct {
	MaxDistance     uint16
	MaxPclusterBlks uint16 // 0 counts as 1
	Reserved        [10]byte
}

// Decode fills c from its bytes.
func (c *LZ4Config) Decode(b *[LZ4ConfigSize]byte) {
	c.MaxDistance = binary.LittleEndian.Uint16(b[0:])
	c.MaxPclusterBlks = binary.LittleEndian.Uint16(b[2:])
	copy(c.Reserved[:], b[4:])
}

// Encode writes c.
func (c *LZ4Config) Encode(b *[LZ4ConfigSize]byte) {
	binary.LittleEndian.PutUint16(b[0:], c.MaxDistance)
	binary.LittleEndian.PutUint16(b[2:], c.MaxPclusterBlks)
	copy(b[4:], c.Reserved[:])
}

// Bounds of LZMAConfig.DictSize; Linux fails with EINVAL beyond them.
const (
	LZMAMinDict = 4096
	LZMAMaxDict = 8 << 20
)

// LZMAConfig is struct z_erofs_lzma_cfgs: 00 dict_size, 04 format, 06 reserved (8).
type LZMAConfig struct {
	DictSize uint32
	Format   uint16 // 0
	Reserved [8]byte
}

// Decode fills c from its bytes.
func (c *LZMAConfig) Decode(b *[LZMAConfigSize]byte) {
	c.DictSize = binary.LittleEndian.Uint32(b[0:])
	c.Format = binary.LittleEndian.Uint16(b[4:])
	copy(c.Reserved[:], b[6:])
}

// Encode writes c.
func (c *LZMAConfig) Encode(b *[LZMAConfigSize]byte) {
	binary.LittleEndian.PutUint32(b[0:], c.DictSize)
	binary.LittleEndian.PutUint16(b[4:], c.Format)
	copy(b[6:], c.Reserved[:])
}

// DeflateMaxWindowBits is the largest DeflateConfig.WindowBits.
const DeflateMaxWindowBits = 15

// DeflateConfig is struct z_erofs_deflate_cfgs: 00 windowbits, 01 reserved (5).
type DeflateConfig struct {
	WindowBits uint8
	Reserved   [5]byte
}

// Decode fills c from its bytes.
func (c *DeflateConfig) Decode(b *[DeflateConfigSize]byte) {
	c.WindowBits = b[0]
	copy(c.Reserved[:], b[1:])
}

// Encode writes c.
func (c *DeflateConfig) Encode(b *[DeflateConfigSize]byte) {
	b[0] = c.WindowBits
	copy(b[1:], c.Reserved[:])
}

// ZSTDMinWindowLog and ZSTDMaxWindow bound ZSTDConfig: the window is 1 << (ZSTDMinWindowLog + Window).
const (
	ZSTDMinWindowLog = 10
	ZSTDMaxWindow    = 10
)

// ZSTDConfig is struct z_erofs_zstd_cfgs: 00 format, 01 windowlog-10, 02 reserved (4).
type ZSTDConfig struct {
	Format   uint8 // 0
	Window   uint8
	Reserved [4]byte
}

// Decode fills c from its bytes.
func (c *ZSTDConfig) Decode(b *[ZSTDConfigSize]byte) {
	c.Format, c.Window = b[0], b[1]
	copy(c.Reserved[:], b[2:])
}

// Encode writes c.
func (c *ZSTDConfig) Encode(b *[ZSTDConfigSize]byte) {
	b[0], b[1] = c.Format, c.Window
	copy(b[2:], c.Reserved[:])
}
