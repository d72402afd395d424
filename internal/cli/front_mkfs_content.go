package cli

import (
	"os"

	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// contentMode is what becomes of the bytes of files: --clean and --incremental say it.
type contentMode uint8

const (
	contentRefer   contentMode = iota // not said: of images an index that refers to them, else contentData
	contentData                       // all in the image
	contentReserve                    // of a tar and of images, blocks with zeros in them
	contentZero                       // as the original has it: for directories and tars the same as contentData
)

func parseContent(v string) (contentMode, error) {
	switch v {
	case "", "data":
		return contentData, nil
	case "rvsp":
		return contentReserve, nil
	case "0":
		return contentZero, nil
	}
	return 0, usagef("not data, rvsp or 0")
}

// contents checks what the options say about the bytes of files together, and sets what they mean.
func (f *mkfsFront) contents() error {
	o := &f.job.options
	switch {
	case f.index && (f.incremental || f.content == contentReserve):
		return usagef("--tar=i has no data: --incremental and --clean=rvsp do not go with it")
	case f.incremental && f.job.tarOut != "":
		return usagef("--ungzip=%s does not go with --incremental", f.job.tarOut)
	case f.job.tarOut != "" && !f.tar:
		return usagef("--ungzip=%s needs --tar", f.job.tarOut)
	case f.content != contentReserve:
		return nil
	case o.Mkfs.Dedupe || o.Mkfs.ChunkSize != 0 || f.compress.used:
		return usagef("--clean=rvsp and --incremental=rvsp: reserved blocks are of one file each and hold its bytes as they are: not with -Ededupe, --chunksize or -z")
	}
	o.Mkfs.Inline = mkfs.InlineNone
	o.Spool = func(s tree.Spool) tree.Spool { return reserver{s} }
	return nil
}

// isImageFile tells whether a path is a file with an EROFS image. What cannot be looked at fails when it is opened.
func isImageFile(path string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only read
	return isImage(f, 0)
}

// refusedWhy are options of the original that lamina refuses, and what to do instead.
func refusedWhy() (list []option) {
	for _, r := range []struct {
		name string
		arg  argKind
		why  string
	}{
		{"file-contexts", needArg, "label the directory, its security.selinux is stored"},
		{"fs-config-file", needArg, "for builds of Android"},
		{"gzinfo", mayArg, "lamina keeps the index of a gzip layer in its store"},
		{"oci", mayArg, "lamina pull fetches an image, lamina merge oci:DIR merges one"},
		{"offset", needArg, "an image is written whole to a file of its own"},
		{"product-out", needArg, "for builds of Android"},
		{"root-xattr-isize", needArg, "room to edit the root in place, which lamina never does"},
		{"s3", needArg, "fetch the objects first"},
		{"unlzma", mayArg, "pipe the output of xz -dc into it"},
		{"unxz", mayArg, "pipe the output of xz -dc into it"},
		{"zfeature-bits", needArg, "-E names the features"},
	} {
		list = append(list, option{long: r.name, arg: r.arg, set: func(string) error {
			return usagef("not supported by lamina: %s", r.why)
		}})
	}
	return list
}
