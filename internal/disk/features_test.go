package disk

import (
	"math/bits"
	"strings"
	"testing"
)

func names(fs []Feature) string {
	var s []string
	for _, f := range fs {
		s = append(s, f.Name)
	}
	return strings.Join(s, " ")
}

func TestFeaturesOfForeignImages(t *testing.T) {
	for file, want := range map[string]string{
		"plain.txt":           "sb_csum mtime xattr_filter",
		"prefixes.txt":        "sb_csum mtime xattr_filter plain_xattr_pfx xattr_prefixes",
		"chunks.txt":          "sb_csum mtime chunked_file device_table",
		"tarindex.txt":        "sb_csum mtime device_table",
		"compact.txt":         "sb_csum mtime lz4_0padding",
		"compact-big.txt":     "sb_csum mtime lz4_0padding compr_cfgs big_pcluster",
		"algorithms.txt":      "sb_csum mtime lz4_0padding compr_cfgs",
		"ztailpacking.txt":    "sb_csum mtime lz4_0padding ztailpacking",
		"fragments.txt":       "sb_csum mtime lz4_0padding fragments",
		"full.txt":            "sb_csum mtime lz4_0padding dedupe",
		"extent4.txt":         "sb_csum mtime lz4_0padding compr_cfgs 48bit",
		"extent-fragment.txt": "sb_csum mtime lz4_0padding compr_cfgs big_pcluster fragments 48bit",
		"metabox.txt":         "sb_csum mtime lz4_0padding compr_cfgs 48bit metabox",
	} {
		s := superblock(t, file)
		if got := names(Features(&s)); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

func TestSharedBitsAreToldApart(t *testing.T) {
	for _, v := range []struct {
		s    Superblock
		want string
	}{
		{Superblock{Incompat: HasDeviceTable, ExtraDevices: 1}, "device_table"},
		{Superblock{Incompat: HasDeviceTable}, "compr_head2"},
		{Superblock{Incompat: HasFragments, PackedNID: 40}, "fragments"},
		{Superblock{Incompat: HasFragments}, "dedupe"},
		{Superblock{Incompat: HasComprCfgs, ComprAlgs: 1 << ZSTD}, "compr_cfgs"},
	} {
		if got := names(Features(&v.s)); got != v.want {
			t.Errorf("%#x: %s, want %s", uint32(v.s.Incompat), got, v.want)
		}
	}
}

func TestUnknownFeaturesShowTheirBit(t *testing.T) {
	s := Superblock{Compat: 0x40000001, Incompat: 0x80000404}
	if got, want := names(Features(&s)), "sb_csum chunked_file unknown-0x40000000 unknown-0x400 unknown-0x80000000"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := s.Incompat.Unknown(); got != 0x80000400 {
		t.Errorf("unknown incompatible bits %#x", uint32(got))
	}
	if got := s.Compat.Unknown(); got != 0x40000000 {
		t.Errorf("unknown compatible bits %#x", uint32(got))
	}
}

func TestTableOfFeaturesHasOneBitPerRow(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range AllFeatures() {
		if n := bits.OnesCount32(uint32(f.Compat)) + bits.OnesCount32(uint32(f.Incompat)); n != 1 {
			t.Errorf("%s has %d bits", f.Name, n)
		}
		if seen[f.Name] || f.Name == "" || f.Means == "" || f.Kernel == "" {
			t.Errorf("row %+v", f)
		}
		if f.Write && !f.Read {
			t.Errorf("%s is written but not read", f.Name)
		}
		seen[f.Name] = true
	}
}
