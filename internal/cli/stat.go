package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newStat(e *env) *cobra.Command {
	var open openFlags
	var asJSON, follow bool
	cmd := &cobra.Command{
		Use:     "stat [flags] IMAGE PATH...",
		Short:   "Print everything about files of an image",
		Long:    "Print the inode of files: type, mode, owner, size, time, links, layout, extended attributes.",
		Example: "  lamina stat layer.erofs usr/bin/sudo\n  lamina stat --json layer.erofs / etc/shadow",
		Args:    usageArgs(cobra.MinimumNArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			im, err := open.open(args[0])
			if err != nil {
				return err
			}
			defer im.close()
			enc := newLineEncoder(e.stdout)
			for _, p := range args[1:] {
				i, err := im.inodeAt(p, follow)
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				info, err := describe(fsName(p), i, true)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", args[0], printable(p), err)
				}
				if asJSON {
					err = enc.Encode(info)
				} else {
					info.print(e.stdout, i.Mode)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "dereference", "L", false, "follow a symbolic link")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	open.register(cmd.Flags())
	return cmd
}

// print is the form for people.
func (n *inodeInfo) print(w io.Writer, mode uint32) {
	fmt.Fprintf(w, "path:   %s\n", printable(string(n.Path)))
	if n.Target != "" {
		fmt.Fprintf(w, "target: %s\n", printable(string(n.Target)))
	}
	fmt.Fprintf(w, "type:   %s\n", n.Type)
	if n.Rdev != "" {
		fmt.Fprintf(w, "device: %s\n", n.Rdev)
	}
	fmt.Fprintf(w, "nid:    %d\n", n.NID)
	fmt.Fprintf(w, "mode:   %s (%s)\n", n.Mode, modeText(mode))
	fmt.Fprintf(w, "owner:  %d:%d\n", n.UID, n.GID)
	fmt.Fprintf(w, "size:   %d\n", n.Size)
	fmt.Fprintf(w, "links:  %d\n", n.Nlink)
	fmt.Fprintf(w, "mtime:  %s UTC\n", timeText(n.Mtime))
	fmt.Fprintf(w, "layout: %s\n", n.Layout)
	if n.Fingerprint != "" {
		fmt.Fprintf(w, "shares: %s\n", n.Fingerprint)
	}
	for _, x := range n.Xattrs {
		fmt.Fprintf(w, "xattr:  %s=%q\n", printable(string(x.Name)), string(x.Value))
	}
}

// newLineEncoder writes JSON values, one a line.
func newLineEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}
