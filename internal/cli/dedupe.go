package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/dedupe"
	"github.com/laminafs/lamina/internal/store"
)

const dedupeLong = `Let the images of the store share blocks of the disk: files that are equal in several layers are then stored once, on
file systems that can do this (xfs with reflink, btrfs). What the images hold does not change, and the kernel compares
the bytes before it shares them, so this may run at any time, also while containers run.

With names of images, share the blocks of these files instead, which must be on one file system. The first ones keep
their blocks. Data in the metadata of an image (short tails of files) and data of compressed images that was packed
together differently is not shared. btrfs frees an extent when nothing of it is used any more, so it may gain less.`

// dedupeInfo is the JSON of a run.
type dedupeInfo struct {
	Images  int             `json:"images"`
	Read    int64           `json:"read"`   // bytes of data in them
	Equal   int64           `json:"equal"`  // that are there more than once
	Shared  int64           `json:"shared"` // of these, on the same blocks since this run
	Before  int64           `json:"before"` // of these, on the same blocks before
	Refused []dedupeRefused `json:"refused"`
}

type dedupeRefused struct {
	Image string `json:"image"`
	Why   string `json:"why"`
}

func newDedupe(e *env) *cobra.Command {
	var conf configFlag
	var root string
	var dry, asJSON bool
	var show progressFlag
	cmd := &cobra.Command{
		Use:   "dedupe [flags] [IMAGE...]",
		Short: "Share equal data of images on the disk (xfs, btrfs)",
		Long:  dedupeLong,
		RunE: func(_ *cobra.Command, images []string) error {
			if len(images) > 0 {
				return e.dedupeNamed(images, dry, asJSON, show)
			}
			c, err := conf.load()
			if err != nil {
				return err
			}
			if root == "" {
				root = c.StoreRoot()
			}
			return e.dedupeStore(root, dry, asJSON, show)
		},
	}
	conf.register(cmd)
	cmd.Flags().StringVar(&root, "root", "", "root of the store (overrides the configuration)")
	cmd.Flags().BoolVarP(&dry, "dry-run", "n", false, "say what is equal, share nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	show.register(cmd.Flags())
	return cmd
}

// dedupeStore shares the data of the blobs of a store. A blob that is removed meanwhile is refused as a missing file.
func (e *env) dedupeStore(root string, dry, asJSON bool, show progressFlag) (err error) {
	if _, err := os.Stat(root); err != nil {
		return err
	}
	st, err := store.Open(e.ctx, store.Config{Root: root})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	s, err := st.Status(e.ctx)
	if err != nil {
		return err
	}
	var paths []string
	for _, b := range s.Blobs {
		if !b.Damaged {
			paths = append(paths, st.Path(b.Blob))
		}
	}
	return e.dedupe(paths, dry, asJSON, show)
}

// dedupeNamed shares the data of images that somebody has named: each of them has to be one.
func (e *env) dedupeNamed(paths []string, dry, asJSON bool, show progressFlag) error {
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		_, err = erofs.Open(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return e.dedupe(paths, dry, asJSON, show)
}

func (e *env) dedupe(paths []string, dry, asJSON bool, show progressFlag) error {
	var total int64
	for _, p := range paths {
		if st, err := os.Stat(p); err == nil {
			total += st.Size()
		}
	}
	p, err := e.startProgress(show, "dedupe", total)
	if err != nil {
		return err
	}
	r, refused, err := dedupe.Run(e.ctx, paths, dedupe.Config{DryRun: dry, Observe: p.set})
	p.close()
	if err != nil {
		return err
	}
	for _, x := range refused {
		e.warn("%s: left out: %v", x.Path, x.Err)
	}
	if asJSON {
		return e.json(dedupeJSON(r, refused))
	}
	verb := "shared"
	if dry {
		verb, r.Shared = "could be shared", r.Equal-r.Before
	}
	_, err = fmt.Fprintf(e.stdout, "%s: read %s, equal %s: %s %s, shared before %s\n", plural(r.Files, "image"), bytesText(r.Read),
		bytesText(r.Equal), verb, bytesText(r.Shared), bytesText(r.Before))
	return err
}

func dedupeJSON(r dedupe.Result, refused []dedupe.Refused) dedupeInfo {
	info := dedupeInfo{Images: r.Files, Read: r.Read, Equal: r.Equal, Shared: r.Shared, Before: r.Before, Refused: []dedupeRefused{}}
	for _, x := range refused {
		info.Refused = append(info.Refused, dedupeRefused{x.Path, tidy(x.Err.Error())})
	}
	return info
}
