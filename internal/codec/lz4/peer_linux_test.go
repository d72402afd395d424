package lz4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// needPeer returns a program that runs liblz4, see testdata/peer.c.
func needPeer(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "peer")
	oracle.Run(t, oracle.Need(t, "gcc"), "-O2", "-o", path, "testdata/peer.c", "-ldl")
	var exit *exec.ExitError
	if err := exec.Command(path, "decode").Run(); errors.As(err, &exit) && exit.ExitCode() == 77 {
		oracle.Missing(t, "liblz4.so.1")
	}
	return path
}

// filter runs a program from input to what it prints.
func filter(t *testing.T, input []byte, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", args, err, &stderr)
	}
	return out
}

// The decoder of liblz4 enforces the rules of the end, as the kernel's does.
func TestPeerDecodesBlocks(t *testing.T) {
	peer := needPeer(t)
	src := words(10, 120_000)
	everyLevel(t, func(t *testing.T, o Options) {
		e := newEncoder(t, o)
		var records, want []byte
		for size := 40; size < 70_000; size += size/3 + 1 {
			dst := make([]byte, size)
			n, m := e.FitDst(dst, src[size:])
			if n == 0 {
				continue
			}
			records = binary.LittleEndian.AppendUint32(records, uint32(n))
			records = binary.LittleEndian.AppendUint32(records, uint32(m))
			records = append(records, dst[:n]...)
			want = append(want, src[size:size+m]...)
		}
		if !bytes.Equal(filter(t, records, peer, "decode"), want) {
			t.Error("liblz4 decodes something else")
		}
	})
}

func TestPeerBlocksAreDecoded(t *testing.T) {
	peer := needPeer(t)
	src := words(11, 300_000)
	for level := -1; level <= MaxLevel; level++ {
		for _, size := range []int{300, 4096, 65536, 1 << 20} {
			records := filter(t, src, peer, "encode", fmt.Sprint(level), fmt.Sprint(size))
			var got []byte
			for len(records) > 0 {
				n, m := binary.LittleEndian.Uint32(records), binary.LittleEndian.Uint32(records[4:])
				content := make([]byte, m)
				if err := Decode(content, records[8:8+n]); err != nil {
					t.Fatal(err)
				}
				got, records = append(got, content...), records[8+n:]
			}
			if !bytes.Equal(got, src) {
				t.Errorf("level %d, blocks of %d bytes: something else", level, size)
			}
		}
	}
}
