//go:build !linux

package oracle

import "testing"

// MountImage needs Linux.
func MountImage(t testing.TB, image string, devices ...string) string {
	t.Helper()
	Missing(t, "erofs in the kernel")
	return ""
}

// MountLoop needs Linux.
func MountLoop(t testing.TB, image string, devices ...string) string {
	return MountImage(t, image, devices...)
}

// TryMount needs Linux.
func TryMount(t testing.TB, image string, devices ...string) (string, error) {
	return MountImage(t, image, devices...), nil
}
