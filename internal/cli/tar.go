package cli

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/tartree"
)

func newTar(e *env) *cobra.Command {
	var open openFlags
	var out, whiteouts string
	var dense, asJSON bool
	cmd := &cobra.Command{
		Use:   "tar [flags] IMAGE",
		Short: "Write an image as a tar",
		Long: `Write an image as an uncompressed tar, to stdout or with -o to a file. The same image gives the same
tar; whiteouts take the form that OCI layers have. Building an image from it gives the same files.`,
		Example: "  lamina tar layer.erofs | gzip > layer.tar.gz\n  lamina tar -o layer.tar --json layer.erofs",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			o := tartree.WriteOptions{Dense: dense, Warn: func(w tartree.Warning) { e.warn("%s: %s", args[0], w) }}
			err := choose("whiteouts", whiteouts, &o.Whiteouts, whiteoutNames)
			if err != nil {
				return err
			}
			if asJSON && (out == "" || isStdout(out)) {
				return usagef("--json: the tar itself goes to stdout; -o FILE is needed")
			}
			if err := apart([]string{out}, append([]string{args[0]}, open.devices...)); err != nil {
				return err
			}
			im, err := open.open(args[0])
			if err != nil {
				return err
			}
			defer im.close()
			if err := e.writeTar(im, out, o, asJSON); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&out, "output", "o", "", "file to write (default: stdout)")
	fs.StringVar(&whiteouts, "whiteouts", "overlay", "whiteouts: overlay (write them as an OCI layer has them), keep, strip")
	fs.BoolVar(&dense, "dense", false, "write the holes of sparse files as zeros")
	fs.BoolVar(&asJSON, "json", false, "print size and digest as JSON")
	open.register(fs)
	return cmd
}

var whiteoutNames = map[string]tartree.Whiteouts{"overlay": tartree.Overlay, "keep": tartree.Keep, "strip": tartree.Strip}

// measured counts and hashes what is written.
type measured struct {
	w   io.Writer
	n   int64
	sum hash.Hash
	env *env
}

func (m *measured) Write(p []byte) (int, error) {
	if err := m.env.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.w.Write(p)
	m.n += int64(n)
	_, _ = m.sum.Write(p[:n]) // a hash does not fail
	return n, err
}

func (e *env) writeTar(im *imageFile, out string, o tartree.WriteOptions, asJSON bool) error {
	if err := im.complete(); err != nil {
		return err
	}
	t, err := im.Tree()
	if err != nil {
		return err
	}
	defer im.ahead(t)()
	if out == "" || isStdout(out) {
		return tartree.Write(&measured{w: e.stdout, sum: sha256.New(), env: e}, t, o)
	}
	f, err := e.create(out)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // after Commit it does nothing
	buf := bufio.NewWriterSize(f, 1<<20)
	m := &measured{w: buf, sum: sha256.New(), env: e}
	if err := tartree.Write(m, t, o); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	if err := f.Commit(); err != nil || !asJSON {
		return err
	}
	return e.json(map[string]any{"output": out, "size": m.n, "digest": "sha256:" + hex.EncodeToString(m.sum.Sum(nil))})
}
