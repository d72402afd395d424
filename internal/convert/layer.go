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
	"io"

	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// Options of a conversion; the zero value converts a container layer.
type Options struct {
	Mkfs mkfs.Options    // a zero UUID is derived from the diffID
	Tar  tartree.Options // how the archive is read

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
	r, t, err := read(in, w, nil, o)
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

// read parses the layer into a tree, its files into spool. It reads in to the end.
// Every window goes to also, if that is not nil, before it is parsed.
func read(in io.Reader, spool tree.Spool, also func([]byte) error, o Options) (Result, *tree.Tree, error) {
	var r Result
	d, compression, err := tartree.Decompress(in)
	if err != nil {
		return r, nil, err
	}
	r.Compression = compression
	h := startHash(d, also)
	o.Tar.Stats = &r.Stats
	t, err := tartree.Read(h, spool, o.Tar)
	if err == nil {
		err = h.drain()
	}
	sum, size := h.finish()
	err = errors.Join(err, d.Close())
	if err != nil {
		return r, nil, err
	}
	r.DiffID, r.TarSize = "sha256:"+hex.EncodeToString(sum), size
	if o.Edit != nil {
		err = o.Edit(t)
	}
	return r, t, err
}

func (r *Result) digest() []byte {
	b, _ := hex.DecodeString(r.DiffID[len("sha256:"):])
	return b
}

// hashed passes windows on and has them hashed by a goroutine meanwhile: a window is given back to its
// source when both the reader and the hash are done with it.
type hashed struct {
	src  tartree.Windower
	also func([]byte) error
	work chan []byte
	ack  chan struct{}
	busy bool
	size int64
	sum  chan []byte
}

func startHash(src io.ReadCloser, also func([]byte) error) *hashed {
	h := &hashed{also: also, work: make(chan []byte), ack: make(chan struct{}), sum: make(chan []byte, 1)}
	h.src = src.(tartree.Windower)
	go func() {
		sha := sha256.New()
		for b := range h.work {
			_, _ = sha.Write(b)
			h.ack <- struct{}{}
		}
		h.sum <- sha.Sum(nil)
	}()
	return h
}

// NextWindow implements tartree.Windower.
func (h *hashed) NextWindow() ([]byte, error) {
	h.wait()
	b, err := h.src.NextWindow()
	if len(b) == 0 {
		return nil, err
	}
	h.size += int64(len(b))
	h.work <- b
	h.busy = true
	if h.also != nil {
		if aerr := h.also(b); aerr != nil {
			return nil, aerr
		}
	}
	return b, err
}

func (h *hashed) wait() {
	if h.busy {
		<-h.ack
		h.busy = false
	}
}

// Read implements io.Reader for those who do not take windows; nobody here does.
func (h *hashed) Read([]byte) (int, error) { panic("convert: windows are read by NextWindow") }

// drain reads what the parser left behind the end of the archive.
func (h *hashed) drain() error {
	for {
		if _, err := h.NextWindow(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// finish ends the goroutine and returns the digest and how many bytes it covers.
func (h *hashed) finish() ([]byte, int64) {
	h.wait()
	close(h.work)
	return <-h.sum, h.size
}
