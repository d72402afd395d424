// Package convert turns OCI layers into EROFS images.
//
// A layer is converted in one pass by four goroutines that hand windows of bytes to each other:
//
//	decode (gzip, zstd, or reading ahead) ─► parse and place ─► write
//	                                    └──► SHA-256: the diffID
//
// Memory is a few buffers and the tree; nothing is read twice, and nothing is stored twice.
package convert

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// Options of a conversion; the zero value converts a container layer.
type Options struct {
	Mkfs mkfs.Options    // a zero UUID is derived from the diffID
	Tar  tartree.Options // how the archive is read

	// DiffID, if set, is what the digest of the uncompressed tar must be; if not, it is a *DigestError.
	DiffID string

	// Verified tells that the source is verified by a digest of its own: if it is empty, so is the layer.
	Verified bool

	// Raw, if set, gets the uncompressed tar of Layer and Tree, every byte of it.
	Raw io.Writer

	// Spool, if set, is what Layer puts files in: it stands before the Writer.
	Spool func(tree.Spool) tree.Spool

	// Edit, if set, may change the tree before the metadata is written.
	Edit func(*tree.Tree) error
}

// Result says what a conversion read and wrote.
type Result struct {
	mkfs.Summary
	DiffID      string // digest of the uncompressed tar, "sha256:<hex>"
	TarSize     int64  // its length
	Compression tartree.Compression
	Stats       tartree.Stats
}

// Layer reads a layer (tar, tar.gz, tar.zst) from in and writes an EROFS image to out. in is read to its
// end, so that the diffID covers every byte. The caller syncs out, and discards it after an error.
func Layer(in io.Reader, out mkfs.File, o Options) (Result, error) {
	w, err := mkfs.New(out, o.Mkfs)
	if err != nil {
		return Result{}, err
	}
	var spool tree.Spool = w
	if o.Spool != nil {
		spool = o.Spool(w)
	}
	r, t, err := read(in, fixed(spool), o.raw(), o)
	if err != nil {
		_ = w.Close()
		return r, err
	}
	if o.Mkfs.UUID == [16]byte{} && !o.Mkfs.NoUUID {
		w.SetUUID(mkfs.UUIDFrom(r.digest()))
	}
	r.Summary, err = w.Finish(t)
	return r, err
}

// Tree reads a layer into a tree, its files into the spool that spools returns once the compression is
// known. It reads in to its end, and fills all of Result but Summary.
func Tree(in io.Reader, spools func(tartree.Compression) (tree.Spool, error), o Options) (Result, *tree.Tree, error) {
	return read(in, spools, o.raw(), o)
}

// raw is what takes the windows of the tar on their way.
func (o *Options) raw() func([]byte) error {
	if o.Raw == nil {
		return nil
	}
	return func(b []byte) error {
		_, err := o.Raw.Write(b)
		return err
	}
}

func fixed(s tree.Spool) func(tartree.Compression) (tree.Spool, error) {
	return func(tartree.Compression) (tree.Spool, error) { return s, nil }
}

// read is Tree; every window goes to also, if that is not nil, before it is parsed.
func read(in io.Reader, spools func(tartree.Compression) (tree.Spool, error), also func([]byte) error, o Options) (Result, *tree.Tree, error) {
	var r Result
	sum := &digest{Hash: sha256.New()}
	d, compression, err := tartree.DecompressTap(in, sum)
	if err != nil {
		return r, nil, err
	}
	r.Compression = compression
	o.Tar.Stats = &r.Stats
	w := &windows{src: d.(tartree.Windower), also: also}
	spool, err := spools(compression)
	var t *tree.Tree
	if err == nil {
		t, err = tartree.Read(w, spool, o.Tar)
	}
	if err == nil {
		err = w.drain()
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return r, nil, err
	}
	r.DiffID, r.TarSize = "sha256:"+hex.EncodeToString(sum.Sum(nil)), sum.size
	if o.DiffID != "" && o.DiffID != r.DiffID {
		return r, nil, &DigestError{Got: r.DiffID, Want: o.DiffID}
	}
	if err := checkEnd(&r, &o); err != nil {
		return r, nil, err
	}
	if o.Edit != nil {
		err = o.Edit(t)
	}
	return r, t, err
}

func (r *Result) digest() []byte {
	b, _ := hex.DecodeString(r.DiffID[len("sha256:"):])
	return b
}

// digest is a hash that counts.
type digest struct {
	hash.Hash
	size int64
}

func (d *digest) Write(b []byte) (int, error) {
	d.size += int64(len(b))
	return d.Hash.Write(b)
}
