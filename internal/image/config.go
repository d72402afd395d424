package image

import (
	"encoding/binary"
	"fmt"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/zmap"
)

// openConfigs reads the records of the compression algorithms as z_erofs_parse_cfgs does (section 7.2).
func (im *Image) openConfigs(o Options) error {
	sb := &im.Super
	if sb.Incompat&disk.HasComprCfgs == 0 {
		return nil
	}
	w := im.Devices[0].Window
	off := disk.SuperOffset + sb.Size()
	for a := disk.LZ4; a.Known(); a++ {
		if !sb.Algorithms().Has(a) {
			continue
		}
		off = disk.Align(off, disk.ComprCfgAlign)
		field := a.String() + " configuration"
		b, err := w.Read(off, disk.ComprCfgLenLen, field)
		if err != nil {
			return o.broken(err)
		}
		n := int64(binary.LittleEndian.Uint16(b))
		if b, err = w.Read(off+disk.ComprCfgLenLen, n, field); err != nil {
			return o.broken(err)
		}
		if len(b) < disk.ComprCfgSize(a) {
			err = &disk.FormatError{Off: off, Field: field, Got: n, Why: "shorter than the algorithm needs"}
		} else if RefusedConfig(a, b, im.bits) {
			err = &disk.FormatError{Off: off, Field: field, Got: fmt.Sprintf("% x", b), Why: "parameters out of bounds"}
		} else {
			im.limits.set(a, b)
			im.records[a] = b
		}
		if err := o.broken(err); err != nil {
			return err
		}
		off += disk.ComprCfgLenLen + n
	}
	return nil
}

// Config returns the record of an algorithm, nil if the image has none that is valid. It must not be changed.
func (im *Image) Config(a disk.Algorithm) []byte { return im.records[a] }

// set keeps what a valid record allows.
func (l *limits) set(a disk.Algorithm, b []byte) {
	l.hasConfig |= 1 << a
	switch a {
	case disk.LZMA:
		var c disk.LZMAConfig
		c.Decode((*[disk.LZMAConfigSize]byte)(b))
		l.lzmaDict = int(c.DictSize)
	case disk.ZSTD:
		var c disk.ZSTDConfig
		c.Decode((*[disk.ZSTDConfigSize]byte)(b))
		l.zstdLog = disk.ZSTDMinWindowLog + int(c.Window)
	}
}

// RefusedConfig tells whether Linux refuses the parameters of an algorithm: z_erofs_load_*_config. b has
// at least disk.ComprCfgSize(a) bytes.
func RefusedConfig(a disk.Algorithm, b []byte, blockBits uint8) bool {
	switch a {
	case disk.LZ4:
		var c disk.LZ4Config
		c.Decode((*[disk.LZ4ConfigSize]byte)(b))
		return int64(c.MaxPclusterBlks) > zmap.MaxEncoded>>blockBits
	case disk.LZMA:
		var c disk.LZMAConfig
		c.Decode((*[disk.LZMAConfigSize]byte)(b))
		return c.Format != 0 || c.DictSize < disk.LZMAMinDict || c.DictSize > disk.LZMAMaxDict
	case disk.Deflate:
		var c disk.DeflateConfig
		c.Decode((*[disk.DeflateConfigSize]byte)(b))
		return c.WindowBits > disk.DeflateMaxWindowBits
	case disk.ZSTD:
		var c disk.ZSTDConfig
		c.Decode((*[disk.ZSTDConfigSize]byte)(b))
		return c.Format != 0 || c.Window > disk.ZSTDMaxWindow
	}
	return false
}
