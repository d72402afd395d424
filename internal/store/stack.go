package store

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/opencontainers/go-digest"
)

// Shown is a blob that mounts refer to: by the number of its mount point, or by its image file.
type Shown struct {
	N   uint64 // 0 if Key says which
	Key Key
}

// Stack reads from the mounts of a view which blobs they show, the highest first. ok is false if they refer
// to anything else but Empty. It looks at nothing but its arguments.
func (l Layout) Stack(mounts []mount.Mount) (blobs []Shown, ok bool) {
	for _, m := range mounts {
		kind := m.Type[strings.LastIndexByte(m.Type, '/')+1:]
		for _, path := range pathsOf(m) {
			switch {
			case kind == "overlay" && path == m.Source, strings.HasPrefix(path, "{{ "):
			case filepath.Clean(path) == filepath.Clean(l.Empty()):
			default:
				s, ok := l.shown(filepath.Clean(path))
				if !ok {
					return nil, false
				}
				blobs = append(blobs, s)
			}
		}
	}
	return blobs, true
}

// shown reads a path that is a mount point of a blob or an image file.
func (l Layout) shown(path string) (s Shown, ok bool) {
	l.Root = filepath.Clean(l.Root)
	if n, ok := strings.CutPrefix(path, l.mounts()+"/"); ok {
		s.N, _ = strconv.ParseUint(n, 10, 64)
		return s, s.N != 0 && l.MountPoint(s.N) == path
	}
	rest, ok := strings.CutPrefix(path, l.blobs()+"/")
	if parts := strings.Split(rest, "/"); ok && len(parts) == 4 {
		s.Key = Key{parts[0], digest.NewDigestFromEncoded(digest.Algorithm(parts[1]), strings.TrimSuffix(parts[3], imageExt))}
		return s, s.Key.Validate() == nil && l.image(s.Key) == path
	}
	return s, false
}
