package differ

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Layer is a layer that Convert reads.
type Layer struct {
	MediaType string
	// DiffID is what the digest of the uncompressed layer must be, if that is known.
	DiffID digest.Digest
	// Snapshot is the id of the snapshot that is to refer to the blob; "": none yet.
	Snapshot string
	// File is the path of a file that has the very bytes of the stream and that nobody changes any more, as
	// in a content store; the blob may become a link of it. "": there is none.
	File string
	// FileDigest is the digest of File, which a content store has compared; "": nobody has.
	FileDigest digest.Digest
}

// Convert makes a blob of a layer that is being read, at the latest when in ends. It is for those who have the
// layer before it is in a content store: they compare the digest of what in gave. The descriptor that is
// returned has the diffID and the length of the uncompressed layer. After nil the blob is durable, recorded,
// and linked; after an error nothing is left. The snapshot may also be a name of the caller's, see store.Tx.Link.
func (d *Differ) Convert(ctx context.Context, in io.Reader, l Layer) (ocispec.Descriptor, error) {
	t, err := parseType(l.MediaType)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	in = &watched{ctx: ctx, r: in}
	if t.native {
		return d.native(ctx, in, &t, l)
	}
	return d.tar(ctx, in, &t, l)
}
