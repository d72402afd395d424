// Command genlayer writes layers of any size to stdout, made on the fly and the same on every run:
//
//	genlayer dir N      one directory of N files, each with 16 bytes of its own
//	genlayer tree N     N files in directories of 1000
//	genlayer sparse N   one sparse file of N bytes (PAX 1.0) with 4 KiB of data every N/64
//	genlayer big N      N bytes of incompressible data in files of 64 MiB
package main

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
	"os"
	"strconv"
)

const (
	block = 512
	epoch = 1767225600
	part  = 64 << 20
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: genlayer dir|tree|sparse|big N")
		os.Exit(2)
	}
	n, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil || n < 0 {
		fmt.Fprintln(os.Stderr, "genlayer:", os.Args[2], "is no size")
		os.Exit(2)
	}
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
	switch os.Args[1] {
	case "dir":
		err = dir(w, n)
	case "tree":
		err = tree(w, n)
	case "sparse":
		err = sparse(w, n)
	case "big":
		err = big(w, n)
	default:
		err = fmt.Errorf("%s: not one of dir, tree, sparse, big", os.Args[1])
	}
	if err == nil {
		_, err = w.Write(make([]byte, 2*block))
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "genlayer:", err)
		os.Exit(1)
	}
}

// header is a ustar header; sizes of 8 GiB and more are base-256.
func header(name string, typ byte, mode int, size int64) []byte {
	var h [block]byte
	copy(h[:100], name)
	copy(h[100:], fmt.Sprintf("%07o\x00%07o\x00%07o\x00", mode, 0, 0))
	if size < 1<<33 {
		copy(h[124:], fmt.Sprintf("%011o\x00", size))
	} else {
		h[124] = 0x80
		for i := range 8 {
			h[135-i] = byte(size >> (8 * i))
		}
	}
	copy(h[136:], fmt.Sprintf("%011o\x00        %c", epoch, typ))
	copy(h[257:], "ustar\x0000")
	var sum int
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h[:]
}

func pad(n int64) []byte { return make([]byte, -n&(block-1)) }

// put writes an entry whose data is in memory.
func put(w io.Writer, name string, typ byte, mode int, data string) error {
	for _, b := range [][]byte{header(name, typ, mode, int64(len(data))), []byte(data), pad(int64(len(data)))} {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func dir(w io.Writer, n int64) error {
	if err := put(w, "d/", '5', 0o755, ""); err != nil {
		return err
	}
	for i := range n {
		if err := put(w, fmt.Sprintf("d/entry-%09d", i), '0', 0o644, fmt.Sprintf("contents%08d", i)); err != nil {
			return err
		}
	}
	return nil
}

func tree(w io.Writer, n int64) error {
	for i := range n {
		if i%1000 == 0 {
			if err := put(w, fmt.Sprintf("d%06d/", i/1000), '5', 0o755, ""); err != nil {
				return err
			}
		}
		if err := put(w, fmt.Sprintf("d%06d/entry-%03d", i/1000, i%1000), '0', 0o644, fmt.Sprintf("contents%08d", i)); err != nil {
			return err
		}
	}
	return nil
}

func sparse(w io.Writer, size int64) error {
	const pieces, piece = 64, 4096
	if size < pieces*piece {
		return fmt.Errorf("sparse: at least %d bytes", pieces*piece)
	}
	m := fmt.Sprintf("%d\n", pieces)
	for i := range int64(pieces) {
		m += fmt.Sprintf("%d\n%d\n", size/pieces*i/piece*piece, piece)
	}
	m += string(pad(int64(len(m))))
	var x string
	for _, r := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=sparse", fmt.Sprintf("GNU.sparse.realsize=%d", size)} {
		x += record(r)
	}
	if err := put(w, "PaxHeaders/sparse", 'x', 0o644, x); err != nil {
		return err
	}
	data := make([]byte, pieces*piece)
	fill(0).XORKeyStream(data, data)
	return put(w, "GNUSparseFile.0/sparse", '0', 0o644, m+string(data))
}

// record is a PAX record: its length counts itself.
func record(s string) string {
	n := len(s) + 2
	for n != len(strconv.Itoa(n))+len(s)+2 {
		n = len(strconv.Itoa(n)) + len(s) + 2
	}
	return fmt.Sprintf("%d %s\n", n, s)
}

func big(w io.Writer, size int64) error {
	buf := make([]byte, 1<<20)
	for i := int64(0); size > 0; i++ {
		n := min(size, part)
		size -= n
		if _, err := w.Write(header(fmt.Sprintf("part-%06d", i), '0', 0o644, n)); err != nil {
			return err
		}
		s := fill(i)
		for left := n; left > 0; {
			b := buf[:min(left, int64(len(buf)))]
			clear(b)
			s.XORKeyStream(b, b)
			if _, err := w.Write(b); err != nil {
				return err
			}
			left -= int64(len(b))
		}
		if _, err := w.Write(pad(n)); err != nil {
			return err
		}
	}
	return nil
}

// fill returns a stream of bytes that no compressor and no deduplication shrinks: AES in counter mode,
// some GB/s.
func fill(seed int64) cipher.Stream {
	c, err := aes.NewCipher([]byte(fmt.Sprintf("lamina%010d", seed)))
	if err != nil {
		panic(err) // a key of 16 bytes
	}
	return cipher.NewCTR(c, make([]byte, aes.BlockSize))
}
