//go:build linux

// Command peer converts a layer the way containerd's EROFS differ does, for comparison in benchmarks:
// decode in process, tee into SHA-256, pipe into mkfs.erofs, then fsync of the image, which containerd
// itself leaves out.
//
// It follows plugins/diff/erofs/differ.go, internal/erofsutils/mount.go and
// pkg/archive/compression/compression.go of containerd 2.4: same calls, same buffers, same options.
// The result is one line of JSON on stdout.
package main

import (
	"bufio"
	stdgzip "compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Result is what peer prints.
type Result struct {
	DiffID string           `json:"diffID"`
	Size   int64            `json:"size"`
	RSS    map[string]int64 `json:"rss"` // peak of each process, bytes
}

type job struct {
	in, out, mkfs, mode, uuid, gunzip string
	extra                             []string
	decoder                           *exec.Cmd
	result                            Result
}

func main() {
	var j job
	flag.StringVar(&j.out, "o", "", "image to write")
	flag.StringVar(&j.mkfs, "mkfs", "mkfs.erofs", "program to pipe into")
	flag.StringVar(&j.mode, "mode", "f", "f: full conversion, i: tar index with the tar behind it")
	flag.StringVar(&j.uuid, "U", "3c0e2d6c-8a51-5d8e-9c05-2f6f7c3f9d11", "UUID of the image")
	flag.StringVar(&j.gunzip, "gunzip", "klauspost", "gzip decoder: klauspost (containerd 2.4), std (older), igzip (where installed)")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: peer [flags] LAYER [mkfs.erofs option...]")
		os.Exit(2)
	}
	j.in, j.extra = flag.Arg(0), flag.Args()[1:]
	if err := j.apply(); err != nil {
		fmt.Fprintf(os.Stderr, "peer: %s: %v\n", j.in, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(j.result); err != nil {
		os.Exit(1)
	}
}

// apply is erofsDiff.Apply.
func (j *job) apply() error {
	f, err := os.Open(j.in)
	if err != nil {
		return err
	}
	defer f.Close()
	stream, err := j.decode(f)
	if err != nil {
		return err
	}
	hash := sha256.New()
	rc := &counter{r: io.TeeReader(stream, hash)}
	j.result.RSS = map[string]int64{}
	if j.mode == "i" {
		err = j.index(rc)
	} else {
		err = j.run(rc, "--tar=f", "--aufs", "--quiet", "-Enoinline_data")
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, rc); err != nil {
		return err
	}
	if err := stream.Close(); err != nil {
		return err
	}
	j.result.DiffID = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	return j.finish()
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// decode is compression.DecompressStream; a plain tar is not buffered.
func (j *job) decode(f io.Reader) (io.ReadCloser, error) {
	switch {
	case strings.HasSuffix(j.in, ".gz"):
		buf := bufio.NewReaderSize(f, 32*1024)
		switch j.gunzip {
		case "std":
			return stdgzip.NewReader(buf)
		case "igzip":
			return j.process("igzip", buf)
		}
		return gzip.NewReader(buf)
	case strings.HasSuffix(j.in, ".zst"):
		z, err := zstd.NewReader(bufio.NewReaderSize(f, 32*1024), zstd.WithDecoderLowmem(false))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(f), nil
}

// process is compression.cmdStream.
func (j *job) process(tool string, in io.Reader) (io.ReadCloser, error) {
	r, w := io.Pipe()
	j.decoder = exec.Command(tool, "-d", "-c")
	j.decoder.Stdin, j.decoder.Stdout = in, w
	if err := j.decoder.Start(); err != nil {
		return nil, err
	}
	go func() { w.CloseWithError(j.decoder.Wait()) }()
	return r, nil
}

// run is ConvertTarErofs.
func (j *job) run(r io.Reader, args ...string) error {
	args = append(args, "-b4096")
	args = append(append(args, j.extra...), "-U", j.uuid, j.out)
	cmd := exec.Command(j.mkfs, args...)
	cmd.Stdin = r
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %s: %w", j.mkfs, strings.Join(args, " "), out, err)
	}
	j.result.RSS["mkfs.erofs"] = peak(cmd.ProcessState.SysUsage())
	return nil
}

// index is GenerateTarIndexAndAppendTar; the temporary file is beside the image, so that both sides of
// a benchmark write to the same file system.
func (j *job) index(r io.Reader) error {
	tar, err := os.CreateTemp(dirOf(j.out), "erofs-tar-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tar.Name()) }() // as containerd does
	defer tar.Close()
	if err := j.run(io.TeeReader(r, tar), "--tar=i", "--aufs", "--quiet"); err != nil {
		return err
	}
	f, err := os.OpenFile(j.out, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := tar.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(f, tar)
	return err
}

// finish makes the image durable and fills in the rest of the result.
func (j *job) finish() error {
	f, err := os.OpenFile(j.out, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	j.result.Size = info.Size()
	if j.decoder != nil {
		j.result.RSS["igzip"] = peak(j.decoder.ProcessState.SysUsage())
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return err
	}
	j.result.RSS["peer"] = peak(&own)
	return f.Close()
}

// peak returns the largest resident set that a resource usage records, in bytes.
func peak(usage any) int64 {
	u, ok := usage.(*syscall.Rusage)
	if !ok {
		return 0
	}
	return int64(u.Maxrss) << 10
}

func dirOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return "."
}
