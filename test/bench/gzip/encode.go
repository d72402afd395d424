//go:build linux

package main

import (
	stdgzip "compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/klauspost/compress/gzip"
)

// encoder compresses what it reads: by a program or by a function.
type encoder struct {
	name    string
	program []string
	encode  func(io.Writer, io.Reader) error
}

// encoders are those that layers come from: gzip, tools that want speed or size, the libraries of programs in Go.
var encoders = []encoder{
	{name: "gzip -1", program: []string{"gzip", "-n", "-1"}},
	{name: "gzip -6", program: []string{"gzip", "-n", "-6"}},
	{name: "gzip -9", program: []string{"gzip", "-n", "-9"}},
	{name: "pigz", program: []string{"pigz", "-n", "-p2"}},
	{name: "zopfli", program: []string{"zopfli", "--i5", "-c"}},
	{name: "Go", encode: func(w io.Writer, r io.Reader) error {
		z := stdgzip.NewWriter(w)
		_, err := io.Copy(z, r)
		return errors.Join(err, z.Close())
	}},
	{name: "pgzip", encode: flushed},
}

// flushed does what klauspost/pgzip does, which compresses blocks of 1 MiB at the same time, each with the 32 KiB before
// it, and ends each with an empty stored block.
func flushed(w io.Writer, r io.Reader) error {
	z := gzip.NewWriter(w)
	for {
		n, err := io.CopyN(z, r, 1<<20)
		if n > 0 && z.Flush() != nil {
			return z.Flush()
		}
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return errors.Join(err, z.Close())
		}
	}
}

// encode makes an encoding, if it is not there, and returns its path and the length of the data.
func (b *bench) encode(corpus string, e encoder) (path string, size int64, err error) {
	mib := b.mib
	if e.name == "zopfli" {
		mib = b.zopfliMiB
	}
	in, err := os.Open(filepath.Join(b.corpus, corpus+".tar"))
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = in.Close() }()
	st, err := in.Stat()
	if err != nil {
		return "", 0, err
	}
	size = min(int64(mib)<<20, st.Size())
	// its first part is the directories and files of the system; zopfli gets what lies in the middle
	off := int64(0)
	if e.name == "zopfli" {
		off = (st.Size() - size) / 2
	}
	path = b.encoded(corpus, e.name, mib)
	if _, err := os.Stat(path); err == nil {
		return path, size, nil
	}
	out, err := os.Create(path + ".part")
	if err != nil {
		return "", 0, err
	}
	err = errors.Join(e.write(out, io.NewSectionReader(in, off, size)), out.Close())
	if err != nil {
		return "", 0, err
	}
	return path, size, os.Rename(path+".part", path)
}

func (e *encoder) write(out *os.File, in io.Reader) error {
	if e.encode != nil {
		return e.encode(out, in)
	}
	args := e.program[1:]
	if e.name == "zopfli" { // reads files only
		f, err := os.CreateTemp(filepath.Dir(out.Name()), "part")
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(f.Name()) }()
		if _, err := io.Copy(f, in); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		args = append(args[:len(args):len(args)], f.Name())
	}
	cmd := exec.Command(e.program[0], args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
	return cmd.Run()
}
