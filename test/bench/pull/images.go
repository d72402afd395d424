//go:build linux

package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/laminafs/lamina/test/containerd/harness"
)

// image makes one of the images: base, golang and node have one layer, the corpus of that name; ten has ten, of base, golang
// and the first part of node; warm has twenty small ones.
func (w *world) image(ctx context.Context, name string) (*harness.Image, error) {
	layers := filepath.Join(w.work, "layers")
	switch name {
	case "warm":
		return harness.SmallImage(ctx, filepath.Join(w.tools.Cache, "debs"), layers, 20)
	case "ten":
		return w.ten(layers)
	}
	l, err := harness.NewLayer(layers, filepath.Join(w.corpus, name+".tar"), "gzip")
	if err != nil {
		return nil, err
	}
	return harness.NewImage([]harness.Layer{l}, harness.TestConfig())
}

// ten splits corpora into ten layers of 40 to 165 MB.
func (w *world) ten(dir string) (*harness.Image, error) {
	tars := []string{filepath.Join(w.corpus, "base.tar")}
	for _, c := range []struct {
		name  string
		parts int
		size  int64
	}{{"golang", 3, 80 << 20}, {"node", 6, 48 << 20}} {
		parts, err := split(filepath.Join(w.corpus, c.name+".tar"), filepath.Join(dir, c.name), c.parts, c.size)
		if err != nil {
			return nil, err
		}
		tars = append(tars, parts...)
	}
	var layers []harness.Layer
	for _, t := range tars {
		l, err := harness.NewLayer(dir, t, "gzip")
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return harness.NewImage(layers, harness.TestConfig())
}

// split writes the members of an archive to parts of about size bytes each; hard links, whose targets may be in another
// part, are left out. What does not fit in the parts is left out too.
func split(from, prefix string, parts int, size int64) (names []string, err error) {
	for i := range parts {
		names = append(names, fmt.Sprintf("%s-%d.tar", prefix, i))
	}
	if _, err := os.Stat(names[parts-1]); err == nil {
		return names, nil
	}
	in, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r := tar.NewReader(in)
	for _, name := range names {
		if err := part(r, name, size); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return names, nil
}

func part(r *tar.Reader, name string, size int64) error {
	out, err := os.Create(name + ".new")
	if err != nil {
		return err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	for done := int64(0); done < size; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeLink {
			continue
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		n, err := io.Copy(w, r)
		if err != nil {
			return err
		}
		done += n + 512
	}
	if err := errors.Join(w.Close(), out.Close()); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
