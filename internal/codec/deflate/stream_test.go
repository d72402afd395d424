package deflate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// streamed decodes with a Stream.
func streamed(r io.Reader, size, workers int) (out []byte, err error) {
	return drained(NewStream(r, workers), size)
}

func drained(s *Stream, size int) (out []byte, err error) {
	defer s.Close()
	for buf := make([]byte, size); ; {
		var data []byte
		data, buf, err = s.Next(buf)
		out = append(out, data...)
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return out, err
		}
	}
}

// sameAsReader decodes with a Reader and with Streams.
func sameAsReader(t testing.TB, name string, in []byte) {
	t.Helper()
	want, werr := decode(bytes.NewReader(in), MinBuffer)
	for size, workers := range map[int]int{300 << 10: 2, MinBuffer: 5} {
		got, err := streamed(bytes.NewReader(in), size, workers)
		if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(werr) {
			t.Fatalf("%s, %d workers, buffers of %d: %d bytes, %v; a Reader: %d bytes, %v", name, workers, size, len(got), err, len(want), werr)
		}
	}
}

// bgzf returns members with their size in the header, as htslib writes them.
func bgzf(t testing.TB, data []byte) (out []byte) {
	t.Helper()
	for len(data) > 0 {
		n := min(len(data), 0xff00)
		m := compress(t, 6, data[:n])
		head := "\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\x06\x00BC\x02\x00"
		out = append(out, head...)
		out = binary.LittleEndian.AppendUint16(out, uint16(len(m)-10+len(head)+2-1))
		out = append(out, m[10:]...)
		data = data[n:]
	}
	return out
}

// members compresses parts of up to the given size, of random lengths.
func members(t testing.TB, r *rand.Rand, level, most int, data []byte) (out []byte) {
	t.Helper()
	for len(data) > 0 {
		n := min(1+r.IntN(most), len(data))
		out = append(out, compress(t, level, data[:n])...)
		data = data[n:]
	}
	return out
}

// multi returns data of several members, of all kinds that a Stream treats in a way of its own.
func multi(t testing.TB) map[string][]byte {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 6))
	n, zeros := 2<<20, 40
	if testing.Short() {
		n, zeros = 500<<10, 6
	}
	noise, words := samplesOf("random", n), samplesOf("skewed", n)
	trap := bytes.Clone(noise) // full of what looks like a header
	for i := 0; i+10 < len(trap); i += 500 {
		copy(trap[i:], "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
	}
	inner := members(t, r, 6, 50000, words) // whole gzip files in stored blocks
	m := map[string][]byte{
		"one":              compress(t, 6, words),
		"two":              append(compress(t, 6, words), compress(t, 1, noise)...),
		"bgzf":             bgzf(t, words),
		"medium":           members(t, r, 6, n/5, words),
		"large":            append(compress(t, 1, words[:1000]), bytes.Repeat(compress(t, 1, noise), 3)...),
		"tiny":             bytes.Repeat(compress(t, 6, []byte("x")), 50000),
		"empty":            bytes.Repeat(compress(t, 6, nil), n/70),
		"much from little": append(compress(t, 6, nil), bytes.Repeat(compress(t, 6, make([]byte, 10<<20)), zeros)...),
		"false starts":     append(compress(t, 6, nil), bytes.Repeat(compress(t, 0, trap), 2)...),
		"gzip in gzip":     append(compress(t, 6, nil), bytes.Repeat(compress(t, 0, inner), 3)...),
		"zeros between":    append(append(bytes.Clone(inner), make([]byte, 200000)...), inner...),
		"other headers":    append(bytes.Clone(inner), append(bgzf(t, words), inner...)...),
	}
	lying := bytes.Clone(m["bgzf"])
	for at := len(lying) / 2; at < len(lying)-bgzfHeader; at++ {
		if bgzfSize(lying[at:]) > 0 {
			binary.LittleEndian.PutUint16(lying[at+16:], 999)
			break
		}
	}
	m["bgzf with a wrong size"] = lying
	return m
}

func TestStreamIsTheSameAsReader(t *testing.T) {
	for name, in := range multi(t) {
		sameAsReader(t, name, in)
		if testing.Short() || name == "much from little" {
			continue
		}
		sameAsReader(t, name+" and zeros", append(bytes.Clone(in), make([]byte, 300000)...))
		sameAsReader(t, name+" and garbage", append(bytes.Clone(in), 'x'))
		sameAsReader(t, name+" and a half", append(bytes.Clone(in), in[:len(in)/2]...))
	}
}

func TestStreamOfBrokenMembers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	all := multi(t)
	rounds := 12
	if testing.Short() {
		rounds = 2
	}
	for _, name := range []string{"bgzf", "medium", "gzip in gzip", "tiny"} {
		for range rounds {
			in := bytes.Clone(all[name])
			at := r.IntN(len(in))
			in[at] ^= 1 << r.IntN(8)
			sameAsReader(t, fmt.Sprintf("%s, byte %d changed", name, at), in)
			sameAsReader(t, fmt.Sprintf("%s, cut at %d", name, at), all[name][:at])
		}
	}
}

func TestStreamOfSlowAndBrokenSources(t *testing.T) {
	in := multi(t)["medium"]
	want, err := decode(bytes.NewReader(in), MinBuffer)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(in)), "data with EOF": iotest.DataErrReader(bytes.NewReader(in)), "half": iotest.HalfReader(bytes.NewReader(in)),
	} {
		if got, err := streamed(r, MinBuffer, 3); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	broken := errors.New("broken")
	for n := 0; n < len(in); n += 70001 {
		got, err := streamed(io.MultiReader(bytes.NewReader(in[:n]), iotest.ErrReader(broken)), MinBuffer, 3)
		if err != broken || !bytes.HasPrefix(want, got) {
			t.Fatalf("source fails after %d bytes: %d bytes, %v", n, len(got), err)
		}
	}
	if _, err := streamed(io.MultiReader(bytes.NewReader(in[:300000]), stalled{}), MinBuffer, 3); err != io.ErrNoProgress {
		t.Errorf("stalled source: %v", err)
	}
}

// Members are decoded side by side if they are there to be found.
func TestStreamStartsRunsWhereMembersBegin(t *testing.T) {
	all := multi(t)
	for name, c := range map[string]struct{ least, most int }{
		"one": {0, 0}, "bgzf": {2, 1e6}, "medium": {2, 1e6}, "large": {2, 1e6}, "tiny": {2, 1e6}, "gzip in gzip": {0, 3},
	} {
		s := NewStream(bytes.NewReader(all[name]), 4)
		var err error
		right := 0
		for buf := make([]byte, MinBuffer); err == nil; {
			last := s.cur
			_, buf, err = s.Next(buf)
			if s.cur != last && s.cur != nil && s.cur.starts {
				right++
			}
		}
		s.Close()
		if err != io.EOF || right < c.least || right > c.most {
			t.Errorf("%s: %d runs whose start was right, %v", name, right, err)
		}
	}
}

// The work for starts that are none is a small part of all.
func TestFalseStartsCostLittle(t *testing.T) {
	tr := trust{}
	asked := 0
	for range 10000 {
		if tr.ask() {
			asked++
			tr.tell(false)
		}
	}
	if asked > 10000/60+10 {
		t.Errorf("%d of 10000 false starts were tried", asked)
	}
	for range 10 {
		tr.tell(true)
	}
	for tr.left > 0 {
		tr.ask()
	}
	if !tr.ask() || tr.hold != 0 {
		t.Errorf("right starts do not count")
	}
}

// What is decoded before its turn is bounded, whatever a member decodes to.
func TestMemoryOfAStream(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: decodes 90 MiB")
	}
	// as much input as a piece may have, and much output
	member := compress(t, 1, append(samplesOf("random", 2040<<10), make([]byte, 8<<20)...))
	in := bytes.Repeat(member, 10)
	for workers, most := range map[int]uint64{2: 24, maxWorkers: 62} {
		before := live()
		s := NewStream(bytes.NewReader(in), workers)
		buf := make([]byte, MinBuffer+112<<10)
		var err error
		for n := 0; err == nil; n++ {
			if _, buf, err = s.Next(buf); n%60 == 0 {
				time.Sleep(100 * time.Millisecond) // as much ahead as may be
				if now := live(); now-before > most<<20 {
					t.Errorf("%d workers: %d MiB", workers, (now-before)>>20)
				}
			}
		}
		s.Close()
	}
}

// live is how many bytes of the heap are in use.
func live() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A run that nobody wants decodes no further and leaves its windows to others.
func TestDroppedRunsStop(t *testing.T) {
	in := compress(t, 6, make([]byte, 8<<20))
	s := NewStream(nil, 2)
	s.buffers.size = MinBuffer + 112<<10
	r := &run{s: s, data: in, size: len(in), out: make(chan window, 28), quit: make(chan struct{})}
	r.out <- window{nil, make([]byte, s.buffers.size)}
	close(r.quit)
	s.done.Add(1)
	r.decode()
	if _, ok := <-r.out; ok || r.err != errDropped || len(s.buffers.free) != 2 {
		t.Errorf("a window more: %v; %v; %d windows are free", ok, r.err, len(s.buffers.free))
	}
}

func TestCancelEndsAStream(t *testing.T) {
	in := bytes.Repeat(multi(t)["medium"], 3)
	for n := range 12 {
		before := runtime.NumGoroutine()
		block := make(chan struct{})
		s := NewStream(io.MultiReader(bytes.NewReader(in), blocked(block)), 3)
		buf := make([]byte, MinBuffer)
		var err error
		for range 1 + n*n*2 {
			if _, buf, err = s.Next(buf); err != nil {
				t.Fatal(err)
			}
		}
		s.Cancel()
		close(block)
		for err == nil {
			_, buf, err = s.Next(buf)
		}
		if err != errCancelled && err != io.EOF {
			t.Errorf("Next after Cancel: %v", err)
		}
		s.Close()
		for i := 0; runtime.NumGoroutine() > before; i++ {
			if time.Sleep(time.Millisecond); i > 2000 {
				t.Fatalf("%d goroutines more than before", runtime.NumGoroutine()-before)
			}
		}
	}
}

// blocked is a source that gives nothing until it is closed.
type blocked chan struct{}

func (b blocked) Read([]byte) (int, error) {
	<-b
	return 0, io.EOF
}

// FuzzStream compares with a Reader, with pieces so small that what is rare among large ones happens.
func FuzzStream(f *testing.F) {
	for _, name := range []string{"any distance", "random", "zeros"} {
		f.Add(samples(2000)[name], uint16(300), uint32(77), byte(6), uint32(0))
	}
	f.Add([]byte(strings.Repeat("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", 50)), uint16(1), uint32(7), byte(0), uint32(9))
	f.Add(compress(f, 6, samples(900)["random"]), uint16(5000), uint32(7), byte(0), uint32(0))
	var sized []byte
	for range 20 {
		sized = append(sized, bgzf(f, samples(300)["skewed"])...)
	}
	f.Add(sized, uint16(100), uint32(8), byte(6), uint32(0))
	f.Fuzz(func(t *testing.T, data []byte, most uint16, seed uint32, level byte, damage uint32) {
		if len(data) == 0 || len(data) > 1<<13 {
			return
		}
		r := rand.New(rand.NewPCG(uint64(seed), 0))
		part := members(t, r, int(level%10), int(most)+max(1, len(data)/50), data)
		in := bytes.Repeat(part, min(10000/len(part)+2, 50))
		if damage > 0 {
			in[int(damage)%len(in)] ^= byte(1 + damage>>24)
		}
		if damage&1 != 0 {
			in = append(in, data...)
		}
		if damage&2 != 0 {
			in = append(in, part...)
		}
		same(t, in, r)
		same(t, data, r)
	})
}

// same compares a Stream of small pieces with a Reader.
func same(t *testing.T, in []byte, r *rand.Rand) {
	t.Helper()
	want, werr := decode(bytes.NewReader(in), MinBuffer+10000)
	s := NewStream(&chopped{in, r}, 1+r.IntN(4))
	s.limits = limits{margin + r.IntN(1000), 2*margin + r.IntN(3000), 1 + r.IntN(200000)}
	got, err := drained(s, MinBuffer+r.IntN(2)*5000)
	if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(werr) {
		t.Fatalf("%d bytes, %v; a Reader: %d bytes, %v", len(got), err, len(want), werr)
	}
}
