package mount

import (
	"errors"
	"fmt"
	"slices"
)

// system does the steps; tests put a false one in its place.
type system interface {
	mkdir(dir string) error
	rmdir(dir string) error
	erofs(s Step) error
	overlay(s Step) error
	scratch(dir string) error
	unmount(dir string) error
	detach(dir string) error // with all mounts below it
	stacked(err error) bool  // could the error mean that file systems are stacked too deep?
}

// Apply does the steps in order. If one fails, what the steps before it did is undone in reverse and
// nothing is left. Once an overlay has been refused, the steps are tried a second time with
// loop devices for all image files.
func Apply(steps []Step) error { return apply(steps, kernel{}) }

func apply(steps []Step, sys system) error {
	failed, err := try(steps, sys)
	if err == nil || failed.Kind != MountOverlay || !sys.stacked(err) {
		return err
	}
	looped := slices.Clone(steps)
	changed := false
	for i := range looped {
		if s := &looped[i]; s.Kind == MountErofs && !s.Loop {
			s.Loop, changed = true, true
		}
	}
	if !changed {
		return err
	}
	if _, again := try(looped, sys); again != nil {
		return err // the first refusal says more
	}
	return nil
}

// try does the steps and returns the one that failed.
func try(steps []Step, sys system) (Step, error) {
	var undo []func() error
	for _, s := range steps {
		back, err := do(s, sys)
		if err == nil {
			undo = append(undo, back)
			continue
		}
		errs := []error{err}
		for _, u := range slices.Backward(undo) {
			errs = append(errs, u())
		}
		return s, errors.Join(errs...)
	}
	return Step{}, nil
}

func nothing() error { return nil }

// do performs one step and returns what takes it back.
func do(s Step, sys system) (undo func() error, err error) {
	unmount := func() error { return sys.unmount(s.Target) }
	switch s.Kind {
	case Mkdir:
		return func() error { return absent(sys.rmdir(s.Target)) }, sys.mkdir(s.Target)
	case MountErofs:
		return func() error { return absent(unmount()) }, sys.erofs(s)
	case MountOverlay:
		return unmount, sys.overlay(s)
	case MountScratch:
		return func() error { return absent(sys.detach(s.Target)) }, sys.scratch(s.Target)
	case Detach:
		return nothing, sys.detach(s.Target)
	}
	return nothing, fmt.Errorf("mount: %s: unknown", s)
}
