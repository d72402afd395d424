package cli

import (
	"slices"

	"github.com/laminafs/lamina/mkfs"
)

// mkfsCompress are the options of mkfs.erofs about compression.
type mkfsCompress struct {
	c                           mkfs.Compression
	used                        bool // -z
	hints                       string
	legacy                      bool
	inline, fragments, allFrags bool
}

func (f *mkfsCompress) options() []option {
	size := func(to *int) func(string) error {
		return func(v string) error {
			n, err := parseSize(v)
			*to = int(min(n, 1<<30))
			return err
		}
	}
	return []option{
		{short: 'z', arg: needArg, set: func(v string) (err error) {
			f.used = true
			f.c.Method, f.c.Others, err = parseMethods(v)
			return err
		}},
		{short: 'C', arg: needArg, set: func(v string) error {
			if err := size(&f.c.PclusterSize)(v); err != nil || f.c.PclusterSize > 0 {
				return err
			}
			return usagef("not a pcluster size")
		}},
		{long: "max-extent-bytes", arg: needArg, set: size(&f.c.MaxExtent)},
		{long: "compress-hints", arg: needArg, set: text(&f.hints)},
		{short: 'm', arg: needArg, set: func(v string) (err error) {
			f.c.Metabox, err = parseMetabox(v)
			return err
		}},
		{long: "zD", arg: mayArg, set: func(v string) error {
			f.c.Directories = v != "0"
			return among(v, "", "0", "1")
		}},
		// inodes and directories are in a zone of their own behind the data in any case
		{long: "MZ", arg: mayArg, set: func(v string) error { return among(v, "", "0", "i", "d", "id", "di") }},
		{long: "workers", arg: needArg, set: size(&f.c.Workers)},
	}
}

// extended takes an extended option if it is about compression.
func (f *mkfsCompress) extended(name, value string) (known bool, err error) {
	switch name {
	case "legacy-compress":
		f.legacy = true
	case "ztailpacking", "^ztailpacking":
		f.inline = name[0] != '^'
	case "fragments", "^fragments":
		f.fragments = name[0] != '^'
	case "all-fragments", "^all-fragments":
		f.allFrags = name[0] != '^'
	case "fragdedupe", "^fragdedupe": // equal fragments are stored once in any case
		return true, nil
	default:
		return false, nil
	}
	if value != "" {
		n, err := parseSize(value)
		if err != nil || name == "ztailpacking" {
			return true, usagef("%s=%s: not a size", name, value)
		}
		f.c.PackedPclusterSize = int(min(n, 1<<30))
	}
	return true, nil
}

// setMetadata is what a command line without -z says: data stays as it is.
func (f *mkfsCompress) setMetadata(m *mkfs.Options) error {
	switch {
	case f.inline || f.fragments || f.allFrags:
		return usagef("-Eztailpacking, -Efragments, -Eall-fragments need -z")
	case f.c.Metabox == nil && !f.c.Directories:
		return nil
	case f.c.Metabox == nil || f.c.Metabox.Method == nil:
		return usagef("-m and --zD need -z, or -m#:X")
	}
	f.c.Method, f.c.Metabox.Method = *f.c.Metabox.Method, nil
	f.c.PackedPclusterSize, f.c.Rules = f.c.Metabox.PclusterSize, plainData
	m.Compression = &f.c
	return nil
}

// among refuses a value that is none of a list.
func among(v string, list ...string) error {
	if !slices.Contains(list, v) {
		return errNotOurs
	}
	return nil
}

// set fills in the compression if there is one.
func (f *mkfsCompress) set(m *mkfs.Options) (err error) {
	if !f.used {
		return f.setMetadata(m)
	}
	switch {
	case f.allFrags:
		f.c.Tails = mkfs.TailAllFragments
	case f.fragments:
		f.c.Tails = mkfs.TailFragments
	case f.inline:
		f.c.Tails = mkfs.TailInline
	}
	switch {
	case m.Large:
		f.c.Index = mkfs.IndexExtents
	case f.legacy:
		f.c.Index = mkfs.IndexFull
	}
	if f.hints != "" {
		if f.c.Rules, err = readHints(f.hints, len(f.c.Others)); err != nil {
			return err
		}
	}
	m.Compression = &f.c
	return nil
}
