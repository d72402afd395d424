package cli

import "github.com/laminafs/lamina/internal/mount"

// Scripts end with mounts when they fail, and when what they keep has some: nobody else takes them away.
func init() {
	unmountBelow = func(dir string) {
		table, err := mount.Table(dir)
		if err != nil {
			return
		}
		for i := len(table) - 1; i >= 0; i-- {
			_ = mount.Umount(table[i].Target, true)
		}
	}
}
