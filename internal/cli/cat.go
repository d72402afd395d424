package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/erofs"
)

func newCat(e *env) *cobra.Command {
	var open openFlags
	cmd := &cobra.Command{
		Use:     "cat [flags] IMAGE PATH...",
		Short:   "Print files of an image",
		Long:    "Print regular files of an image on stdout, one after the other. Symbolic links are followed inside the image.",
		Example: "  lamina cat layer.erofs etc/passwd",
		Args:    usageArgs(cobra.MinimumNArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			im, err := open.open(args[0])
			if err != nil {
				return err
			}
			defer im.close()
			if err := im.devicesFit(); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, p := range args[1:] {
				i, err := im.inodeAt(p, true)
				if err == nil {
					err = e.copyFile(i)
				}
				if missing := im.complete(); err != nil && missing != nil {
					err = missing
				}
				if err != nil {
					return fmt.Errorf("%s: %s: %w", args[0], printable(p), err)
				}
			}
			return nil
		},
	}
	open.register(cmd.Flags())
	return cmd
}

// copyFile writes a regular file to stdout.
func (e *env) copyFile(i *erofs.Inode) error {
	if !i.IsRegular() {
		return fmt.Errorf("is a %s, not a regular file", typeNames[i.Mode&0o170000])
	}
	return e.copyContent(e.stdout, i)
}

// copyStep is how much of a file is read at once: enough to decode it on all processors.
const copyStep = 1 << 20

// copyContent writes the data of an inode.
func (e *env) copyContent(w io.Writer, i *erofs.Inode) error {
	r := e.reader(io.NewSectionReader(i.Content(), 0, i.Size))
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, r, make([]byte, min(copyStep, max(1, i.Size))))
	return err
}
