package snapshotter

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
)

func TestConfigIsRefusedWithTheReason(t *testing.T) {
	for want, c := range map[string]Config{
		"enable_fsverity":                  {EnableFsverity: true},
		"dmverity_mode: \"on\"":            {DmverityMode: "on"},
		"dmverity_mode: \"maybe\"":         {DmverityMode: "maybe"},
		"default_size: \"ten\"":            {DefaultSize: "ten"},
		"default_size: \"-1\"":             {DefaultSize: "-1"},
		"default_size: \"1k\"":             {DefaultSize: "1k"},
		"default_size: \"99999p\"":         {DefaultSize: "99999p"},
		"default_size: \"NaN\"":            {DefaultSize: "NaN"},
		"mount_mode":                       {MountMode: "guest"},
		"quota: \"btrfs\"":                 {Quota: "btrfs"},
		"layer_content_caches":             {LayerContentCaches: []string{"relative"}},
		"ovl_mount_options: \"lowerdir":    {OvlMountOptions: []string{"lowerdir=/x"}},
		"ovl_mount_options: \"ro":          {OvlMountOptions: []string{"ro"}},
		"ovl_mount_options: \"metacopy=on": {OvlMountOptions: []string{"metacopy=on"}},
		"ovl_mount_options: \"\"":          {OvlMountOptions: []string{""}},
	} {
		err := c.Validate()
		if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	all := Config{EnableFsverity: true, DmverityMode: "on", DefaultSize: "x", MountMode: "x", Quota: "x"}
	if n := strings.Count(all.Validate().Error(), "snapshotter: "); n != 5 {
		t.Errorf("%d of 5 contradictions are reported", n)
	}
	for _, c := range []Config{
		{}, {DmverityMode: "auto", MountMode: "host", Quota: "image"}, {DmverityMode: "off", MountMode: "managed", Quota: "project"},
		{OvlMountOptions: []string{`context="system_u:object_r:container_file_t:s0:c1,c2"`, "volatile", "metacopy=off"}, Quota: "ext4"},
	} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{
		"": 0, "0": 0, "1048576": 1 << 20, "64MiB": 64 << 20, "64mb": 64 << 20, "64M": 64 << 20, " 1.5 GiB ": 3 << 29, "2t": 2 << 40, "1PiB": 1 << 50,
	} {
		if got, err := parseSize(s); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"b", "i", "GiB", "1e9", "0x100000", "1 2", "inf", "-64m", "1kk", "64MiBi"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
}

func TestOverlayDefaults(t *testing.T) {
	dir := t.TempDir()
	for name, value := range map[string]string{"index": "N\n", "metacopy": "Y\n", "redirect_dir": "N\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := overlayDefaults(dir, []string{"volatile"}); !slices.Equal(got, []string{"index=off", "metacopy=off", "volatile"}) {
		t.Errorf("%q", got)
	}
	if got := overlayDefaults(dir, []string{"index=on"}); !slices.Equal(got, []string{"metacopy=off", "index=on"}) {
		t.Errorf("%q", got)
	}
	if got := overlayDefaults(filepath.Join(dir, "none"), nil); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestOwnersGoThereAndBack(t *testing.T) {
	m := &mount.IDMap{
		UIDs: []mount.IDRange{{Inside: 0, Outside: 1000, Count: 1}, {Inside: 1, Outside: 100000, Count: 65535}},
		GIDs: []mount.IDRange{{Inside: 0, Outside: 200000, Count: 65536}},
	}
	back := m.Owner
	for _, id := range []int{0, 1, 33, 65535} {
		u, ok := mapID(m.UIDs, id)
		g, ok2 := mapID(m.GIDs, id)
		if bu, bg := back(uint32(u), uint32(g)); !ok || !ok2 || int(bu) != id || int(bg) != id {
			t.Errorf("%d: outside %d:%d, back %d:%d", id, u, g, bu, bg)
		}
	}
	if _, ok := mapID(m.UIDs, 65536); ok {
		t.Error("65536 is not in the mapping")
	}
	if u, g := back(5, 6); u != 5 || g != 6 {
		t.Errorf("owners from outside became %d:%d", u, g)
	}
}
