package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// buildJob is one conversion: the build command and the mkfs.erofs front end fill it in.
type buildJob struct {
	input   string // path or "-"
	output  string
	blob    string   // second output: file data as device 1
	devices []string // of an EROFS image as input
	bases   []string // files whose blocks the image may refer to
	options convert.Options

	index  bool   // make a tar index
	single bool   // index and tar in one file
	tarOut string // where the uncompressed tar of a two-file index goes
	diffID string // what the digest of the uncompressed input must be

	tarElsewhere bool       // whoever called has the tar that the index needs
	only         sourceKind // the one kind of input wanted, or sourceAny

	exclude       func(path string) bool // of a directory, if not nil
	oneFileSystem bool

	progress progressFlag
	warn     func(text string)
}

// buildResult is what a conversion says about itself.
type buildResult struct {
	convert.Result
	kind     sourceKind
	warnings int
	bases    []baseUse
}

const buildLong = `Convert a layer or a directory into an EROFS image.

INPUT is a tar, plain or compressed with gzip or zstd (seen by its first bytes; - is stdin), a
directory, or an EROFS image, which is laid out anew. (OCI images, oci-archive: and the like, are for
lamina merge and lamina run.) Same input and flags give the same bytes. The
UUID names the input: it is derived from the digest of the tar, or from the metadata if there is none.
With -U clear a directory and the tar of it (sorted by name) give the same image. OUT is written
beside its place, read back, synced and renamed: it is there whole or not at all.

With --tar-index the image has metadata only and refers to the uncompressed tar as its device.
INPUT, if it is an uncompressed tar, is that device and nothing is copied; else --tar-out says where
the uncompressed tar goes. With --single-file, OUT is the index with the tar behind it.`

func newBuild(e *env) *cobra.Command {
	var job buildJob
	var flags imageFlags
	var asJSON, quiet bool
	var exclude []string
	cmd := &cobra.Command{
		Use:   "build [flags] -o OUT INPUT",
		Short: "Convert a layer (tar, gzip, zstd), a directory or an EROFS image into an EROFS image",
		Long:  buildLong,
		Example: `  lamina build -o layer.erofs layer.tar.gz
  zstd -dc layer.tar.zst | lamina build -o layer.erofs --json -
  lamina build -o root.erofs --mtime 0 --owner 0:0 rootfs/
  lamina build -o layer.index --tar-index layer.tar && mount -t erofs -o device=layer.tar layer.index /mnt
  lamina build -o layer.erofs --tar-index --single-file layer.tar.gz`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			job.input = args[0]
			job.exclude = excludePaths(exclude)
			if err := job.complete(&flags, asJSON); err != nil {
				return err
			}
			if !quiet {
				job.warn = func(text string) { e.warn("%s", text) }
			}
			r, err := e.build(&job)
			if err != nil || quiet && !asJSON || isStdout(job.output) {
				return err
			}
			return e.printBuild(&job, r, asJSON)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&job.output, "output", "o", "", "image to write (required; - is stdout)")
	fs.BoolVar(&job.index, "tar-index", false, "write metadata only, for the uncompressed tar as device")
	fs.BoolVar(&job.single, "single-file", false, "with --tar-index: put the tar behind the index")
	fs.StringVar(&job.tarOut, "tar-out", "", "with --tar-index: write the uncompressed tar here")
	fs.StringVar(&job.blob, "blob", "", "write the data of all files here, as device 1 (needs --chunk-size)")
	fs.StringArrayVar(&job.devices, "device", nil, "extra device of an EROFS image as INPUT (repeatable)")
	fs.StringArrayVar(&exclude, "exclude", nil, "leave out this path of a directory and what is below it (repeatable)")
	fs.BoolVar(&job.oneFileSystem, "one-file-system", false, "leave out what is mounted in a directory")
	fs.StringVar(&job.diffID, "diff-id", "", "fail unless the uncompressed tar has this digest")
	registerBases(fs, &job)
	flags.register(fs)
	fs.BoolVar(&asJSON, "json", false, "print a summary as JSON")
	fs.BoolVarP(&quiet, "quiet", "q", false, "print neither summary nor warnings")
	job.progress.register(fs)
	return cmd
}

// excludePaths tells of the paths whether they are in the list; nil if there is none.
func excludePaths(list []string) func(string) bool {
	if len(list) == 0 {
		return nil
	}
	set := make(map[string]bool)
	for _, p := range list {
		set[fsName(p)] = true
	}
	return func(path string) bool { return set[path] }
}

func isStdout(path string) bool { return path == "-" || path == "/dev/stdout" }

// complete fills the options and checks what flags say together.
func (j *buildJob) complete(flags *imageFlags, asJSON bool) (err error) {
	if j.options, err = flags.options(); err != nil {
		return err
	}
	if j.index && flags.blockSize == "4096" {
		j.options.Mkfs.BlockSize = 0 // 512, the only one there is
	}
	switch {
	case j.output == "":
		return errNoOutput
	case asJSON && isStdout(j.output):
		return usagef("--json: the image itself goes to stdout")
	case j.index && j.options.Mkfs.Compression != nil:
		return usagef("--tar-index: the data stays in the tar: --compress, --preset and --compress-metadata do not go with it")
	case !j.index && (j.single || j.tarOut != ""):
		return usagef("--single-file and --tar-out need --tar-index")
	case j.single && j.tarOut != "":
		return errBothOf("--single-file", "--tar-out")
	case j.diffID != "" && !isDiffID(j.diffID):
		return usagef("--diff-id: %q: not sha256: and 64 hexadecimal digits", j.diffID)
	}
	o := j.options.Mkfs
	if len(j.bases) > 0 {
		if err := flags.compress.onBases(o.Compression); err != nil {
			return err
		}
	}
	if j.blob != "" {
		o.DataDevice = nowhere{}
	}
	return joinUsage(o.Validate())
}

// errNoDevice: what an index refers to must be there as a file of its own.
var errNoDevice = usagef("is no plain file with an uncompressed tar from its first byte: --tar-out or --single-file is needed")

// isDiffID tells whether s is a digest as --diff-id wants one.
func isDiffID(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

// nowhere stands for the data device while options are validated.
type nowhere struct{ mkfs.File }

// build converts and commits the outputs; after an error there are none.
func (e *env) build(j *buildJob) (r buildResult, err error) {
	inputs := slices.Concat([]string{j.input}, j.devices, j.bases)
	if err := apart([]string{j.output, j.blob, j.tarOut}, inputs); err != nil {
		return r, err
	}
	bases, err := e.openBases(j)
	if err != nil {
		return r, err
	}
	defer bases.close()
	src, err := e.openSource(j.input)
	if errors.Is(err, fs.ErrNotExist) && slices.ContainsFunc(ociKinds, func(k string) bool { return strings.HasPrefix(j.input, k) }) {
		return r, usagef("%s: is an OCI image: lamina merge makes one EROFS image of it, lamina run runs it", j.input)
	}
	if err != nil {
		return r, err
	}
	defer src.close()
	r.kind = src.kind
	switch {
	case j.only != sourceAny && j.only != src.kind:
		return r, usagef("%s: is %s, not %s", j.input, sourceNames[src.kind], sourceNames[j.only])
	case j.index && src.kind != sourceStream:
		return r, usagef("%s: a tar index needs a tar", j.input)
	case j.index && !j.single && j.tarOut == "" && !j.tarElsewhere && (src.size < 0 || src.off != 0):
		return r, fmt.Errorf("%s: %w", j.input, errNoDevice)
	case j.diffID != "" && src.kind != sourceStream:
		return r, usagef("%s: --diff-id: only a tar has one", j.input)
	}
	out, err := e.create(j.output)
	if err != nil {
		return r, err
	}
	defer func() { _ = out.Close() }() // after Commit it does nothing
	outs := []*output{out}
	for _, extra := range []string{j.blob, j.tarOut} {
		if extra == "" {
			continue
		}
		f, err := e.create(extra)
		if err != nil {
			return r, err
		}
		defer func() { _ = f.Close() }()
		outs = append(outs, f)
	}
	if j.blob != "" {
		j.options.Mkfs.DataDevice = outs[1].File.File
	}
	if j.options.Mkfs.TempDir == "" {
		j.options.Mkfs.TempDir = out.Dir() // where there is room for the image
	}
	p, err := e.startProgress(j.progress, j.input, src.size)
	if err != nil {
		return r, err
	}
	err = e.convert(j, src, outs, p, &r)
	p.close()
	if err == nil {
		err = convert.ReadBack(out.File.File) // before it gets its name
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", j.input, src.unknown(err))
	}
	r.bases = bases.used(&r.Summary)
	for i := range outs { // the image last: it needs the others
		if err := outs[len(outs)-1-i].Commit(); err != nil {
			return r, err
		}
	}
	return r, nil
}

// convert fills the outputs: the image, then the blob or the tar.
func (e *env) convert(j *buildJob, src *source, outs []*output, p *progress, r *buildResult) (err error) {
	j.warnOfTar(r)
	out := outs[0].File.File
	switch src.kind {
	case sourceDir:
		return e.convertDir(j, src, outs[0], p, r)
	case sourceImage:
		return e.convertImage(j, src, outs[0], p, r)
	}
	j.options.DiffID = j.diffID
	in := e.reader(p.reader(src.file))
	switch {
	case j.index && j.single:
		r.Result, err = convert.IndexedTar(in, out, j.options)
	case j.index && j.tarOut != "":
		r.Result, err = convert.IndexAndTar(in, out, outs[1], j.options)
	case j.index:
		r.Result, err = convert.Index(in, out, j.options)
		if err == nil && r.Compression != tartree.None {
			err = errNoDevice
		}
	default:
		if j.tarOut != "" {
			j.options.Raw = outs[len(outs)-1]
		}
		r.Result, err = convert.Layer(in, out, j.options)
	}
	return err
}

// warnOfTar counts and tells what is left out of a tar.
func (j *buildJob) warnOfTar(r *buildResult) {
	j.options.Tar.Warn = func(w tartree.Warning) {
		r.warnings++
		j.warning(j.input + ": " + w.String())
	}
}

func (j *buildJob) warning(text string) {
	if j.warn != nil {
		j.warn(text)
	}
}

// convertImage lays an EROFS image out anew.
func (e *env) convertImage(j *buildJob, src *source, out *output, p *progress, r *buildResult) error {
	im, err := src.openImage(j.devices)
	if err != nil {
		return err
	}
	defer im.close()
	if err := im.complete(); err != nil {
		return err
	}
	t, err := im.Tree()
	if err != nil {
		return err
	}
	return e.writeTree(j, t, out, p, r)
}

// writeTree makes an image of a tree whose contents lie elsewhere.
func (e *env) writeTree(j *buildJob, t *tree.Tree, out *output, p *progress, r *buildResult) error {
	j.options.Mkfs.Observe = func(ev mkfs.Event) { p.set(ev.Bytes) }
	w, err := mkfs.New(out.File.File, j.options.Mkfs)
	if err != nil {
		return err
	}
	if j.options.Edit != nil {
		if err := j.options.Edit(t); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	r.Summary, err = w.Finish(t)
	return err
}
