package microlzma

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// strict decodes records {dictionary, length of the stream, length of the data, stream} by liblzma as .lzma files of
// a known size, which must end where the stream does, with nothing left in the range coder.
const strict = `
import lzma, struct, sys
while h := sys.stdin.buffer.read(12):
    dict, written, size = struct.unpack("<III", h)
    s = sys.stdin.buffer.read(written)
    d = lzma.LZMADecompressor(lzma.FORMAT_ALONE)
    out = d.decompress(struct.pack("<BIQ", s[0] ^ 255, dict, size) + b"\0" + s[1:])
    assert d.eof and not d.unused_data and len(out) == size, (d.eof, len(d.unused_data), len(out), size)
    sys.stdout.buffer.write(out)
`

// variants encodes its input by liblzma and writes records {dictionary, length, stream}. The streams have an end
// marker, which is behind what is to be decoded.
const variants = `
import lzma, struct, sys
data = sys.stdin.buffer.read()
for lc, lp, pb in ((3,0,2), (0,0,0), (4,0,0), (0,4,4), (2,2,3), (1,3,1), (0,2,2)):
    for mode, mf in ((lzma.MODE_FAST, lzma.MF_HC3), (lzma.MODE_NORMAL, lzma.MF_BT4)):
        for dict in (4096, 1<<20):
            f = {"id": lzma.FILTER_LZMA1, "dict_size": dict, "lc": lc, "lp": lp, "pb": pb, "mode": mode, "mf": mf, "nice_len": 64}
            s = lzma.compress(data, lzma.FORMAT_RAW, filters=[f])
            assert s[0] == 0
            s = bytes([255 ^ ((pb * 5 + lp) * 9 + lc)]) + s[1:]
            sys.stdout.buffer.write(struct.pack("<II", dict, len(s)) + s)
`

// python runs a script with the lzma module of the standard library.
func python(t *testing.T, script string, in []byte) []byte {
	t.Helper()
	cmd := exec.Command(oracle.Need(t, "python3"), "-c", script)
	var stderr strings.Builder
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return out
}

func TestLiblzmaDecodesOurStreamsStrictly(t *testing.T) {
	var in, want []byte
	for _, level := range levels {
		e := encoder(t, Options{Level: level, Dict: 32 << 10})
		for _, src := range samples(12000) {
			for _, size := range []int{50, 2000, 20000} {
				stream, n := fit(t, e, size, src)
				if n == 0 {
					continue
				}
				for _, v := range []int{e.dict, len(stream), n} {
					in = binary.LittleEndian.AppendUint32(in, uint32(v))
				}
				in = append(in, stream...)
				want = append(want, src[:n]...)
			}
		}
	}
	if got := python(t, strict, in); !bytes.Equal(got, want) {
		t.Error("liblzma decodes something else")
	}
}

func TestDecodesEveryVariantOfLiblzma(t *testing.T) {
	for name, data := range samples(8000) {
		for out, i := python(t, variants, data), 0; len(out) > 0; i++ {
			dict, n := binary.LittleEndian.Uint32(out), binary.LittleEndian.Uint32(out[4:])
			stream := out[8 : 8+n]
			out = out[8+n:]
			t.Run(fmt.Sprintf("%s, variant %d", name, i), func(t *testing.T) { decodes(t, stream, data, int(dict)) })
		}
	}
}
