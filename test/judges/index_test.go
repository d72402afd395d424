package judges

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	goerofs "github.com/erofs/go-erofs"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/mkfs"
)

// A tar index with the tar as its device, and with the tar behind it, shows what a full image shows.
func TestGoErofsReadsOurTarIndex(t *testing.T) {
	plain := layer(t, true)
	want := ours(t, image(t, plain, mkfs.Options{}))
	for p, e := range want {
		e.Mode &^= 0o7000 // as in TestGoErofsReadsOurImages
		want[p] = e
	}
	for name, make := range map[string]func(f *os.File) ([]goerofs.OpenOpt, error){
		"two files": func(f *os.File) ([]goerofs.OpenOpt, error) {
			_, err := convert.Index(bytes.NewReader(plain), f, convert.Options{})
			return []goerofs.OpenOpt{goerofs.WithExtraDevices(bytes.NewReader(plain))}, err
		},
		"one file": func(f *os.File) ([]goerofs.OpenOpt, error) {
			_, err := convert.IndexedTar(bytes.NewReader(plain), f, convert.Options{})
			return nil, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Create(filepath.Join(t.TempDir(), "index.erofs"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			opts, err := make(f)
			if err != nil {
				t.Fatal(err)
			}
			im, err := goerofs.Open(endless{f}, opts...)
			if err != nil {
				t.Fatal(err)
			}
			same(t, listed(t, im), want)
		})
	}
}
