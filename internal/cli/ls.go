package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/erofs"
)

// lister prints entries.
type lister struct {
	e       *env
	im      *imageFile
	long    bool
	deep    bool
	self    bool
	null    bool
	asJSON  bool
	encoder *json.Encoder
}

func newLs(e *env) *cobra.Command {
	l := &lister{e: e}
	var open openFlags
	cmd := &cobra.Command{
		Use:   "ls [flags] IMAGE [PATH...]",
		Short: "List a directory of an image",
		Long: `List files and directories of an image, ordered by the bytes of their names. Characters that are not
printable are escaped as \xNN, except with --null. With --json every line is a JSON object.`,
		Example: "  lamina ls layer.erofs\n  lamina ls -lR layer.erofs usr/share",
		Args:    usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			im, err := open.open(args[0])
			if err != nil {
				return err
			}
			defer im.close()
			l.im = im
			l.encoder = newLineEncoder(e.stdout)
			paths := args[1:]
			if len(paths) == 0 {
				paths = []string{""}
			}
			for _, p := range paths {
				if err := l.path(p); err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVarP(&l.long, "long", "l", false, "mode, links, owner, size, time (UTC) and target as well")
	fs.BoolVarP(&l.deep, "recursive", "R", false, "everything below, too, with paths")
	fs.BoolVarP(&l.self, "directory", "d", false, "a directory itself, not what is in it")
	fs.BoolVarP(&l.null, "null", "0", false, "end names with NUL instead of a new line, and escape nothing")
	fs.BoolVar(&l.asJSON, "json", false, "print JSON, one object a line")
	open.register(fs)
	return cmd
}

// path lists what is at a path; a symbolic link named by the user is listed, not followed.
func (l *lister) path(p string) error {
	i, err := l.im.inodeAt(p, strings.HasSuffix(p, "/"))
	if err != nil {
		return err
	}
	name := fsName(p)
	if !i.IsDir() || l.self {
		return l.print(name, i)
	}
	prefix := ""
	if l.deep && name != "." {
		prefix = name + "/"
	}
	if !l.long && !l.asJSON && !l.deep {
		return l.names(i)
	}
	return l.e.walk(l.im, i, prefix, l.deep, func(_ *erofs.Inode, path string, i *erofs.Inode) error {
		return l.print(path, i)
	})
}

// names lists a directory without reading the inodes in it.
func (l *lister) names(dir *erofs.Inode) error {
	entries, err := dir.Entries()
	for _, d := range entries {
		l.name(d.Name)
	}
	return err
}

func (l *lister) name(name string) {
	if l.null {
		fmt.Fprintf(l.e.stdout, "%s\x00", name)
		return
	}
	fmt.Fprintln(l.e.stdout, printable(name))
}

func (l *lister) print(name string, i *erofs.Inode) error {
	if !l.long && !l.asJSON {
		l.name(name)
		return nil
	}
	info, err := describe(name, i, false)
	if err != nil {
		return fmt.Errorf("/%s: %w", printable(name), err)
	}
	if l.asJSON {
		return l.encoder.Encode(info)
	}
	fmt.Fprintln(l.e.stdout, info.longLine(i.Mode))
	return nil
}
