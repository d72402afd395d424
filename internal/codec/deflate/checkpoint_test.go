package deflate

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// checkpoints decodes all of in and takes checkpoints, at least every that many bytes.
func checkpoints(in []byte, every int64) (data []byte, all []Checkpoint, err error) {
	z := NewReader(bytes.NewReader(in))
	z.points = &recorder{every: every, next: every, fn: func(c Checkpoint) { all = append(all, c) }}
	data, err = rest(z)
	return data, all, err
}

// rest decodes to the end.
func rest(z *Reader) (data []byte, err error) {
	bufs := [2][]byte{make([]byte, MinBuffer), make([]byte, MinBuffer+5000)}
	for i := 0; ; i++ {
		b, err := z.Next(bufs[i&1])
		data = append(data, b...)
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return data, err
		}
	}
}

// resumable decodes from every checkpoint and wants what decoding from the beginning gives, the error included.
func resumable(t testing.TB, in []byte, every int64) int {
	t.Helper()
	data, all, err := checkpoints(in, every)
	last := int64(0)
	for _, c := range all {
		if c.Out < last {
			t.Fatalf("checkpoint at %d behind one at %d", c.Out, last)
		}
		last = c.Out
		z, rerr := Resume(c, bytes.NewReader(in))
		if rerr != nil {
			t.Fatalf("checkpoint at %d: %v", c.Out, rerr)
		}
		got, rerr := rest(z)
		if !bytes.Equal(got, data[c.Out:]) || fmt.Sprint(rerr) != fmt.Sprint(err) {
			t.Fatalf("from the checkpoint at %d (bit %d, block %d): %d bytes, %v; from the beginning %d, %v",
				c.Out, c.In, c.Block, len(got), rerr, len(data)-int(c.Out), err)
		}
	}
	return len(all)
}

func TestDecodingGoesOnAtEveryCheckpoint(t *testing.T) {
	for name, data := range samples(120000) {
		for _, level := range []int{0, 1, 6, -2} {
			in := compress(t, level, data)
			for _, every := range []int64{20000, History} {
				n := resumable(t, in, every)
				if n == 0 {
					t.Errorf("%s, level %d, every %d: no checkpoint", name, level, every)
				}
			}
		}
	}
	a, b := samples(90000)["any distance"], samples(5000)["skewed"]
	members := slices.Concat(compress(t, 6, a), compress(t, 1, nil), compress(t, 9, b), compress(t, 6, a), make([]byte, 100))
	resumable(t, members, 3000)
	resumable(t, members, 20000)
	resumable(t, members[:len(members)-9000], 20000)
}

func TestRawDataIsResumed(t *testing.T) {
	for name, data := range samples(200000) {
		for _, level := range []int{0, 6} {
			in := rawStream(t, level, data)
			behind := append(bytes.Clone(in), "and so on"...)
			n := 0
			z := NewRawReader(bufio.NewReader(bytes.NewReader(behind)))
			z.Checkpoints(50000, func(c Checkpoint) {
				n++
				r, err := ResumeRaw(c, bytes.NewReader(behind))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := rest(r); err != nil || !bytes.Equal(got, data[c.Out:]) {
					t.Errorf("%s, level %d, from %d: %d bytes, %v", name, level, c.Out, len(got), err)
				}
			})
			if _, err := rest(z); err != nil || n < 2 {
				t.Errorf("%s, level %d: %d checkpoints, %v", name, level, n, err)
			}
		}
	}
}

// A block that is longer than the distance has checkpoints within.
func TestLongBlocksHaveCheckpoints(t *testing.T) {
	w := new(bitSource).put(1, 1).put(1, 2)
	for range 400000 {
		w.put(0b00001100, 8) // the literal 0
	}
	in := w.put(0, 7).gzip()
	if _, all, _ := checkpoints(in, 50000); len(all) < 3 {
		t.Errorf("%d checkpoints", len(all))
	}
	resumable(t, in, 50000)
}

func TestRangesAreReadFromTheCheckpointBeforeThem(t *testing.T) {
	data := samples(2 << 20)["any distance"]
	in := compress(t, 6, data)
	var list, again Points
	z := NewReader(bytes.NewReader(in))
	z.Checkpoints(100000, list.Add)
	if _, err := rest(z); err != nil {
		t.Fatal(err)
	}
	b, err := list.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.UnmarshalBinary(b); err != nil || again.Len() < 8 {
		t.Fatalf("%d checkpoints, %v", again.Len(), err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		off := r.IntN(len(data))
		got := make([]byte, r.IntN(min(300000, len(data)-off))+1)
		src := &counter{r: bytes.NewReader(in)}
		n, err := again.ReadAt(src, got, int64(off))
		if n != len(got) || err != nil || !bytes.Equal(got, data[off:off+n]) {
			t.Fatalf("%d bytes at %d: %d, %v", len(got), off, n, err)
		}
		if off > 400000 && src.first == 0 {
			t.Fatalf("at %d the source was read from its beginning", off)
		}
	}
	if n, err := again.ReadAt(bytes.NewReader(in), make([]byte, 10), int64(len(data)-3)); n != 3 || err != io.EOF {
		t.Errorf("beyond the end: %d, %v", n, err)
	}
	if n, err := again.ReadAt(bytes.NewReader(in), make([]byte, 10), -1); n != 0 || err == nil {
		t.Errorf("before the beginning: %d, %v", n, err)
	}
}

// counter remembers where it was read first.
type counter struct {
	r     io.ReaderAt
	first int64
	any   bool
}

func (c *counter) ReadAt(b []byte, off int64) (int, error) {
	if !c.any {
		c.first, c.any = off, true
	}
	return c.r.ReadAt(b, off)
}

// Half a percent of the layer: that is what windows without what nothing refers to are for.
func TestListIsSmall(t *testing.T) {
	dir := os.Getenv("LAMINA_CORPUS")
	if dir == "" {
		t.Skip("LAMINA_CORPUS names no directory of corpora")
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "*.tar.gz"))
	for _, p := range paths {
		in, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		var list Points
		z := NewReader(bytes.NewReader(in))
		z.Checkpoints(4<<20, list.Add)
		buf := make([]byte, MinBuffer+256<<10)
		for err == nil {
			_, err = z.Next(buf)
		}
		b, _ := list.AppendBinary(nil)
		t.Logf("%s: %d checkpoints in %d bytes, %.3f %% of the layer", filepath.Base(p), list.Len(), len(b), 100*float64(len(b))/float64(len(in)))
		if err != io.EOF || len(b) > len(in)/200 && len(in) > 1<<20 {
			t.Errorf("%s: %d bytes for a layer of %d, %v", p, len(b), len(in), err)
		}
	}
}

func TestWindowHoldsOnlyWhatIsReferredTo(t *testing.T) {
	noise := make([]byte, 2*History)
	r := rand.NewChaCha8([32]byte{7})
	_, _ = r.Read(noise)
	copy(noise[History+100:], noise[History-5000:History-4900]) // 100 bytes of the window are used
	in := compress(t, 6, noise)
	_, all, err := checkpoints(in, History-1000)
	if err != nil || len(all) == 0 {
		t.Fatalf("%d checkpoints, %v", len(all), err)
	}
	for _, c := range all[:1] {
		used := len(c.Window) - bytes.Count(c.Window, []byte{0})
		if used > 200 {
			t.Errorf("%d bytes of the window at %d are kept", used, c.Out)
		}
	}
}

func TestListsThatAreNone(t *testing.T) {
	var list Points
	for i := range int64(3) {
		list.Add(Checkpoint{In: 1000 * i, Out: 4000 * i, Block: -1, Reach: 100 * int(i), Window: bytes.Repeat([]byte("ab"), int(i))})
	}
	good, _ := list.AppendBinary(nil)
	for n := range good {
		var p Points
		if err := p.UnmarshalBinary(good[:n]); err == nil {
			t.Errorf("cut at %d: no error", n)
		}
	}
	huge := append([]byte(pointsMagic), 0xff, 0xff, 0xff, 0xff, 0x7f)
	if err := new(Points).UnmarshalBinary(huge); err == nil {
		t.Error("4 billion checkpoints in 10 bytes: no error")
	}
	for _, c := range []Checkpoint{{In: -1}, {Reach: History + 1}, {Window: []byte("x")}, {Block: 5, In: 4}} {
		if _, err := Resume(c, bytes.NewReader(nil)); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func TestCheckpointsAreAddedInOrder(t *testing.T) {
	for _, c := range []Checkpoint{{In: 50, Out: 200, Block: -1}, {In: 200, Out: 50, Block: -1}, {In: 200, Out: 200, Block: 300}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v behind one at 100: no panic", c)
				}
			}()
			var p Points
			p.Add(Checkpoint{In: 100, Out: 100, Block: -1})
			p.Add(c)
		}()
	}
}

// What was changed by chance gives an error or other bytes, and comes to an end.
func TestChangedCheckpoints(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, in := range [][]byte{compress(t, 6, samples(100000)["any distance"]), compress(t, 0, samples(100000)["random"])} {
		_, all, _ := checkpoints(in, 5000)
		for range 2000 {
			c := all[r.IntN(len(all))]
			switch r.IntN(5) {
			case 0:
				c.In += int64(r.IntN(2000) - 1000)
			case 1:
				c.Block = int64(r.IntN(8 * len(in)))
				c.In = c.Block + int64(r.IntN(5000))
			case 2:
				c.Reach = r.IntN(History + 1)
				c.Window = c.Window[:min(len(c.Window), c.Reach)]
			case 3:
				c.In = r.Int64()
			case 4:
				c.Out, c.Block = r.Int64(), 80
			}
			z, err := Resume(c, bytes.NewReader(in))
			for left := len(in) * 1100; err == nil; { // more than DEFLATE can make of it
				var data []byte
				data, err = z.Next(make([]byte, MinBuffer))
				if left -= len(data) + 1; left < 0 {
					t.Fatalf("%+v: no end", c)
				}
			}
		}
	}
}

func FuzzResume(f *testing.F) {
	for _, data := range samples(3000) {
		f.Add(compress(f, 6, data), uint16(100))
	}
	f.Fuzz(func(t *testing.T, in []byte, every uint16) {
		if len(in) > 1<<16 {
			return
		}
		resumable(t, in, int64(every)+50)
	})
}

func FuzzPoints(f *testing.F) {
	var list Points
	list.Add(Checkpoint{In: 1000, Out: 4000, Block: -1, Reach: 100, Window: bytes.Repeat([]byte("ab"), 40)})
	b, _ := list.AppendBinary(nil)
	data := compress(f, 6, samples(20000)["any distance"])
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p, again Points
		if p.UnmarshalBinary(b) != nil {
			return
		}
		out, _ := p.AppendBinary(nil)
		if err := again.UnmarshalBinary(out); err != nil || again.Len() != p.Len() {
			t.Fatalf("encoded again: %v", err)
		}
		if n, err := p.ReadAt(bytes.NewReader(data), make([]byte, 1000), 12345); err == nil && n != 1000 {
			t.Fatalf("%d bytes without an error", n)
		}
	})
}
