package tartree

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/tree"
)

// pythonList prints what tarfile makes of an archive, one JSON list for each entry.
const pythonList = `
import sys, json, tarfile, hashlib
tarfile.ENCODING = 'utf-8'
h = lambda b: b.hex()
t = tarfile.open(sys.argv[1], errorlevel=2, encoding='utf-8', errors='surrogateescape')
for m in t:
    name = m.name.encode('utf-8', 'surrogateescape')
    link = m.linkname.encode('utf-8', 'surrogateescape') if m.issym() or m.islnk() else b''
    kind = 'l' if m.issym() else 'h' if m.islnk() else 'd' if m.isdir() else 'c' if m.ischr() else 'b' if m.isblk() else 'p' if m.isfifo() else 'f'
    dev = [m.devmajor, m.devminor] if kind in 'cb' else [0, 0]
    data = hashlib.sha256(t.extractfile(m).read()).hexdigest() if kind == 'f' and m.size < 1 << 24 else ''
    ns = m.pax_headers.get('mtime', str(m.mtime))
    x = sorted(k[13:] for k in m.pax_headers if k.startswith('SCHILY.xattr.'))
    print(json.dumps([h(name), kind, m.mode & 0o7777, m.uid, m.gid, ns, m.size if kind == 'f' else 0, h(link), dev, data, x]))
`

// What Write writes means the same to Python's tarfile, and GNU tar has nothing to say against it.
func TestOtherReadersAgreeWithWrite(t *testing.T) {
	python, gnutar := oracle.Need(t, "python3"), oracle.Need(t, "tar")
	n255 := strings.Repeat("n", 255)
	for name, a := range map[string]string{
		"everything": everything(),
		"names": file("d\xff\xfe", "x") + pax("path", "\xff"+n255[1:]) + file("?", "") + file("gr\xc3\xbc\xc3\x9fe", "") + pax("path", n255[:100]+"/"+n255[:99]) + dir("?") +
			pax("path", n255+"/"+n255) + file("?", "y") + sym("l", "\xfft") + pax("linkpath", n255) + sym("m", "?") + pax("path", strings.Repeat("d/", 100)+"e") + file("?", ""),
		"numbers": times("-1.25", "1.5", "99999999999") + file("a", "", owner(2097151, 2097151)) + file("b", "", big(108, 8, 2097152), big(116, 8, 4294967295)) + hdr("c", '3', device(4095, 1048575)) + hdr("e", '4', device(8, 0)) + hdr("p", '6'),
		"links":   file("d/z", "x", owner(1, 2)) + link("d/a", "d/z") + link("c", "d/z") + pax("path", "d/"+n255) + link("?", "c") + sym("s", "t") + link("r", "s"),
		"sparse":  sparse10("s", 1<<20, "0123456789", 2, 5000, 5, 1<<20-5, 5) + sparse10("t", 1<<20, "01234", 1, 0, 5) + sparse10("u", 4096, "", 0),
		"xattrs":  pax("SCHILY.xattr.user.a", "x\x00\n=", "SCHILY.xattr.security.capability", "\x01\x00\x00\x02") + file("a", ""),
	} {
		t.Run(name, func(t *testing.T) {
			tr := read(t, a+end, Options{Whiteouts: Keep})
			path := filepath.Join(t.TempDir(), "a.tar")
			if err := os.WriteFile(path, []byte(write(t, tr, WriteOptions{Whiteouts: Keep})), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(gnutar, "--list", "--verbose", "--file", path).CombinedOutput()
			out = bytes.ReplaceAll(out, []byte(gnutar+": Ignoring unknown extended header keyword 'hdrcharset'\n"), nil)
			if err != nil || bytes.Contains(out, []byte(gnutar+": ")) {
				t.Errorf("tar: %v %s", err, out)
			}
			got := strings.TrimSpace(string(oracle.Run(t, python, "-c", pythonList, path)))
			if want := strings.Join(pythonWant(t, tr), "\n"); got != want {
				t.Errorf("python3:\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// pythonWant returns what pythonList should print.
func pythonWant(t *testing.T, tr *tree.Tree) (out []string) {
	kinds := map[uint32]string{tree.TypeDir: "d", tree.TypeRegular: "f", tree.TypeSymlink: "l", tree.TypeChar: "c", tree.TypeBlock: "b", tree.TypeFifo: "p"}
	first := map[*tree.Node]string{}
	err := tr.Walk(func(path string, n *tree.Node) error {
		if n.Implied() {
			return nil
		}
		kind, target, size, sum := kinds[n.Type()], n.Target, n.Size, ""
		if f, ok := first[n]; ok {
			kind, target, size = "h", f, 0
		} else if first[n] = path; n.IsRegular() && n.Size < 1<<24 {
			sum = sha(t, n)
		}
		major, minor := uint32(0), uint32(0)
		if kind == "c" || kind == "b" {
			major, minor = tree.DevMajorMinor(n.Rdev)
		}
		names := []string{}
		for _, x := range n.Xattrs {
			if kind != "h" {
				names = append(names, x.Name)
			}
		}
		line, err := json.Marshal([]any{fmt.Sprintf("%x", path), kind, n.Mode & tree.PermMask, n.UID, n.GID, decimalTime(n), size, fmt.Sprintf("%x", target), []uint32{major, minor}, sum, names})
		out = append(out, strings.ReplaceAll(string(line), ",", ", "))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// decimalTime is the modification time as a decimal number.
func decimalTime(n *tree.Node) string {
	if n.Nsec == 0 {
		return fmt.Sprint(n.Mtime)
	}
	sec, nsec, sign := n.Mtime, n.Nsec, ""
	if sec < 0 {
		sec, nsec, sign = -sec-1, 1e9-nsec, "-"
	}
	return strings.TrimRight(fmt.Sprintf("%s%d.%09d", sign, sec, nsec), "0")
}

func sha(t *testing.T, n *tree.Node) string {
	one := &tree.Tree{Root: tree.NewDir(0)}
	one.Root.Add("f", n)
	d := dump(t, one)
	i := strings.Index(d, "sha256:")
	return d[i+7 : i+7+64]
}
