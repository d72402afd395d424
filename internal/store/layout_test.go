package store

import (
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
)

func TestSnapshotIDIsFoundInMounts(t *testing.T) {
	const root = "/var/lib/x"
	overlay := func(options ...string) []mount.Mount {
		return []mount.Mount{{Type: "overlay", Source: "overlay", Options: options}}
	}
	for name, c := range map[string]struct {
		mounts []mount.Mount
		want   string
	}{
		"bind":          {[]mount.Mount{{Type: "bind", Source: root + "/snapshots/12/fs"}}, "12"},
		"upper":         {overlay("index=off", "workdir="+root+"/snapshots/7/work", "upperdir="+root+"/snapshots/7/fs", "lowerdir="+root+"/m/1"), "7"},
		"upper first":   {overlay("lowerdir="+root+"/snapshots/1/fs", "upperdir="+root+"/snapshots/2/fs"), "2"},
		"quota":         {overlay("upperdir="+root+"/snapshots/7/rw/fs", "lowerdir="+root+"/empty"), "7"},
		"lower":         {overlay("lowerdir=" + root + "/m/1:" + root + "/snapshots/3/fs"), "3"},
		"lower plus":    {overlay("lowerdir+="+root+"/m/1", "lowerdir+="+root+"/snapshots/3/fs"), "3"},
		"last mount":    {append([]mount.Mount{{Source: root + "/snapshots/1/fs"}}, overlay("upperdir="+root+"/snapshots/2/fs")...), "2"},
		"rootfs":        {[]mount.Mount{{Type: "bind", Source: root + "/snapshots/5/rootfs"}}, "5"},
		"no snapshot":   {overlay("lowerdir=" + root + "/m/1:" + root + "/m/2"), ""},
		"other root":    {[]mount.Mount{{Source: "/var/lib/xy/snapshots/1/fs"}}, ""},
		"no number":     {[]mount.Mount{{Source: root + "/snapshots/new-1/fs"}}, ""},
		"leading zero":  {[]mount.Mount{{Source: root + "/snapshots/01/fs"}}, ""},
		"dots":          {[]mount.Mount{{Source: root + "/snapshots/1/../../m/1"}}, ""},
		"the directory": {[]mount.Mount{{Source: root + "/snapshots/"}}, ""},
		"none":          {nil, ""},
	} {
		id, ok := SnapshotID(root+"/", c.mounts)
		if id != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q %v, want %q", name, id, ok, c.want)
		}
	}
	id, ok := SnapshotID("/odd:root", overlay(`lowerdir=/a:/odd\:root/snapshots/4/fs`))
	if !ok || id != "4" {
		t.Errorf("colon in the root: %q %v", id, ok)
	}
}

func FuzzSnapshotID(f *testing.F) {
	f.Add("/r", "/r/snapshots/1/fs", `lowerdir=/a\:b:/c`)
	f.Fuzz(func(t *testing.T, root, source, option string) {
		id, ok := SnapshotID(root, []mount.Mount{{Source: source, Options: []string{option}}})
		if ok != isNumber(id) {
			t.Errorf("%q %v", id, ok)
		}
	})
}

func FuzzRecord(f *testing.F) {
	b := Blob{Key: keyOf("x"), N: 3, Size: 5, Devices: []Device{{7}}, ImageDigest: keyOf("y").Digest}
	f.Add(b.Key.encode(), b.encode())
	f.Fuzz(func(t *testing.T, key, record []byte) {
		k, err := decodeKey(key)
		if err != nil {
			return
		}
		if got, err := decodeKey(k.encode()); err != nil || got != k {
			t.Fatalf("key %v: %v %v", k, got, err)
		}
		b, err := decodeBlob(k, record)
		if err != nil {
			return
		}
		again, err := decodeBlob(k, b.encode())
		if err != nil || again.N != b.N || again.Size != b.Size || !again.Created.Equal(b.Created) || again.Damaged != b.Damaged ||
			again.ImageDigest != b.ImageDigest || !sameSizes(&again, &b) {
			t.Fatalf("%+v: %+v %v", b, again, err)
		}
	})
}
