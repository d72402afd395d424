package cli

import (
	"strings"

	"github.com/laminafs/lamina/mkfs"
)

// metadataPcluster is the pcluster size of the metabox if nothing else is said. doc/design/metabox.md has what was measured.
const metadataPcluster = 16 << 10

// setMetadata is --compress-metadata and --metadata-pcluster.
func (f *compressFlags) setMetadata(c *mkfs.Compression) error {
	pcluster, err := parseSize(f.metadataPcluster)
	if err != nil {
		return usagef("--metadata-pcluster: %w", err)
	}
	switch f.metadata {
	case "": // what the preset says
	case "no", "directories":
		c.Metabox, c.Directories = nil, f.metadata != "no"
	default:
		if c.Directories = true; c.Metabox == nil {
			c.Metabox = &mkfs.Metabox{PclusterSize: metadataPcluster}
		}
		if f.metadata != "all" {
			m, err := parseMethod(f.metadata)
			if err != nil {
				return usagef("--compress-metadata: %w", err)
			}
			c.Metabox = &mkfs.Metabox{Method: &m, PclusterSize: c.Metabox.PclusterSize} // the preset's is not ours to change
		}
	}
	if pcluster == 0 {
		return nil
	}
	if c.Metabox == nil {
		return usagef("--metadata-pcluster: there are no compressed inodes")
	}
	box := *c.Metabox
	box.PclusterSize = int(min(pcluster, 1<<30))
	c.Metabox = &box
	return nil
}

// onBases leaves the inodes of an image with bases as they are if a preset would compress them: their indexes say where the
// bases begin, which is behind all that is compressed. Files that are left as they are would share nothing.
func (f *compressFlags) onBases(c *mkfs.Compression) error {
	if c != nil && f.algorithms == "" && f.preset == "" {
		return usagef("--compress-metadata=%s: with --base it needs --compress or --preset", f.metadata)
	}
	if c == nil || c.Metabox == nil {
		return nil
	}
	if f.metadata != "" {
		return usagef("--compress-metadata=%s: does not go with --base; =directories does", f.metadata)
	}
	c.Metabox = nil
	return nil
}

// setMetadataOnly compresses metadata, by zstd if nothing is said, and leaves data as it is.
func (f *compressFlags) setMetadataOnly(m *mkfs.Options) error {
	if f.pcluster != "0" || f.tails+f.index+f.hints != "" {
		return usagef("--pcluster, --tails, --index and --compress-hints need --compress or --preset")
	}
	c := mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.ZSTD}, Workers: f.workers}
	if err := f.setMetadata(&c); err != nil {
		return err
	}
	if c.Metabox != nil {
		if own := c.Metabox.Method; own != nil {
			c.Method, c.Metabox.Method = *own, nil
		}
	}
	c.PackedPclusterSize = metadataPcluster // of directories
	c.Rules = plainData
	m.Compression = &c
	return nil
}

// plainData leaves all files as they are.
var plainData = []mkfs.Rule{{Match: func(string) bool { return true }, Method: mkfs.Plain}}

// parseMetabox reads the # and the algorithm of -m#[:ALG] of mkfs.erofs.
func parseMetabox(v string) (*mkfs.Metabox, error) {
	size, method, own := strings.Cut(v, ":")
	n, err := parseSize(size)
	if err != nil {
		return nil, err
	}
	b := &mkfs.Metabox{PclusterSize: int(min(n, 1<<30))}
	if n <= 0 {
		return nil, usagef("not a pcluster size")
	}
	if own {
		m, err := parseMethod(method)
		if err != nil {
			return nil, err
		}
		b.Method = &m
	}
	return b, nil
}
