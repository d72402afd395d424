package mkfs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/laminafs/lamina/tree"
)

func TestSmoke(t *testing.T) {
	for _, o := range []Options{{}, {Inline: InlineTails}, {Dedupe: true}, {ChunkSize: 4096, Dedupe: true}, {BlockSize: 512}, {Large: true}} {
		tr := tree.New()
		d := tree.NewDir(0o755)
		tr.Root.Add("d", d)
		for i := range 3000 {
			s := bytes.Repeat([]byte(fmt.Sprint(i, " ")), i%4000)
			d.Add(fmt.Sprintf("file-%d", i), &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(s)), Content: tree.Bytes(s), Mtime: int64(i), Xattrs: []tree.Xattr{{Name: "user.x", Value: "1"}}})
		}
		tr.Root.Add("l", &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: "d/file-100"})
		f, err := os.Create(filepath.Join(t.TempDir(), "img"))
		if err != nil {
			t.Fatal(err)
		}
		w, err := New(f, o)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := w.Finish(tr)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v %+v", o, sum)
		out, err := exec.Command("/work/tools/erofs/bin/fsck.erofs", "--extract", f.Name()).CombinedOutput()
		t.Logf("%s %v", out, err)
		m := t.TempDir()
		if out, err := exec.Command("sh", "-c", "mount -t erofs -o ro "+f.Name()+" "+m+" && ls -la "+m+" && find "+m+" | wc -l && cat "+m+"/d/* | sha256sum; getfattr -d "+m+"/d/file-7; umount "+m).CombinedOutput(); err != nil {
			t.Errorf("%s %v", out, err)
		} else {
			t.Logf("%s", out)
		}
	}
}
