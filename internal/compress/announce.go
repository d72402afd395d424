package compress

import "github.com/laminafs/lamina/internal/disk"

// MethodOf returns a method with the parameters that the record of an algorithm announces (section 7.2), to read with;
// a record that is too short announces nothing but pclusters of a block.
func MethodOf(a disk.Algorithm, record []byte, blockBits uint8) Method {
	m := Method{Pcluster: 1 << blockBits}
	known := len(record) >= disk.ComprCfgSize(a)
	switch a {
	case disk.LZMA:
		m.Algorithm, m.Dict = LZMA, disk.LZMAMinDict
		if known {
			var c disk.LZMAConfig
			c.Decode((*[disk.LZMAConfigSize]byte)(record))
			m.Dict = int(c.DictSize)
		}
	case disk.Deflate:
		m.Algorithm = Deflate
	case disk.ZSTD:
		m.Algorithm, m.Dict = ZSTD, 1<<disk.ZSTDMinWindowLog
		if known {
			var c disk.ZSTDConfig
			c.Decode((*[disk.ZSTDConfigSize]byte)(record))
			m.Dict = 1 << (disk.ZSTDMinWindowLog + c.Window)
		}
	default:
		if known {
			var c disk.LZ4Config
			c.Decode((*[disk.LZ4ConfigSize]byte)(record))
			m.Pcluster = max(m.Pcluster, int(c.MaxPclusterBlks)<<blockBits)
		}
	}
	return m
}

// Join returns m with parameters that are large enough for what o makes, too: a method of the same data.
func (m Method) Join(o Method) Method {
	m.Dict = max(m.window(), o.window())
	m.Pcluster = max(m.Pcluster, o.Pcluster)
	return m
}
