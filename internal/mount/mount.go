// Package mount puts EROFS images into the file system: one image, or layers joined by overlayfs.
//
// Plan decides what to do from plain data, Apply does it and takes everything back if a step fails,
// Probe asks the kernel, by trying, what it can do. No version number of a kernel is looked at.
//
// # What stays
//
// overlayfs holds private clones of its lower mounts, so the mount points of the layers are needed
// only until the overlay exists. A plan for several layers mounts a tmpfs at a scratch directory and the
// layers in it, makes the overlay and detaches the tmpfs with all that is in it: one mount is left, and one
// umount frees all. The kernel waits for its readers (RCU) in every umount, 5 ms and on a busy machine
// 50, which is most of the cost of mounting; so there is one, not one for each layer. Loop devices are
// opened with autoclear and go with the mount that uses them.
//
// # Image files and loop devices
//
// Linux mounts an image file without a loop device since 6.12. It refuses with ENOTBLK if built
// without that, or if the file lies on a stacked file system; then a loop device is used. An overlay
// on such a mount may be refused because file systems stack two deep at most; Apply then tries once
// more with loop devices.
package mount

import (
	"fmt"
	"path/filepath"
	"strconv"
)

// Layer is an EROFS image to be mounted.
type Layer struct {
	Image   string   // path of the image file or block device
	Devices []string // files or block devices of the further devices, in the order of the device table
}

// Root is what is to be mounted.
type Root struct {
	Layers  []Layer // the lowest first; at least one
	Target  string  // an existing directory
	Scratch string  // an empty directory for mount points in passing; needed by an overlay
	Upper   string  // directory that takes what is written; "": read-only
	Work    string  // directory of overlayfs on the file system of Upper; needed with Upper
}

// Kernel is what a kernel can do. The zero value is one that can mount block devices only.
type Kernel struct {
	FileBacked   bool // erofs on a regular file
	LowerdirPlus bool // overlay takes its lower directories one by one ("lowerdir+"), as many as there are
}

// Kind is what a Step does.
type Kind uint8

// The kinds of steps and the fields of Step that they use.
const (
	Mkdir        Kind = iota + 1 // Target
	MountErofs                   // Source, Devices, Loop, Target
	MountOverlay                 // Lowers, Upper, Work, Joined, Target
	MountScratch                 // Target: an empty file system for mount points
	Detach                       // Target and all mounts below it
)

// Step is one thing to do.
type Step struct {
	Kind    Kind
	Target  string
	Source  string
	Devices []string
	Loop    bool     // go through loop devices without trying the files first
	Lowers  []string // the highest first
	Upper   string
	Work    string
	Joined  bool // give all lower directories in one option
}

// String is the step as a command line.
func (s Step) String() string {
	switch s.Kind {
	case Mkdir:
		return "mkdir " + s.Target
	case MountErofs:
		how := ""
		if s.Loop {
			how = " -o loop"
		}
		for _, d := range s.Devices {
			how += " -o device=" + d
		}
		return fmt.Sprintf("mount -t erofs%s %s %s", how, s.Source, s.Target)
	case MountOverlay:
		return fmt.Sprintf("mount -t overlay %d layers, upper %q: %s", len(s.Lowers), s.Upper, s.Target)
	case MountScratch:
		return "mount -t tmpfs lamina " + s.Target
	case Detach:
		return "umount --lazy " + s.Target
	}
	return "step " + strconv.Itoa(int(s.Kind))
}

// MaxLayers is how many lower directories overlayfs takes (OVL_MAX_STACK, fs/overlayfs/params.h).
const MaxLayers = 500

// Plan returns the steps that mount r on a kernel k. It is pure.
func Plan(r Root, k Kernel) ([]Step, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	if len(r.Layers) == 1 && r.Upper == "" {
		return []Step{erofsStep(r.Layers[0], r.Target, k)}, nil
	}
	steps := []Step{{Kind: MountScratch, Target: r.Scratch}}
	lowers := make([]string, len(r.Layers))
	for i, l := range r.Layers {
		dir := filepath.Join(r.Scratch, strconv.Itoa(i))
		lowers[len(lowers)-1-i] = dir
		steps = append(steps, Step{Kind: Mkdir, Target: dir}, erofsStep(l, dir, k))
	}
	steps = append(steps, Step{
		Kind: MountOverlay, Target: r.Target, Lowers: lowers,
		Upper: r.Upper, Work: r.Work, Joined: !k.LowerdirPlus,
	})
	return append(steps, Step{Kind: Detach, Target: r.Scratch}), nil
}

func erofsStep(l Layer, target string, k Kernel) Step {
	return Step{Kind: MountErofs, Source: l.Image, Devices: l.Devices, Target: target, Loop: !k.FileBacked}
}

func (r *Root) validate() error {
	switch {
	case len(r.Layers) == 0:
		return fmt.Errorf("mount: %s: no layers", r.Target)
	case len(r.Layers) > MaxLayers:
		return fmt.Errorf("mount: %s: %d layers: overlayfs takes %d", r.Target, len(r.Layers), MaxLayers)
	case r.Target == "":
		return fmt.Errorf("mount: no target")
	case r.Upper != "" && r.Work == "":
		return fmt.Errorf("mount: %s: an upper directory needs a work directory", r.Target)
	case r.Scratch == "" && (r.Upper != "" || len(r.Layers) > 1):
		return fmt.Errorf("mount: %s: an overlay needs a scratch directory", r.Target)
	}
	return nil
}
