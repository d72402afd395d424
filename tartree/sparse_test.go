package tartree

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// sparseGNU returns an old GNU sparse file: the map, four extents of it in the header, then the data.
func sparseGNU(name string, real int64, data string, extents ...int64) string {
	pairs := func(b []byte, more func() bool) field {
		return func(h []byte) {
			for ; len(b) >= 24 && len(extents) > 0; b, extents = b[24:], extents[2:] {
				octal(b[:12], extents[0])
				octal(b[12:24], extents[1])
			}
			if more() {
				b[0] = 1
			}
		}
	}
	h := hdr(name, 'S', gnu, size(len(data)), func(h []byte) {
		octal(h[483:495], real)
		pairs(h[386:482], func() bool { return false })(h)
		if len(extents) > 0 {
			h[482] = 1
		}
	})
	for len(extents) > 0 {
		b := make([]byte, blockSize)
		for i := 0; i < 504 && len(extents) > 0; i += 24 {
			octal(b[i:i+12], extents[0])
			octal(b[i+12:i+24], extents[1])
			extents = extents[2:]
		}
		if len(extents) > 0 {
			b[504] = 1
		}
		h += string(b)
	}
	return h + pad(data)
}

// sparse10 returns a PAX sparse file of version 1.0 whose map says what numbers say.
func sparse10(name string, real int64, data string, numbers ...int64) string {
	var m strings.Builder
	for _, n := range numbers {
		fmt.Fprintln(&m, n)
	}
	return pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", name, "GNU.sparse.realsize", fmt.Sprint(real)) +
		file("GNUSparseFile.0/"+name, pad(m.String())+data)
}

func sparse01(name string, real int64, data, list string, blocks int) string {
	return pax("GNU.sparse.size", fmt.Sprint(real), "GNU.sparse.numblocks", fmt.Sprint(blocks), "GNU.sparse.name", name, "GNU.sparse.map", list) +
		file("GNUSparseFile.0/"+name, data)
}

func sparse00(name string, real int64, data string, extents ...int64) string {
	kv := []string{"GNU.sparse.size", fmt.Sprint(real), "GNU.sparse.numblocks", fmt.Sprint(len(extents) / 2)}
	for i := 0; i < len(extents); i += 2 {
		kv = append(kv, "GNU.sparse.offset", fmt.Sprint(extents[i]), "GNU.sparse.numbytes", fmt.Sprint(extents[i+1]))
	}
	return pax(kv...) + file(name, data)
}

func TestSparseFormsMeanTheSame(t *testing.T) {
	type form func(real int64, data string, extents ...int64) string
	forms := map[string]form{
		"old GNU": func(real int64, data string, x ...int64) string { return sparseGNU("s", real, data, x...) },
		"0.0":     func(real int64, data string, x ...int64) string { return sparse00("s", real, data, x...) },
		"0.1": func(real int64, data string, x ...int64) string {
			return sparse01("s", real, data, strings.ReplaceAll(strings.Trim(fmt.Sprint(x), "[]"), " ", ","), len(x)/2)
		},
		"1.0": func(real int64, data string, x ...int64) string {
			return sparse10("s", real, data, append([]int64{int64(len(x) / 2)}, x...)...)
		},
	}
	many := make([]int64, 0, 400)
	var manyData []tree.Extent
	for i := range int64(100) {
		many = append(many, 1000*i, 7)
		manyData = append(manyData, tree.Extent{Off: 1000 * i, Len: 7})
	}
	for name, f := range forms {
		for _, c := range []struct {
			what    string
			real    int64
			stored  int
			extents []int64
			want    []tree.Extent
		}{
			{"holes around", 100, 20, []int64{10, 10, 50, 10}, []tree.Extent{{Off: 10, Len: 10}, {Off: 50, Len: 10}}},
			{"touching and empty extents", 100, 20, []int64{10, 10, 20, 0, 20, 10, 100, 0}, []tree.Extent{{Off: 10, Len: 20}}},
			{"all hole", 1 << 32, 0, []int64{1 << 32, 0}, []tree.Extent{}},
			{"all hole, no map", 4096, 0, nil, []tree.Extent{}},
			{"all data", 30, 30, []int64{0, 10, 10, 20}, nil},
			{"empty", 0, 0, []int64{0, 0}, nil},
			{"many extents", 100000, 700, many, manyData},
		} {
			if name == "0.0" && c.extents == nil {
				continue // no record says that it is sparse
			}
			data := strings.Repeat("0123456789", 70)[:c.stored]
			archive := file("before", "x") + f(c.real, data, c.extents...) + file("t", "behind") + end
			tr := read(t, archive, Options{})
			n := tr.Lookup("s")
			if n == nil || n.Size != c.real || tr.Lookup("t") == nil || tr.Root.Len() != 3 {
				t.Fatalf("%s: %s: got %+v", name, c.what, n)
			}
			got := n.Content.(*content)
			if !reflect.DeepEqual(got.data, c.want) || got.stream != data {
				t.Errorf("%s: %s: extents %v, want %v", name, c.what, got.data, c.want)
			}
			if archive[got.pos:got.pos+int64(len(data))] != data {
				t.Errorf("%s: %s: data is not at %d", name, c.what, got.pos)
			}
		}
	}
}

func TestBadSparseFiles(t *testing.T) {
	for _, c := range []struct{ name, archive, want string }{
		{"descending", sparseGNU("s", 100, "0123456789", 50, 5, 10, 5), "overlap, descend"},
		{"overlapping", sparse00("s", 100, "0123456789", 10, 5, 14, 5), "overlap, descend"},
		{"beyond the end", sparse10("s", 100, "0123456789", 1, 95, 10), "leave the file"},
		{"wrapping", sparse10("s", 100, "0123456789", 1, 9223372036854775807, 10), "leave the file"},
		{"negative length", sparse01("s", 100, "", "10,-5", 1), "not a number"},
		{"less data than the map", sparse01("s", 100, "0123", "10,5", 1), "does not add up"},
		{"more data than the map", sparse01("s", 100, "0123456", "10,5", 1), "does not add up"},
		{"other number of extents", sparse01("s", 100, "01234", "10,5", 2), "numblocks"},
		{"half an extent", sparse01("s", 100, "01234", "10,5,20", 2), "offset without a length"},
		{"no number", sparse01("s", 100, "01234", "10,x", 1), "not a number"},
		{"two offsets", pax("GNU.sparse.offset", "1", "GNU.sparse.offset", "2") + file("s", ""), "do not alternate"},
		{"length first", pax("GNU.sparse.numbytes", "1") + file("s", ""), "do not alternate"},
		{"map longer than the payload", pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0") + file("s", "254\n"+strings.Repeat("1\n", 254)), "longer than the payload"},
		{"map without numbers", pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0") + file("s", strings.Repeat("x", 512)), "not a number"},
		{"huge size", sparse10("s", 1<<60+1, "", 0), "size of the sparse file"},
		{"negative size", sparse10("s", -1, "", 0), "not a number"},
		{"size of the header", hdr("s", 'S', gnu, at(483, "rubbish")), "size of the sparse file"},
		{"number in the header", hdr("s", 'S', gnu, at(386, "rubbish")), "not a number"},
		{"extension missing", hdr("s", 'S', gnu, func(h []byte) { h[482] = 1 }), "archive ends"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.archive), spool{}, Options{})
			if !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestSparseMapIsBounded(t *testing.T) {
	var ext strings.Builder
	block := make([]byte, blockSize)
	for i := 0; i < 504; i += 24 {
		octal(block[i:i+12], 0)
		octal(block[i+12:i+24], 0)
	}
	block[504] = 1
	for range maxExtents/21 + 1 {
		ext.Write(block)
	}
	archive := hdr("s", 'S', gnu, func(h []byte) { h[482] = 1 }) + ext.String()
	if _, err := Read(strings.NewReader(archive), spool{}, Options{}); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "too many extents") {
		t.Errorf("got %v", err)
	}
}
