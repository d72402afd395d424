package store

import (
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/opencontainers/go-digest"
)

func TestStackReadsWhatAViewShows(t *testing.T) {
	l := Layout{"/s"}
	k := Key{"2", digest.FromString("x")}
	for _, c := range []struct {
		mounts []mount.Mount
		want   []Shown
		ok     bool
	}{
		{nil, nil, true},
		{[]mount.Mount{{Type: "bind", Source: "/s/empty"}}, nil, true},
		{[]mount.Mount{{Type: "bind", Source: "/s/m/7"}}, []Shown{{N: 7}}, true},
		{[]mount.Mount{{Type: "overlay", Source: "overlay", Options: []string{"ro", "lowerdir=/s/m/7:/s/m/12"}}}, []Shown{{N: 7}, {N: 12}}, true},
		{[]mount.Mount{{Type: "erofs", Source: l.image(k)}, {Type: "format/mkdir/overlay", Source: "overlay", Options: []string{"lowerdir={{ mount 0 }}"}}}, []Shown{{Key: k}}, true},
		{[]mount.Mount{{Type: "overlay", Source: "overlay", Options: []string{"lowerdir=/s/m/7", "upperdir=/s/snapshots/1/fs"}}}, nil, false},
		{[]mount.Mount{{Type: "bind", Source: "/s/m/07"}}, nil, false},
		{[]mount.Mount{{Type: "bind", Source: "/s/m/0"}}, nil, false},
		{[]mount.Mount{{Type: "bind", Source: "/elsewhere"}}, nil, false},
		{[]mount.Mount{{Type: "erofs", Source: "/s/blobs/2/sha256/ab/../../../../x.erofs"}}, nil, false},
	} {
		got, ok := l.Stack(c.mounts)
		if ok != c.ok || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %+v, %v", c.mounts, got, ok)
		}
	}
}
