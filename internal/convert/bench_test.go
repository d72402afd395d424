package convert

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/laminafs/lamina/mkfs"
)

// BenchmarkLayer converts the layers in $LAMINA_CORPUS (*.tar, *.tar.gz, *.tar.zst) to synced images.
func BenchmarkLayer(b *testing.B) {
	layers, _ := filepath.Glob(filepath.Join(os.Getenv("LAMINA_CORPUS"), "*.tar*"))
	for _, layer := range layers {
		b.Run(filepath.Base(layer), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				convertOnce(b, layer, Options{})
			}
		})
	}
}

// BenchmarkLayout converts the plain layers in $LAMINA_CORPUS with the choices that trade time for size.
func BenchmarkLayout(b *testing.B) {
	layers, _ := filepath.Glob(filepath.Join(os.Getenv("LAMINA_CORPUS"), "*.tar"))
	for _, layer := range layers {
		for name, o := range map[string]mkfs.Options{
			"blocks":     {Inline: mkfs.InlineNone},
			"inline256":  {InlineMax: 256},
			"inline1024": {InlineMax: 1024},
			"inline1984": {InlineMax: 1984},
			"inline4000": {InlineMax: 4000},
			"dedupe":     {Dedupe: true, Inline: mkfs.InlineNone},
			"both":       {Dedupe: true},
		} {
			b.Run(filepath.Base(layer)+"/"+name, func(b *testing.B) {
				for b.Loop() {
					convertOnce(b, layer, Options{Mkfs: o})
				}
			})
		}
	}
}

func convertOnce(b *testing.B, layer string, o Options) {
	in, err := os.Open(layer)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(filepath.Join(b.TempDir(), "image"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	r, err := Layer(in, out, o)
	if err != nil {
		b.Fatal(err)
	}
	if err := out.Sync(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(r.TarSize)
	b.ReportMetric(float64(r.Size)/float64(r.TarSize), "size/tar")
	b.ReportMetric(float64(r.Inodes), "inodes")
	_ = os.Remove(out.Name())
}
