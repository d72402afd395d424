package store

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// The bytes of the records; doc.go draws the buckets.
//
//	key of a blob   profile 00 algorithm 00 digest (raw bytes)
//	record          version (1) flags, then unsigned varints: number, size, seconds since 1970,
//	                number of devices, the size of each; then the digest of the image as text, maybe ""
const (
	recordVersion = 1
	flagDamaged   = 1 << 0
	maxDevices    = 1 // a two-file tar index has one
)

// encode returns the bytes of a valid key.
func (k Key) encode() []byte {
	algorithm, digits, _ := strings.Cut(string(k.Digest), ":")
	b := make([]byte, 0, len(k.Profile)+len(k.Digest))
	b = append(append(b, k.Profile...), 0)
	b = append(append(b, algorithm...), 0)
	b, _ = hex.AppendDecode(b, []byte(digits)) // valid
	return b
}

// decodeKey is the inverse of encode; what it returns is valid.
func decodeKey(b []byte) (Key, error) {
	profile, rest, ok := strings.Cut(string(b), "\x00")
	algorithm, raw, ok2 := strings.Cut(rest, "\x00")
	if !ok || !ok2 {
		return Key{}, fmt.Errorf("store: record: key %.80q", b)
	}
	k := Key{profile, digest.Digest(algorithm + ":" + hex.EncodeToString([]byte(raw)))}
	if err := k.Validate(); err != nil {
		return Key{}, fmt.Errorf("store: record: key %.80q: %w", b, err)
	}
	return k, nil
}

// encode returns the record without its key.
func (b *Blob) encode() []byte {
	out := make([]byte, 0, 64+len(b.ImageDigest))
	flags := byte(0)
	if b.Damaged {
		flags |= flagDamaged
	}
	out = append(out, recordVersion, flags)
	for _, v := range []uint64{b.N, uint64(b.Size), uint64(b.Created.Unix()), uint64(len(b.Devices))} {
		out = binary.AppendUvarint(out, v)
	}
	for _, d := range b.Devices {
		out = binary.AppendUvarint(out, uint64(d.Size))
	}
	return append(out, b.ImageDigest...)
}

// decodeBlob reads the record of a key.
func decodeBlob(k Key, b []byte) (Blob, error) {
	bad := func(field string) (Blob, error) {
		return Blob{}, fmt.Errorf("store: record of %s: %s: % .80x", k, field, b)
	}
	if len(b) < 2 || b[0] != recordVersion || b[1]&^byte(flagDamaged) != 0 {
		return bad("version")
	}
	r := varints{b: b[2:], ok: true}
	blob := Blob{Key: k, Damaged: b[1]&flagDamaged != 0}
	blob.N = r.next()
	blob.Size = r.size()
	blob.Created = time.Unix(r.size(), 0).UTC()
	n := r.next()
	if !r.ok || n > maxDevices {
		return bad("numbers")
	}
	for range n {
		blob.Devices = append(blob.Devices, Device{Size: r.size()})
	}
	if !r.ok {
		return bad("devices")
	}
	if len(r.b) > 0 {
		blob.ImageDigest = digest.Digest(r.b)
		if !isDigest(string(blob.ImageDigest)) {
			return bad("digest of the image")
		}
	}
	return blob, nil
}

// varints reads unsigned varints; ok tells whether all were there.
type varints struct {
	b  []byte
	ok bool
}

func (r *varints) next() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.ok = nil, false
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *varints) size() int64 {
	v := r.next()
	if v > 1<<63-1 {
		r.ok = false
	}
	return int64(v)
}
