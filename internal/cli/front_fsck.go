package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/fsck"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// fsckFront is a command line of fsck.erofs.
type fsckFront struct {
	frontend
	extract, ratio, noChecksum bool
	force, overwrite           bool
	preserve, owner, perms     bool // preserve: one of the options has been given
	dir, path                  string
	nid                        uint64
	byNID                      bool
	offset                     int64
	devices                    []string
}

// fsckErofs is fsck.erofs.
func (e *env) fsckErofs(name string, args []string) int {
	out := bufio.NewWriter(e.stdout)
	root := os.Geteuid() == 0
	f := &fsckFront{frontend: frontend{name: name, help: fsckHelp, verbosity: 2}, owner: root, perms: root}
	operands, done, err := f.parse(out, args, f.options())
	if err == nil && !done {
		err = f.run(e, out, operands)
	}
	return e.frontExit(name, errors.Join(err, out.Flush()))
}

func (f *fsckFront) options() []option {
	preserve := func(value bool, to ...*bool) func(string) error {
		return func(string) error {
			f.preserve = true
			for _, t := range to {
				*t = value
			}
			return nil
		}
	}
	opts := append(f.common(), []option{
		{short: 'p', set: flag(&f.ratio, true)},
		{short: 'a', set: ignored}, {short: 'A', set: ignored}, {short: 'y', set: ignored},
		{long: "device", arg: needArg, set: list(&f.devices)},
		{long: "extract", arg: mayArg, set: func(v string) error {
			f.extract, f.dir = true, v
			return nil
		}},
		{long: "offset", arg: needArg, set: func(v string) (err error) {
			f.offset, err = parseSize(v)
			return err
		}},
		{long: "nid", arg: needArg, set: func(v string) (err error) {
			f.byNID = true
			f.nid, err = strconv.ParseUint(v, 0, 64)
			return err
		}},
		{long: "path", arg: needArg, set: text(&f.path)},
		{long: "no-sbcrc", set: flag(&f.noChecksum, true)},
		{long: "force", set: flag(&f.force, true)},
		{long: "overwrite", set: flag(&f.overwrite, true)},
		{long: "preserve", set: preserve(true, &f.owner, &f.perms)},
		{long: "preserve-owner", set: preserve(true, &f.owner)},
		{long: "preserve-perms", set: preserve(true, &f.perms)},
		{long: "no-preserve", set: preserve(false, &f.owner, &f.perms)},
		{long: "no-preserve-owner", set: preserve(false, &f.owner)},
		{long: "no-preserve-perms", set: preserve(false, &f.perms)},
		{long: "xattrs", set: ignored}, // they are extracted always; the original does not by default
	}...)
	return append(opts, refuse(noArg, "no-xattrs", "xattr-inode-digest")...)
}

func (f *fsckFront) run(e *env, out *bufio.Writer, operands []string) error {
	switch {
	case len(operands) == 0:
		return usagef("missing argument: IMAGE; see %s --help", f.name)
	case len(operands) > 1:
		return usagef("unexpected argument %q", operands[1])
	case f.preserve && f.dir == "":
		return usagef("--[no-]preserve[-owner/-perms] must be used together with --extract=X")
	case f.dir != "" && filepath.Clean(f.dir) == "/" && !f.force:
		return usagef("--extract=/ must be used together with --force")
	}
	im, err := openFiles(operands[0], f.offset, f.devices)
	if err != nil {
		return err
	}
	defer im.close()
	if f.noChecksum {
		im.image = noChecksum{im.image}
	}
	report, err := f.check(e, im)
	if err != nil {
		return fmt.Errorf("%s: %w", operands[0], err)
	}
	if s := &report.Stats; f.ratio && s.Logical > 0 {
		stored := min(s.Stored+s.InlineBytes, s.Logical) // inlined targets of links are no file data
		fmt.Fprintf(out, "Compression ratio: %.2f(%%)\n", 100*float64(stored)/float64(s.Logical))
	}
	if f.dir != "" {
		if err := f.extractTo(e, im); err != nil {
			return fmt.Errorf("%s: %w", operands[0], err)
		}
	}
	if f.verbosity > 2 {
		fmt.Fprintln(out, "No errors found")
	}
	return nil
}

// check fails at the first error; the findings are the error's text, as many as fit in a line.
func (f *fsckFront) check(e *env, im *imageFile) (*fsck.Report, error) {
	o, err := im.fsckOptions()
	if err != nil {
		return nil, err
	}
	o.ReadData = f.extract && f.dir == ""
	report, err := fsck.Check(cancelReaderAt{e.ctx, im.image}, im.size, o)
	switch {
	case e.ctx.Err() != nil:
		return nil, context.Cause(e.ctx)
	case err != nil:
		return nil, err
	case report.Errors == 0:
		return report, nil
	}
	for _, x := range report.Findings {
		if x.Severity == fsck.Error {
			return nil, fmt.Errorf("%s (%s)", x, countText(report))
		}
	}
	return nil, errors.New(countText(report))
}

// extractTo writes the image, or the directory asked for, into a directory.
func (f *fsckFront) extractTo(e *env, im *imageFile) error {
	if err := im.read(); err != nil {
		return err
	}
	t, err := im.Tree()
	if err == nil {
		err = im.complete()
	}
	if err != nil {
		return err
	}
	if f.byNID || f.path != "" {
		if t, err = f.subtree(e, im, t); err != nil {
			return err
		}
	}
	defer im.ahead(t)()
	o := dirtree.ExtractOptions{
		Overwrite: f.overwrite, NoOwners: !f.owner,
		Warn: func(w dirtree.Warning) {
			fmt.Fprintf(e.stderr, "%s: warning: %s: %s\n", f.name, f.dir, oneLine(w.String()))
		},
	}
	if !f.perms {
		o.Mask = umask()
	}
	return dirtree.Extract(t, f.dir, o)
}

// subtree is the directory named by --path or --nid.
func (f *fsckFront) subtree(e *env, im *imageFile, t *tree.Tree) (*tree.Tree, error) {
	d := dumpFront{path: f.path, nid: f.nid, byNID: f.byNID, im: im}
	_, _, path, err := d.find(e)
	if err != nil {
		return nil, err
	}
	n := t.Lookup(path)
	if n == nil || !n.IsDir() {
		return nil, fmt.Errorf("%s: extracting less than a directory: %w", printable(path), errNotOurs)
	}
	return &tree.Tree{Root: n}, nil
}

// noChecksum is an image without the feature that says that its superblock has a checksum.
type noChecksum struct{ io.ReaderAt }

// compatOff is where the lowest byte of feature_compat is.
const compatOff = disk.SuperOffset + 8

// ReadAt implements io.ReaderAt.
func (r noChecksum) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	if i := compatOff - off; 0 <= i && i < int64(n) {
		p[i] &^= uint8(disk.HasChecksum)
	}
	return n, err
}
