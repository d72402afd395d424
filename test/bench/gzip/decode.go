//go:build linux

package main

import (
	"bytes"
	stdgzip "compress/gzip"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/klauspost/compress/gzip"

	"github.com/laminafs/lamina/internal/codec/deflate"
)

// bufferSize is what the decoders decode into.
const bufferSize = 256 << 10

// decodeFile prints the shortest CPU time of a pass over a file, in nanoseconds, and how many bytes it decoded.
func decodeFile(decoder, path string, passes int) error {
	in, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	decode, ok := map[string]func([]byte, []byte) (int64, error){"lamina": ours, "members": members, "klauspost": klauspost, "standard": standard}[decoder]
	if !ok {
		return fmt.Errorf("%s: no decoder", decoder)
	}
	buf := make([]byte, deflate.MinBuffer+bufferSize)
	var best, size int64
	for range passes {
		start := cpu()
		n, err := decode(in, buf)
		if err != nil {
			return err
		}
		if d := cpu() - start; best == 0 || d < best {
			best = d
		}
		size = n
	}
	fmt.Println(best, size)
	return nil
}

// cpu is the time that all threads have taken, in nanoseconds.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func ours(in, buf []byte) (n int64, err error) {
	for z := deflate.NewReader(bytes.NewReader(in)); err == nil; {
		var data []byte
		data, err = z.Next(buf)
		n += int64(len(data))
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// members decodes members side by side on two goroutines; -decode members FILE shows what that costs.
func members(in, buf []byte) (n int64, err error) {
	s := deflate.NewStream(bytes.NewReader(in), 2)
	defer s.Close()
	for err == nil {
		var data []byte
		data, buf, err = s.Next(buf)
		n += int64(len(data))
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func klauspost(in, buf []byte) (int64, error) {
	z, err := gzip.NewReader(bytes.NewReader(in))
	if err != nil {
		return 0, err
	}
	return io.CopyBuffer(io.Discard, struct{ io.Reader }{z}, buf)
}

func standard(in, buf []byte) (int64, error) {
	z, err := stdgzip.NewReader(bytes.NewReader(in))
	if err != nil {
		return 0, err
	}
	return io.CopyBuffer(io.Discard, struct{ io.Reader }{z}, buf)
}
