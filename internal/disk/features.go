package disk

import (
	"fmt"
	"math/bits"
)

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

// Feature is a row of the table of features. Exactly one of Compat and Incompat is set.
type Feature struct {
	Compat   Compat
	Incompat Incompat
	Name     string // as dump.erofs prints it
	Kernel   string // the first Linux that knows it; empty if none does
	Means    string
	Read     bool // erofs reads images with it
	Write    bool // mkfs makes images with it
}

// features is the table. A new bit of the format begins here.
var features = []Feature{
	{HasChecksum, 0, "sb_csum", "5.5", "the superblock has a checksum", true, true},
	{HasMtime, 0, "mtime", "5.18", "times are modification times", true, true},
	{HasXattrFilter, 0, "xattr_filter", "6.6", "a filter of xattr names in inodes", true, true},
	{HasSharedEAInMB, 0, "shared_ea_in_metabox", "6.17", "shared xattrs lie in the metabox", true, true},
	{HasPlainXattrPfx, 0, "plain_xattr_pfx", "6.17", "long xattr prefixes lie in the image", true, true},
	{HasIshareXattrs, 0, "ishare_xattrs", "7.0", "fingerprints for sharing the page cache", true, true},

	{0, HasZeroPadding, "lz4_0padding", "5.3", "compressed data is right-aligned", true, true},
	{0, HasComprCfgs, "compr_cfgs", "5.13", "a record for each compression algorithm", true, true},
	{0, HasComprCfgs, "big_pcluster", "5.13", "compressed extents of several blocks", true, true},
	{0, HasChunkedFile, "chunked_file", "5.15", "files as arrays of chunks", true, true},
	{0, HasDeviceTable, "device_table", "5.16", "data on further devices", true, true},
	{0, HasDeviceTable, "compr_head2", "5.16", "a second algorithm within a file", true, false},
	{0, HasZtailpacking, "ztailpacking", "5.17", "compressed tails beside inodes", true, true},
	{0, HasFragments, "fragments", "6.1", "tails of files packed together", true, true},
	{0, HasFragments, "dedupe", "6.1", "compressed extents shared by files", true, true},
	{0, HasXattrPrefixes, "xattr_prefixes", "6.4", "long xattr prefixes", true, true},
	{0, Has48Bit, "48bit", "6.15", "48-bit block addresses", true, true},
	{0, HasMetabox, "metabox", "6.17", "compressed metadata", true, true},
}

// AllFeatures returns the table of features: compatible ones first, each kind by ascending bit.
func AllFeatures() []Feature { return append([]Feature(nil), features...) }

func (c Compat) known() (all Compat) {
	for _, f := range features {
		all |= f.Compat
	}
	return all
}

// Unknown returns the bits that the table lacks. A reader ignores them.
func (c Compat) Unknown() Compat { return c &^ c.known() }

func (i Incompat) known() (all Incompat) {
	for _, f := range features {
		all |= f.Incompat
	}
	return all
}

// Unknown returns the bits that the table lacks. A reader refuses the image if there is one.
func (i Incompat) Unknown() Incompat { return i &^ i.known() }

// Features returns what the feature bits of a superblock mean, in the order of the table; bits without
// a row follow as "unknown-0x...". Where a bit has two names, the rest of the superblock decides.
func Features(s *Superblock) []Feature {
	var out []Feature
	for _, f := range features {
		if f.Compat&s.Compat != 0 || f.Incompat&s.Incompat != 0 && meant(f.Name, s) {
			out = append(out, f)
		}
	}
	for u := uint32(s.Compat.Unknown()); u != 0; u &= u - 1 {
		bit := Compat(1) << bits.TrailingZeros32(u)
		out = append(out, Feature{Compat: bit, Name: fmt.Sprintf("unknown-%#x", uint32(bit)), Means: "a newer compatible feature", Read: true})
	}
	for u := uint32(s.Incompat.Unknown()); u != 0; u &= u - 1 {
		bit := Incompat(1) << bits.TrailingZeros32(u)
		out = append(out, Feature{Incompat: bit, Name: fmt.Sprintf("unknown-%#x", uint32(bit)), Means: "a newer incompatible feature"})
	}
	return out
}

// meant tells whether a feature that shares its bit with another one is meant by it. Both may be: an
// image with fragments may share extents too, which the superblock does not tell.
func meant(name string, s *Superblock) bool {
	switch name {
	case "big_pcluster": // LZ4 alone needs no records, so the bit is there for large pclusters
		return Algorithms(s.ComprAlgs) == 1<<LZ4
	case "device_table":
		return s.ExtraDevices > 0
	case "compr_head2":
		return s.ExtraDevices == 0
	case "fragments":
		return s.PackedNID != 0
	case "dedupe":
		return s.PackedNID == 0
	}
	return true
}
