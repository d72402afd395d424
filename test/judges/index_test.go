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

// A tar index with the tar as its device shows what a full image shows. The form in one file go-erofs
// 0.3.1 does not open: it wants a device for each in the table.
func TestGoErofsReadsOurTarIndex(t *testing.T) {
	plain := layer(t, true)
	want := ours(t, image(t, plain, mkfs.Options{}))
	for p, e := range want {
		e.Mode &^= 0o7000 // as in TestGoErofsReadsOurImages
		want[p] = e
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "index.erofs"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := convert.Index(bytes.NewReader(plain), f, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	im, err := goerofs.Open(f, goerofs.WithExtraDevices(bytes.NewReader(plain)))
	if err != nil {
		t.Fatal(err)
	}
	same(t, listed(t, im), want)
}
