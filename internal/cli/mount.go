package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/internal/mount"
)

// mountJob is what mount was asked for.
type mountJob struct {
	images, devices     []string
	target, upper, work string
	loop, force, dryRun bool
}

const mountLong = `Mount an image at a directory, or several layers joined by overlayfs, the lowest first. One mount is
made whatever the number of layers, and lamina umount, or umount, takes it away. Image files are
mounted directly where the kernel can do that (Linux 6.12), else through loop devices. Needs root. If the image
has its data in other files, as a tar index has, --device names them. A directory at which something is mounted is refused.`

func newMount(e *env) *cobra.Command {
	j := &mountJob{}
	cmd := &cobra.Command{
		Use:   "mount [flags] IMAGE... DIR",
		Short: "Mount an image, or layers joined by overlayfs",
		Long:  mountLong,
		Example: `  lamina mount layer.erofs /mnt
  lamina mount --device layer.tar layer.index /mnt
  lamina mount --upper up --work wk base.erofs app.erofs /mnt`,
		Args: usageArgs(cobra.MinimumNArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error {
			j.images, j.target = args[:len(args)-1], args[len(args)-1]
			if len(j.devices) > 0 && len(j.images) > 1 {
				return usagef("--device: with one image only")
			}
			if (j.upper == "") != (j.work == "") {
				return usagef("--upper and --work need each other")
			}
			return e.mount(j)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringArrayVar(&j.devices, "device", nil, "extra device of the image (repeatable, in the order of its table)")
	fs.StringVar(&j.upper, "upper", "", "directory that takes what is written (default: read-only)")
	fs.StringVar(&j.work, "work", "", "empty directory on the same file system as --upper")
	fs.BoolVar(&j.loop, "loop", false, "use loop devices without trying the files")
	fs.BoolVar(&j.force, "force", false, "mount over what is mounted at DIR already")
	fs.BoolVar(&j.dryRun, "dry-run", false, "print what would be done")
	return cmd
}

// mount plans and mounts; the scratch directory is gone afterwards.
func (e *env) mount(j *mountJob) (err error) {
	if !j.dryRun {
		if err := mayMount(j.images[0]); err != nil {
			return err
		}
	}
	r, err := j.root()
	if err != nil {
		return err
	}
	k := mount.Kernel{FileBacked: true, LowerdirPlus: true}
	if !j.dryRun {
		if r.Scratch, err = os.MkdirTemp("", "lamina-mount-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.Remove(r.Scratch)) }()
		if k, err = mount.Probe(r.Scratch); err != nil {
			return fmt.Errorf("%s: %w", j.images[0], err)
		}
	}
	k.FileBacked = k.FileBacked && !j.loop
	steps, err := mount.Plan(r, k)
	if err != nil {
		return err
	}
	if !j.dryRun {
		e.undoes.Store(true)
		return j.apply(e.ctx, r.Target, steps)
	}
	for _, s := range steps {
		fmt.Fprintln(e.stdout, s)
	}
	return nil
}

// apply does the steps; a mount that is there stays uncovered unless force says otherwise.
func (j *mountJob) apply(ctx context.Context, target string, steps []mount.Step) error {
	if j.force {
		return mount.Apply(steps)
	}
	ok, err := mount.Once(ctx, target, func() error { return mount.Apply(steps) })
	if err == nil && !ok {
		return fmt.Errorf("%s: something is mounted there already; --force mounts over it", j.target)
	}
	return err
}

// mayMount says early, for a caller that is not root, that root is needed.
func mayMount(image string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	if _, err := mount.Probe(os.TempDir()); errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: needs root: %w", image, err)
	}
	return nil
}

// mountable refuses what the kernel would refuse with an error that says little: files that are no images,
// and images whose devices are not those that they need. What lamina cannot read, the kernel may.
func mountable(l *mount.Layer) error {
	im, err := openImage(l.Image, 0, l.Devices)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	defer im.close()
	if err := im.complete(); err != nil {
		return fmt.Errorf("%s: %w", l.Image, err)
	}
	return nil
}

// root makes all paths absolute: overlayfs shows them in the mount table.
func (j *mountJob) root() (mount.Root, error) {
	r := mount.Root{Target: j.target, Upper: j.upper, Work: j.work, Scratch: filepath.Join(os.TempDir(), "lamina-mount")}
	for _, i := range j.images {
		r.Layers = append(r.Layers, mount.Layer{Image: i, Devices: append([]string(nil), j.devices...)})
	}
	paths := []*string{&r.Target, &r.Upper, &r.Work}
	for n := range r.Layers {
		l := &r.Layers[n]
		paths = append(paths, &l.Image)
		for d := range l.Devices {
			paths = append(paths, &l.Devices[d])
		}
	}
	for _, p := range paths {
		if *p == "" {
			continue
		}
		if _, err := os.Stat(*p); err != nil {
			return r, err
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return r, err
		}
		*p = abs
	}
	if st, err := os.Stat(r.Target); err == nil && !st.IsDir() {
		return r, usagef("%s: is not a directory to mount at", j.target)
	}
	for n := range j.images {
		if err := mountable(&mount.Layer{Image: j.images[n], Devices: j.devices}); err != nil {
			return r, err
		}
	}
	return r, nil
}

func newUmount(*env) *cobra.Command {
	var lazy bool
	cmd := &cobra.Command{
		Use:   "umount [flags] DIR...",
		Short: "Take mounts away",
		Long: `Take away what lamina mount has mounted at a directory. Loop devices are freed with it. Only mounts of
erofs and overlay are touched.`,
		Example: "  lamina umount /mnt",
		Args:    usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, dir := range args {
				if err := umount(dir, lazy); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&lazy, "lazy", false, "detach at once, even if it is in use")
	return cmd
}

func umount(dir string, lazy bool) error {
	kind, err := mount.TypeOf(dir)
	if err != nil {
		return err
	}
	if kind != "erofs" && kind != "overlay" {
		return fmt.Errorf("%s: is no mount of erofs or overlay", dir)
	}
	return mount.Umount(dir, lazy)
}
