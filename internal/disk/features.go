package disk

// Compat is feature_compat: bits that a reader may ignore.
type Compat uint32

// Incompat is feature_incompat: a reader that does not know a bit must refuse the image.
type Incompat uint32

// Compatible features (section 1.3).
const (
	HasChecksum      Compat = 0x01
	HasMtime         Compat = 0x02
	HasXattrFilter   Compat = 0x04
	HasSharedEAInMB  Compat = 0x08
	HasPlainXattrPfx Compat = 0x10
	HasIshareXattrs  Compat = 0x20
)

// Incompatible features (section 1.4). Three bits have two names each; which one is meant shows in
// the rest of the superblock only.
const (
	HasZeroPadding   Incompat = 0x001
	HasComprCfgs     Incompat = 0x002 // also BIG_PCLUSTER
	HasChunkedFile   Incompat = 0x004
	HasDeviceTable   Incompat = 0x008 // also COMPR_HEAD2
	HasZtailpacking  Incompat = 0x010
	HasFragments     Incompat = 0x020 // also DEDUPE
	HasXattrPrefixes Incompat = 0x040
	Has48Bit         Incompat = 0x080
	HasMetabox       Incompat = 0x100
)
