package store

import (
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// Profiles whose digest is that of the EROFS image itself. All other profiles name how a layer was
// converted; their digest is the diffID of the layer.
const (
	ProfileNative = "native" // a layer that is an EROFS image
	ProfileDir    = "dir"    // a committed directory
)

// Key names a blob: how its bytes were made, and from what.
type Key struct {
	Profile string        // letters, digits, "-", "_", "." and "+", not "." first; at most 64 bytes
	Digest  digest.Digest // diffID of the layer, or digest of the image: see the profiles
}

// String is the key as it is printed: profile, a slash, digest.
func (k Key) String() string { return k.Profile + "/" + k.Digest.String() }

// maxProfile bounds the name of a profile, which becomes a directory.
const maxProfile = 64

// Validate tells what is wrong with a key: an ErrInvalidArgument. Only keys that it accepts become paths.
func (k Key) Validate() error {
	if k.Profile == "" || len(k.Profile) > maxProfile || k.Profile[0] == '.' {
		return fmt.Errorf("store: key: profile %.80q: %w", k.Profile, errdefs.ErrInvalidArgument)
	}
	for _, c := range []byte(k.Profile) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '+':
		default:
			return fmt.Errorf("store: key: profile %q: %w", k.Profile, errdefs.ErrInvalidArgument)
		}
	}
	if !isDigest(string(k.Digest)) {
		return fmt.Errorf("store: key: digest %.150q: %w", k.Digest, errdefs.ErrInvalidArgument)
	}
	return nil
}

// hexLen is the length of the hexadecimal part of a digest, by algorithm.
var hexLen = map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}

// isDigest is digest.Digest.Validate without its regular expression, which is a quarter of the time of reading all
// records.
func isDigest(s string) bool {
	algorithm, hex, ok := strings.Cut(s, ":")
	if n := hexLen[algorithm]; !ok || n == 0 || len(hex) != n {
		return false
	}
	for _, c := range []byte(hex) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Blob is the record of an EROFS image in the store.
type Blob struct {
	Key
	N           uint64        // its number: names the mount point, never used again; given by the store
	Size        int64         // of the image, in bytes
	Devices     []Device      // further files that the image is mounted with, at most one
	ImageDigest digest.Digest // of the image file, if somebody knew it; else ""
	Created     time.Time     // when it was published, to the second
	Damaged     bool          // recovery has set the file aside; only Blobs and Status show such a blob
}

// Device is a file that a blob needs beside its image: the tar of a tar index.
type Device struct {
	Size int64 // in bytes
}

// Bytes is the size of all files of the blob.
func (b *Blob) Bytes() int64 {
	n := b.Size
	for _, d := range b.Devices {
		n += d.Size
	}
	return n
}

// Path is where the EROFS image of a blob lies.
func (s *Store) Path(b Blob) string { return s.image(b.Key) }

// DevicePaths is where the devices of a blob lie, in the order of its device table.
func (s *Store) DevicePaths(b Blob) []string {
	if len(b.Devices) == 0 {
		return nil
	}
	return []string{s.device(b.Key)}
}
