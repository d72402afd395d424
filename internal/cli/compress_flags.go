package cli

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/laminafs/lamina/mkfs"
)

// compressFlags are the flags of lamina build that say how data is compressed.
type compressFlags struct {
	preset, algorithms, pcluster, tails, index, hints string
	metadata, metadataPcluster                        string
	workers                                           int
}

func (f *compressFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.preset, "preset", "", "compress: fast, balanced, small, max")
	fs.StringVarP(&f.algorithms, "compress", "z", "", "compress with ALG[,LEVEL]: lz4, lz4hc, lzma, deflate, zstd; more for the hints behind colons")
	fs.StringVarP(&f.pcluster, "pcluster", "C", "0", "largest compressed extent, a block to 1M (0: that of the preset, else a block)")
	fs.StringVar(&f.tails, "tails", "", "ends of compressed files: blocks, inline, fragments, all-fragments")
	fs.StringVar(&f.index, "index", "", "index of compressed files: auto, full, extents (Linux 6.15)")
	fs.StringVar(&f.metadata, "compress-metadata", "", "compress inodes (Linux 6.17) and directories: all, with =ALG[,LEVEL] by another algorithm; =directories: only these, also with --base; =no: as they are")
	fs.Lookup("compress-metadata").NoOptDefVal = "all"
	fs.StringVar(&f.metadataPcluster, "metadata-pcluster", "0", "largest compressed extent of inodes (0: that of the preset, else 16K)")
	fs.StringVar(&f.hints, "compress-hints", "", "file with methods for files, as mkfs.erofs takes it")
	fs.IntVar(&f.workers, "workers", 0, "goroutines that compress (0: one for each processor); the image does not depend on it")
}

// presets are the compressions that have a name. doc/design/compression.md has their measurements.
var presets = map[string]mkfs.Compression{
	"fast":     {Method: mkfs.Method{Algorithm: mkfs.LZ4}, PclusterSize: 16 << 10, Tails: mkfs.TailInline},
	"balanced": {Method: mkfs.Method{Algorithm: mkfs.ZSTD, Level: 4}, PclusterSize: 64 << 10, Tails: mkfs.TailFragments},
	"small":    {Method: mkfs.Method{Algorithm: mkfs.ZSTD, Level: 15}, PclusterSize: 128 << 10, Tails: mkfs.TailFragments, Directories: true},
	"max": {Method: mkfs.Method{Algorithm: mkfs.LZMA, Level: 109}, PclusterSize: 1 << 20, Tails: mkfs.TailAllFragments,
		Index: mkfs.IndexExtents, Directories: true, Metabox: &mkfs.Metabox{PclusterSize: 32 << 10}},
}

var (
	tailNames = map[string]mkfs.Tails{"blocks": mkfs.TailBlocks, "inline": mkfs.TailInline,
		"fragments": mkfs.TailFragments, "all-fragments": mkfs.TailAllFragments}
	indexNames = map[string]mkfs.Index{"auto": mkfs.IndexAuto, "full": mkfs.IndexFull, "extents": mkfs.IndexExtents}
)

// set fills m.Compression; nil if nothing is to be compressed.
func (f *compressFlags) set(m *mkfs.Options) (err error) {
	var c mkfs.Compression
	switch {
	case f.preset != "":
		if err := choose("preset", f.preset, &c, presets); err != nil {
			return err
		}
	case f.algorithms == "" && f.metadata != "" && f.metadata != "no":
		return f.setMetadataOnly(m)
	case f.algorithms == "":
		if f.metadataPcluster != "0" {
			return usagef("--metadata-pcluster needs --compress-metadata or --preset")
		}
		if f.pcluster != "0" || f.tails+f.index+f.hints != "" {
			return usagef("--pcluster, --tails, --index and --compress-hints need --compress or --preset")
		}
		return nil
	}
	if f.algorithms != "" {
		if c.Method, c.Others, err = parseMethods(f.algorithms); err != nil {
			return usagef("--compress: %w", err)
		}
	}
	pcluster, err := parseSize(f.pcluster)
	if err != nil {
		return usagef("--pcluster: %w", err)
	}
	if pcluster > 0 {
		c.PclusterSize = int(min(pcluster, 1<<30))
	}
	if f.tails != "" {
		err = choose("tails", f.tails, &c.Tails, tailNames)
	}
	if f.index != "" && err == nil {
		err = choose("index", f.index, &c.Index, indexNames)
	}
	if f.hints != "" && err == nil {
		c.Rules, err = readHints(f.hints, len(c.Others))
	}
	if err == nil {
		err = f.setMetadata(&c)
	}
	c.Workers = f.workers
	m.Compression = &c
	return err
}

// parseMethods reads ALG[,LEVEL][,level=N][,dictsize=N][:ALG...].
func parseMethods(spec string) (first mkfs.Method, others []mkfs.Method, err error) {
	for i, one := range strings.Split(spec, ":") {
		m, err := parseMethod(one)
		if err != nil {
			return first, nil, err
		}
		if i == 0 {
			first = m
		} else {
			others = append(others, m)
		}
	}
	return first, others, nil
}

func parseMethod(spec string) (m mkfs.Method, err error) {
	parts := strings.Split(spec, ",")
	a, ok := mkfs.ParseAlgorithm(parts[0])
	if !ok {
		return m, usagef("%q: not one of lz4, lz4hc, lzma, deflate, zstd", parts[0])
	}
	m.Algorithm = a
	for _, p := range parts[1:] {
		name, value, named := strings.Cut(p, "=")
		if !named {
			name, value = "level", p
		}
		n, err := parseSize(value)
		switch {
		case err != nil:
			return m, usagef("%q: %q: not a number", spec, p)
		case name == "level" && n == 0:
			m.Level = mkfs.LevelZero
		case name == "level":
			m.Level = int(min(n, 1<<30))
		case name == "dictsize":
			m.DictSize = int(min(n, 1<<30))
		default:
			return m, usagef("%q: %q: not supported by lamina", spec, name)
		}
	}
	return m, nil
}

// readHints reads a file of lines "PCLUSTER [ALGORITHM] PATTERN": the pcluster size in bytes for the files whose path
// the extended regular expression matches, and which of the algorithms of --compress they get, counted from 0.
func readHints(file string, others int) ([]mkfs.Rule, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var rules []mkfs.Rule
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		r, err := parseHint(text, others)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		}
		rules = append(rules, r)
	}
	return rules, lines.Err()
}

func parseHint(text string, others int) (r mkfs.Rule, err error) {
	fields := strings.Fields(text)
	if len(fields) < 2 || len(fields) > 3 {
		return r, usagef("%q: not PCLUSTER [ALGORITHM] PATTERN", text)
	}
	if r.PclusterSize, err = strconv.Atoi(fields[0]); err != nil || r.PclusterSize < 0 {
		return r, usagef("%q: not a size in bytes", fields[0])
	}
	if len(fields) == 3 {
		if r.Method, err = strconv.Atoi(fields[1]); err != nil || r.Method < 0 || r.Method > others {
			return r, usagef("%q: no algorithm with this number, the first is 0", fields[1])
		}
	}
	if r.PclusterSize == 0 {
		r.Method = mkfs.Plain
	}
	re, err := regexp.CompilePOSIX(fields[len(fields)-1])
	if err != nil {
		return r, usagef("%w", err)
	}
	r.Match = re.MatchString
	return r, nil
}
