package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/fsck"
)

// checkJob is what check was asked for.
type checkJob struct {
	open     openFlags
	extract  string
	flags    extractFlags
	readData bool
	strict   bool
	asJSON   bool
	quiet    bool
	progress progressFlag
}

func newCheck(e *env) *cobra.Command {
	j := &checkJob{}
	cmd := &cobra.Command{
		Use:   "check [flags] IMAGE",
		Short: "Check an image and report everything that is wrong with it",
		Long: `Check the structure of an image: every superblock field, table, inode, directory, name, link count,
extended attribute and range of data; overlaps, and what belongs to nothing. All findings are
reported, not only the first; 1000 of them are listed. With --extract the files are written into a
directory if the image is clean; if that fails half-way, the directory is left half filled.

Compressed files have every entry of their index checked; their data is decoded with --read-data only,
that of directories, symbolic links and the metabox always.

The exit code is 3 if there are errors; warnings and notes alone do not count. It is 4 if there are
none, but not all could be checked: a device that was not given.`,
		Example: "  lamina check layer.erofs\n  lamina check --json --read-data layer.erofs\n  lamina check --extract rootfs layer.erofs",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.check(j, args[0])
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&j.extract, "extract", "", "write the files into this directory (root or not)")
	fs.BoolVar(&j.flags.overwrite, "overwrite", false, "with --extract: replace files that are in the way")
	fs.BoolVar(&j.flags.noOwners, "no-owners", os.Geteuid() != 0, "with --extract: let everything belong to the caller")
	fs.BoolVar(&j.readData, "read-data", false, "read the data of all files, too, and decode what is compressed")
	fs.BoolVar(&j.strict, "strict", false, "warnings are errors")
	fs.BoolVar(&j.asJSON, "json", false, "print findings and statistics as JSON")
	fs.BoolVarP(&j.quiet, "quiet", "q", false, "print errors only")
	j.open.register(fs)
	j.progress.register(fs)
	return cmd
}

func (e *env) check(j *checkJob, path string) error {
	im, err := j.open.files(path) // not read as an image: that may be what is wrong
	if err != nil {
		return err
	}
	defer im.close()
	if err := im.devicesFit(); err != nil && !j.asJSON {
		return fmt.Errorf("%s: %w", path, err)
	}
	report, err := e.fsck(j, im, path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := e.printReport(j, path, report); err != nil {
		return err
	}
	if report.Errors > 0 || j.strict && report.Warnings > 0 {
		return &codeError{exitCorrupt, fmt.Errorf("%s: %s", path, countText(report))}
	}
	if len(report.Unchecked) > 0 {
		return &codeError{exitUnsupported, fmt.Errorf("%s: not fully checked: %s", path, strings.Join(report.Unchecked, ", "))}
	}
	if j.extract == "" {
		return nil
	}
	if err := im.read(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	t, err := im.Tree()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer im.ahead(t)()
	return e.extractTree(path, t, j.extract, j.flags)
}

func (e *env) fsck(j *checkJob, im *imageFile, path string) (*fsck.Report, error) {
	o, err := im.fsckOptions()
	if err != nil {
		return nil, err
	}
	p, err := e.startProgress(j.progress, path, im.size)
	if err != nil {
		return nil, err
	}
	defer p.close()
	o.ReadData = j.readData
	o.Observe = func(ev fsck.Event) { p.set(ev.Bytes) }
	report, err := fsck.Check(cancelReaderAt{e.ctx, im.image}, im.size, o)
	if e.ctx.Err() != nil {
		return nil, context.Cause(e.ctx)
	}
	return report, err
}

func (e *env) printReport(j *checkJob, path string, r *fsck.Report) error {
	if j.asJSON {
		if r.Findings == nil {
			r.Findings = []fsck.Finding{}
		}
		return e.json(r)
	}
	for _, f := range r.Findings {
		if f.Severity == fsck.Error || !j.quiet {
			fmt.Fprintln(e.stdout, oneLine(f.String()))
		}
	}
	if r.Omitted > 0 {
		fmt.Fprintf(e.stdout, "%d more findings\n", r.Omitted)
	}
	if j.quiet {
		return nil
	}
	if r.Clean() && len(r.Unchecked) == 0 {
		fmt.Fprintf(e.stdout, "%s: clean: %d inodes, %s, %s\n", path, r.Stats.Inodes, bytesText(r.Stats.ImageSize), countText(r))
	}
	return nil
}

func countText(r *fsck.Report) string {
	return fmt.Sprintf("%s, %s, %s", plural(r.Errors, "error"), plural(r.Warnings, "warning"), plural(r.Notes, "note"))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
