package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/engine"
)

const importLong = `Take the images of an OCI archive or a docker archive ("-": stdin), also if gzip or zstd has compressed it. Their
layers become EROFS images, and the images get the names that the archive has for them. An image without a name gets
that of --name. If one of them cannot be taken, those before it stay, and what else was read goes as by lamina prune.`

func newImport(e *env) *cobra.Command {
	j := &transferJob{}
	var name string
	cmd := &cobra.Command{
		Use:   "import [flags] FILE",
		Short: "Take images from an archive",
		Long:  importLong,
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			in, err := e.openArchive(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = in.Close() }() // only read
			view, err := e.startTransfer(j.progress)
			if err != nil {
				return err
			}
			var list []engine.Image
			err = e.local(&j.local, func(ctx context.Context, l *engine.Local) (err error) {
				list, err = l.Import(ctx, in, engine.ImportOptions{Platform: j.platform, Name: name, Watch: view})
				if err != nil { // what was taken already is of no use
					err = errors.Join(err, tryPrune(context.WithoutCancel(ctx), l))
				}
				return err
			})
			view.close()
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if j.asJSON {
				return e.json(list)
			}
			for _, im := range list {
				if err := e.printImage(im, j); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the image, or what stands before the tags that the archive has")
	j.register(cmd, "OS/ARCH[/VARIANT] to choose (default: this machine's)")
	return cmd
}

func (e *env) openArchive(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(e.stdin), nil
	}
	return os.Open(path)
}

const exportLong = `Write images into an archive ("-": stdout) that docker load, podman load, ctr images import and lamina run
understand. Layers that were not fetched because the store had them are fetched now.`

func newExport(e *env) *cobra.Command {
	var local localFlags
	var o engine.ExportOptions
	var out string
	cmd := &cobra.Command{
		Use:     "export [flags] -o FILE IMAGE...",
		Short:   "Write images into an archive",
		Long:    exportLong,
		Example: "  lamina export -o images.tar debian:13 app:v1",
		Args:    usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if out == "" {
				return errNoOutput
			}
			if out == "-" && isTerminal(os.Stdout) {
				return usagef("-o -: stdout is a terminal")
			}
			f, err := e.create(out)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			err = e.local(&local, func(ctx context.Context, l *engine.Local) error {
				return l.Export(ctx, f, args, o)
			})
			if err != nil {
				return err
			}
			return f.Commit()
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&out, "output", "o", "", "archive to write")
	fs.StringVar(&o.Platform, "platform", "", "OS/ARCH[/VARIANT] to choose (default: this machine's)")
	fs.BoolVar(&o.OCIOnly, "oci-only", false, "leave out what only docker load needs")
	local.register(cmd)
	return e.completes(cmd, &local, 0, false, imageNames)
}
