package tartree

import (
	"fmt"
	"io"
	"testing"
)

// flood is an archive of n empty files in one directory, in an order far from sorted, made while it is read.
type flood struct {
	n, i int
	buf  []byte
	head string
}

func (f *flood) NextWindow() ([]byte, error) {
	if f.i == f.n {
		return nil, io.EOF
	}
	f.buf = f.buf[:0]
	for range 500 {
		if f.i == f.n {
			break
		}
		h := []byte(f.head)
		copy(h[2:], fmt.Sprintf("%09d", f.i*7919%f.n))
		copy(h[148:156], "        ")
		octal(h[148:155], sumBytes((*[blockSize]byte)(h)))
		f.buf = append(f.buf, h...)
		f.i++
	}
	return f.buf, nil
}

func (f *flood) Read([]byte) (int, error) { panic("has NextWindow") }

// BenchmarkOneDirectory shows that time is linear in the entries of a directory.
func BenchmarkOneDirectory(b *testing.B) {
	for _, n := range []int{1000, 10000, 100000, 1000000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Read(&flood{n: n, head: hdr("d/", '0')}, &countSpool{}, Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/entry")
		})
	}
}

// BenchmarkWrite writes the tree of an archive with small files.
func BenchmarkWrite(b *testing.B) {
	tr, err := Read(&flood{n: 100000, head: hdr("d/", '0')}, spool{}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := Write(io.Discard, tr, WriteOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100000, "ns/entry")
}
