package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/oci"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// merger collects the layers of a merge; what it opens stays open until the merged image is written.
type merger struct {
	e       *env
	p       *progress
	tempDir string
	warn    func(text string) // or nil
	layers  []*tree.Tree
	open    []io.Closer
}

func (m *merger) close() {
	for _, c := range m.open {
		_ = c.Close() // only read, or temporary
	}
}

const mergeLong = `Merge layers into one image, the lowest first, by the rules of OCI: whiteouts and opaque directories
hide what lower layers have, and do not show in the result unless --squash keeps them for layers
further down.

A LAYER is an EROFS image, a tar (plain, gzip or zstd), or a whole OCI image as in lamina run
(oci-archive:FILE, docker-archive:FILE, oci:DIR), whose digests are verified. The data of compressed
tars goes through temporary files.`

func newMerge(e *env) *cobra.Command {
	var flags imageFlags
	var job buildJob
	var squash, asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "merge [flags] -o OUT LAYER...",
		Short: "Merge layers into one image",
		Long:  mergeLong,
		Example: `  lamina merge -o root.erofs base.erofs app.erofs
  lamina merge -o root.erofs oci-archive:image.tar`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := job.complete(&flags, asJSON); err != nil {
				return err
			}
			if !quiet {
				job.warn = func(text string) { e.warn("%s", text) }
			}
			r, err := e.merge(&job, args, squash)
			if err != nil || quiet && !asJSON || isStdout(job.output) {
				return err
			}
			return e.printBuild(&job, r, asJSON)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&job.output, "output", "o", "", "image to write (required; - is stdout)")
	fs.BoolVar(&squash, "squash", false, "keep whiteouts and opaque marks: the result is a layer itself")
	registerBases(fs, &job)
	flags.register(fs)
	fs.BoolVar(&asJSON, "json", false, "print a summary as JSON")
	fs.BoolVarP(&quiet, "quiet", "q", false, "do not print the summary")
	job.progress.register(fs)
	return cmd
}

// merge reads the layers, merges their trees and copies the data that is left.
func (e *env) merge(j *buildJob, layers []string, squash bool) (r buildResult, err error) {
	if err := apart([]string{j.output}, append(layerFiles(layers), j.bases...)); err != nil {
		return r, err
	}
	bases, err := e.openBases(j)
	if err != nil {
		return r, err
	}
	defer bases.close()
	r, err = e.combine(j, squash, func(m *merger) error {
		for _, l := range layers {
			if err := m.add(l, j.options.Tar); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.bases = bases.used(&r.Summary)
	}
	return r, err
}

// combine merges the trees that add collects into one image, and commits it.
func (e *env) combine(j *buildJob, squash bool, add func(*merger) error) (r buildResult, err error) {
	p, err := e.startProgress(j.progress, "merging", -1)
	if err != nil {
		return r, err
	}
	defer p.close()
	out, err := e.create(j.output)
	if err != nil {
		return r, err
	}
	defer func() { _ = out.Close() }() // after Commit it does nothing
	if j.options.Mkfs.TempDir == "" {
		j.options.Mkfs.TempDir = out.Dir() // where there is room for the image
	}
	m := &merger{e: e, p: p, tempDir: j.options.Mkfs.TempDir, warn: j.warn}
	defer m.close()
	if err := add(m); err != nil {
		return r, err
	}
	t, err := m.merged(squash)
	if err != nil {
		return r, err
	}
	r.kind = sourceImage
	if err := e.writeTree(j, t, out, p, &r); err != nil {
		return r, err
	}
	if err := convert.ReadBack(out.File.File); err != nil { // before it gets its name
		return r, err
	}
	return r, out.Commit()
}

// merged makes one tree of the layers.
func (m *merger) merged(squash bool) (*tree.Tree, error) {
	if squash {
		return tree.Squash(m.layers...)
	}
	return tree.Merge(m.layers...)
}

// add reads one argument of merge.
func (m *merger) add(layer string, o tartree.Options) error {
	for _, prefix := range ociKinds {
		if strings.HasPrefix(layer, prefix) {
			return m.addOCI(layer, o)
		}
	}
	src, err := m.e.openSource(layer)
	if err != nil {
		return err
	}
	m.open = append(m.open, src.file)
	switch src.kind {
	case sourceDir:
		return usagef("%s: is a directory, not a layer", layer)
	case sourceImage:
		im, err := src.openImage(nil)
		if err != nil {
			return err
		}
		m.open = append(m.open, im)
		if err := im.complete(); err != nil {
			return usagef("%s: has its data in another file; merge what lamina build makes of it", layer)
		}
		return m.addTree(layer, im.Image)
	}
	err = m.addTar(layer, src.file, src.at, convert.Options{Tar: o})
	if other := src.unknown(err); other != err {
		return fmt.Errorf("%s: %w", layer, other)
	}
	return err
}

func (m *merger) addTree(name string, im *erofs.Image) error {
	t, err := im.Tree()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, n := range t.Inodes() {
		if n.Content != nil {
			n.Content = cancelContent{m.e.ctx, n.Content}
		}
	}
	m.layers = append(m.layers, t)
	return nil
}

func (m *merger) addOCI(ref string, o tartree.Options) (err error) {
	im, err := oci.Open(ref, oci.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, im.Close()) }()
	for i, l := range im.Layers {
		if err := context.Cause(m.e.ctx); err != nil {
			return err
		}
		r, err := im.OpenLayer(i)
		if err != nil {
			return err
		}
		err = m.addTar(fmt.Sprintf("%s: layer %d", ref, i), r, nil, convert.Options{Tar: o, DiffID: l.DiffID.String()})
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Close implements io.Closer.
func (im *imageFile) Close() error {
	im.close()
	return nil
}
