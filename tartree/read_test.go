package tartree

import (
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

type readCase struct {
	name    string
	archive string
	want    string
}

func runCases(t *testing.T, cases []readCase, o Options) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := list(t, read(t, c.archive+end, o)); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	n101 := strings.Repeat("n", 101)
	runCases(t, []readCase{
		{"ustar", file("a", "x", owner(1, 2)), lines(`a 100644 1:2 "x"`)},
		{"prefix", file(strings.Repeat("n", 100), "", prefix("p/q")), lines(
			"p 40755 implied @0.0", "p/q 40755 implied @0.0", "p/q/"+n101[1:]+` 100644 ""`)},
		{"prefix of star is shorter", file("a", "", prefix("p"), at(476, "7777\x00"), at(508, "tar\x00")), lines("p 40755 implied @0.0", `p/a 100644 ""`)},
		{"prefix counts in no v7 header", file("a", "", v7, prefix("p")), lines(`a 100644 ""`)},
		{"atime of GNU is no prefix", file("a", "", gnu, at(345, "00000001750\x0000000001750\x00")), lines(`a 100644 ""`)},
		{"prefix in a GNU header of old Go", file("a", "", gnu, at(345, "p/q")), lines("p 40755 implied @0.0", "p/q 40755 implied @0.0", `p/q/a 100644 ""`)},
		{"old file type", hdr("a", 0, size(1)) + pad("x"), lines(`a 100644 "x"`)},
		{"old directory", hdr("a/", 0, v7, mode(0o700)), lines("a 40700")},
		{"file with a slash behind", file("a/", "x"), lines(`a 100644 "x"`)},
		{"contiguous file", hdr("a", '7', size(1)) + pad("x"), lines(`a 100644 "x"`)},
		{"type bits in the mode", file("a", "", mode(0o104755)), lines(`a 104755 ""`)},
		{"numbers with spaces", file("a", "", at(100, "   644 \x00"), at(108, "  7    "), at(136, "     1750  ")), lines(`a 100644 7:0 ""`)},
		{"empty numbers", file("a", "", at(108, "\x00\x00\x00\x00\x00\x00\x00\x00"), at(136, "            ")), lines(`a 100644 @0.0 ""`)},
		{"base-256", file("a", "", big(108, 8, 4294967295), big(116, 8, 3000000000), big(136, 12, -2)), lines(`a 100644 4294967295:3000000000 @-2.0 ""`)},
		{"signed checksum", signed(file("\xff\xfe", "x")), lines("\xff\xfe 100644 \"x\"")},
		{"devices", hdr("c", '3', device(1, 3)) + hdr("b", '4', device(4095, 1048575)) + hdr("p", '6'), lines(
			"b 60644 dev 4095:1048575", "c 20644 dev 1:3", "p 10644")},
		{"devices in v7 are 0:0", hdr("b", '4', device(8, 1), v7), lines("b 60644")},
		{"size of what has no payload", dir("d", size(512)) + sym("l", "x", size(512)) + hdr("c", '3', device(1, 3), size(512)) + file("a", "x") +
			link("h", "a", size(1)), lines(`a 100644 "x"`, "c 20644 dev 1:3", "d 40755", "h = a", "l 120777 -> x")},
		{"mode of a symbolic link", sym("l", "x", mode(0o755)), lines("l 120777 -> x")},
		{"volume and dump directory", hdr("vol", 'V', gnu, size(0)) + hdr("d/", 'D', gnu, mode(0o700), size(3)) + pad("Yf\x00") + file("d/f", "x"),
			lines("d 40700", `d/f 100644 "x"`)},
		{"long names of GNU", long('L', n101) + file(n101[1:], "x", gnu) + long('K', n101) + long('L', "s") + sym("?", "?", gnu), lines(
			n101+` 100644 "x"`, "s 120777 -> "+n101)},
		{"last long name wins", long('L', "a") + long('L', "b") + file("c", "", gnu), lines(`b 100644 ""`)},
	}, Options{})
}

// signed gives the header of an archive the checksum that adds signed bytes.
func signed(archive string) string {
	h := []byte(archive)
	sum := int64(0)
	for i, c := range h[:blockSize] {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int64(int8(c))
	}
	octal(h[148:155], sum)
	return string(h)
}

func TestPaxRecords(t *testing.T) {
	n255 := strings.Repeat("n", 255)
	runCases(t, []readCase{
		{"names and numbers", pax("path", n255, "uid", "4294967295", "gid", "3000000000", "size", "1", "mtime", "-1.25") + hdr("?", '0') + pad("x"),
			lines(n255 + ` 100644 4294967295:3000000000 @-2.750000000 "x"`)},
		{"linkpath", pax("linkpath", n255) + sym("a", "?"), lines("a 120777 -> " + n255)},
		{"last record wins", pax("path", "a", "path", "b") + file("c", ""), lines(`b 100644 ""`)},
		{"empty value takes back", pax("path", "a", "path", "", "uid", "5", "uid", "") + file("c", ""), lines(`c 100644 ""`)},
		{"names that are not UTF-8", pax("hdrcharset", "BINARY", "path", "\xff\xfe") + file("c", ""), lines("\xff\xfe 100644 \"\"")},
		{"only for the next entry", pax("uid", "5") + file("a", "") + file("b", ""), lines(`a 100644 5:0 ""`, `b 100644 ""`)},
		{"header X of Solaris", extended('X', records("uid", "5")) + file("a", ""), lines(`a 100644 5:0 ""`)},
		{"GNU name over path", pax("path", "a") + long('L', "b") + file("c", ""), lines(`b 100644 ""`)},
		{"other records", pax("comment", "x", "atime", "1.5", "VENDOR.k", "v", "uname", "me") + file("a", ""), lines(`a 100644 ""`)},
		{"SCHILY device numbers", pax("SCHILY.devmajor", "9", "SCHILY.devminor", "70000") + hdr("a", '4'), lines("a 60644 dev 9:70000")},
		{"times", times("0", "5", "5.", "5.000000001", "5.1", "5.1234567891", "-5", "-5.5", "-0.5", "-0.0", "+5", "9223372036854775807"), lines(
			`0 100644 @0.0 ""`, `1 100644 @5.0 ""`, `2 100644 @5.0 ""`, `3 100644 @5.1 ""`, `4 100644 @5.100000000 ""`, `5 100644 @5.123456789 ""`,
			`6 100644 @-5.0 ""`, `7 100644 @-6.500000000 ""`, `8 100644 @-1.500000000 ""`, `9 100644 @0.0 ""`, `A 100644 @5.0 ""`, `B 100644 @9223372036854775807.0 ""`)},
		{"global", global("uid", "5", "mtime", "7", "comment", "x") + file("a", "") + pax("uid", "6") + file("b", "") + pax("uid", "") + file("c", "") +
			global("gid", "8") + file("d", ""), lines(`a 100644 5:0 @7.0 ""`, `b 100644 6:0 @7.0 ""`, `c 100644 @7.0 ""`, `d 100644 0:8 ""`)},
		{"global names count for nothing", global("path", "a", "linkpath", "b", "size", "1") + file("c", "") + sym("l", "t"), lines(`c 100644 ""`, "l 120777 -> t")},
	}, Options{})
}

func times(values ...string) string {
	var b strings.Builder
	for i, v := range values {
		b.WriteString(pax("mtime", v) + file("0123456789ABCDEF"[i:i+1], ""))
	}
	return b.String()
}

func TestXattrs(t *testing.T) {
	b64 := base64.RawStdEncoding.EncodeToString([]byte("v\x00="))
	runCases(t, []readCase{
		{"binary values, sorted", pax("SCHILY.xattr.user.z", "a\x00b\n=c", "SCHILY.xattr.user.a", "", "SCHILY.xattr.security.capability", "\x01\x00\x00\x02") + file("f", ""),
			lines(`f 100644 security.capability="\x01\x00\x00\x02" user.a="" user.z="a\x00b\n=c" ""`)},
		{"last of a name", pax("SCHILY.xattr.user.a", "1", "SCHILY.xattr.user.a", "2") + file("f", ""), lines(`f 100644 user.a="2" ""`)},
		{"libarchive", pax("LIBARCHIVE.xattr.user.a%3Db%zz", b64, "LIBARCHIVE.xattr.user.p", "dg==") + file("f", ""),
			lines(`f 100644 user.a=b%zz="v\x00=" user.p="v" ""`)},
		{"SCHILY over libarchive", pax("SCHILY.xattr.user.a", "1", "LIBARCHIVE.xattr.user.a", b64) + file("f", ""), lines(`f 100644 user.a="1" ""`)},
		{"RHT", pax("RHT.security.selinux", "x") + file("f", ""), lines(`f 100644 security.selinux="x" ""`)},
		{"on every type", pax("SCHILY.xattr.user.a", "1") + dir("d") + pax("SCHILY.xattr.trusted.t", "1") + sym("l", "x"), lines(`d 40755 user.a="1"`, `l 120777 -> x trusted.t="1"`)},
		{"global", global("SCHILY.xattr.user.g", "1") + file("a", "") + pax("SCHILY.xattr.user.a", "2") + file("b", ""),
			lines(`a 100644 user.g="1" ""`, `b 100644 user.a="2" user.g="1" ""`)},
		{"of a directory that comes twice", pax("SCHILY.xattr.user.a", "1", "SCHILY.xattr.user.b", "1") + dir("d") + pax("SCHILY.xattr.user.b", "2") + dir("d"),
			lines(`d 40755 user.a="1" user.b="2"`)},
	}, Options{})
}

func TestNamesStayInTheRoot(t *testing.T) {
	runCases(t, []readCase{
		{"cleaned", file("./a", "1") + file("/b", "2") + file("c//d/./e", "3") + dir(".//f///g///") + file("f/./h/../i", "4") + file("f/g/.", "5"), lines(
			`a 100644 "1"`, `b 100644 "2"`, "c 40755 implied @0.0", "c/d 40755 implied @0.0", `c/d/e 100644 "3"`, "f 40755 implied @0.0", `f/g 100644 "5"`, `f/i 100644 "4"`)},
		{"dots at the root", file("../a", "1") + file("/../../b", "2") + file("x/../../../c", "3"), lines(`a 100644 "1"`, `b 100644 "2"`, `c 100644 "3"`)},
		{"dotted names", file("...", "1") + file("..a", "2") + file("d/..b", "3") + file("d/...", "4"), lines(`... 100644 "1"`, `..a 100644 "2"`,
			"d 40755 implied @0.0", `d/... 100644 "4"`, `d/..b 100644 "3"`)},
		{"the root", dir("./", mode(0o700)) + file(".", "x") + file("", "x") + sym("/", "x") + file("..", "y") + file("a", ""), lines(`a 100644 ""`)},
		{"through a symbolic link", dir("real") + sym("l", "real") + file("l/f", "1") + file("l/g", "2") + dir("l/d") + file("l/d/h", "3"), lines(
			"l 120777 -> real", "real 40755", "real/d 40755", `real/d/h 100644 "3"`, `real/f 100644 "1"`, `real/g 100644 "2"`)},
		{"through absolute and climbing links", sym("a", "/tmp") + file("a/f", "1") + dir("d/e") + sym("d/e/up", "../../../..//tmp/./x") + file("d/e/up/g", "2"), lines(
			"a 120777 -> /tmp", "d 40755 implied @0.0", "d/e 40755", "d/e/up 120777 -> ../../../..//tmp/./x",
			"tmp 40755 implied @0.0", `tmp/f 100644 "1"`, "tmp/x 40755 implied @0.0", `tmp/x/g 100644 "2"`)},
		{"to the root", sym("d/l", "/") + file("d/l/f", "1") + file("d/g", "2"), lines("d 40755 implied @0.0", `d/g 100644 "2"`, "d/l 120777 -> /", `f 100644 "1"`)},
		{"a link that is replaced later", dir("r") + sym("l", "r") + file("l/f", "1") + dir("l") + file("l/f", "2"), lines(
			"l 40755", `l/f 100644 "2"`, "r 40755", `r/f 100644 "1"`)},
		{"a directory that becomes a link", dir("r") + file("l/f", "1") + sym("l", "r") + file("l/f", "2"), lines("l 120777 -> r", "r 40755", `r/f 100644 "2"`)},
	}, Options{})
}

func TestRootTakesItsEntry(t *testing.T) {
	tr := read(t, pax("SCHILY.xattr.user.r", "1")+dir("./", mode(0o751), owner(7, 8), mtime(12345))+end, Options{})
	r := tr.Root
	if r.Mode != tree.TypeDir|0o751 || r.UID != 7 || r.GID != 8 || r.Mtime != 12345 || len(r.Xattrs) != 1 || r.Implied() {
		t.Errorf("root is %+v", r)
	}
	if !read(t, file("a", "")+end, Options{}).Root.Implied() {
		t.Error("root without an entry is not implied")
	}
}

func TestDuplicates(t *testing.T) {
	runCases(t, []readCase{
		{"last file wins", file("d/a", "1", owner(1, 1)) + file("d/b", "2") + file("d/a", "3"), lines("d 40755 implied @0.0", `d/a 100644 "3"`, `d/b 100644 "2"`)},
		{"directories merge", file("d/a", "1") + dir("d", mode(0o700), owner(3, 4)) + file("d/b", "2"), lines("d 40700 3:4", `d/a 100644 "1"`, `d/b 100644 "2"`)},
		{"file to directory", file("d", "1") + dir("d/") + file("d/a", "2"), lines("d 40755", `d/a 100644 "2"`)},
		{"directory to file", dir("d") + file("d/a", "1") + file("d", "2"), lines(`d 100644 "2"`)},
		{"directory to file and back", file("d/e/a", "1") + file("d", "2") + dir("d") + file("d/e/b", "3"), lines("d 40755", "d/e 40755 implied @0.0", `d/e/b 100644 "3"`)},
		{"symbolic link to file", sym("l", "t") + file("l", "1"), lines(`l 100644 "1"`)},
	}, Options{})
}

func TestHardLinks(t *testing.T) {
	runCases(t, []readCase{
		{"share a node", file("a", "x", owner(1, 2)) + link("d/b", "a", owner(9, 9), mode(0)) + link("c", "/d/../d/b"), lines(
			`a 100644 1:2 "x"`, "c = a", "d 40755 implied @0.0", "d/b = a")},
		{"to anything but directories", sym("s", "a") + link("s2", "s") + hdr("n", '3', device(1, 3)) + link("n2", "n") + hdr("p", '6') + link("p2", "./p"), lines(
			"n 20644 dev 1:3", "n2 = n", "p 10644", "p2 = p", "s 120777 -> a", "s2 = s")},
		{"keep the old node", file("a", "old") + link("b", "a") + file("a", "new"), lines(`a 100644 "new"`, `b 100644 "old"`)},
		{"to itself", file("a", "x") + link("a", "a"), lines(`a 100644 "x"`)},
		{"target through a symbolic link", dir("r") + file("r/f", "x") + sym("l", "r") + link("h", "l/f"), lines(
			`h 100644 "x"`, "l 120777 -> r", "r 40755", "r/f = h")},
		{"over a directory", file("a", "x") + file("d/f", "1") + link("d", "a") + file("e/f", "2"), lines(`a 100644 "x"`, "d = a", "e 40755 implied @0.0", `e/f 100644 "2"`)},
		{"long target", file("a", "x") + pax("linkpath", "./a") + link("b", "?"), lines(`a 100644 "x"`, "b = a")},
	}, Options{})
}

func TestWhiteouts(t *testing.T) {
	archive := dir("d") + file("d/.wh..wh..opq", "") + file("d/new", "n") + file(".wh.gone", "payload", mode(0o600), owner(9, 9)) + file("i/j/.wh.x", "") +
		file("e/a", "1") + file("e/.wh.a", "") + file("e/.wh.b", "") + file("e/b", "2") +
		file(".wh..wh.aufs", "x") + dir(".wh..wh.plnk") + file(".wh..wh.plnk/1.2", "x") + dir("d/.wh..wh.orph") +
		hdr("dev", '3', device(0, 0)) + link(".wh.linked", ".wh.gone") + file(".wh", "")
	t.Run("Overlay", func(t *testing.T) {
		runCases(t, []readCase{{"all", archive, lines(
			`.wh 100644 ""`, `d 40755 trusted.overlay.opaque="y"`, `d/new 100644 "n"`, "dev 20644",
			`e 40755 implied @0.0 trusted.overlay.origin=""`, "e/a 20644", `e/b 100644 "2"`, "gone 20600 9:9",
			"i 40755 implied @0.0", `i/j 40755 implied @0.0 trusted.overlay.origin=""`, "i/j/x 20644", "linked 20644")},
			{"directory after its whiteout is opaque", file(".wh.d", "") + dir("d") + file("d/f", "1") + file("x/.wh.y", "") + file("x/y/z", "2"), lines(
				`d 40755 trusted.overlay.opaque="y"`, `d/f 100644 "1"`, "x 40755 implied @0.0", `x/y 40755 implied @0.0 trusted.overlay.opaque="y"`, `x/y/z 100644 "2"`)},
			{"whiteout hides a directory of its layer", file("d/e/f", "1") + file(".wh.d", "") + file("g", ""), lines("d 20644", `g 100644 ""`)},
			{"no origin where the whiteout is gone", file(".wh.d", "") + file("d", "1"), lines(`d 100644 "1"`)},
			{"opaque root", file(".wh..wh..opq", ""), ""},
			{"of a name of 255 bytes", pax("path", ".wh."+strings.Repeat("n", 255)) + file("?", ""), lines(strings.Repeat("n", 255) + " 20644")},
		}, Options{})
	})
	t.Run("Keep", func(t *testing.T) {
		runCases(t, []readCase{{"all", archive[:len(archive)-len(link("", "")+file(".wh", ""))], lines(
			`.wh..wh.aufs 100644 "x"`, ".wh..wh.plnk 40755", `.wh..wh.plnk/1.2 100644 "x"`, `.wh.gone 100600 9:9 "payload"`,
			"d 40755", `d/.wh..wh..opq 100644 ""`, "d/.wh..wh.orph 40755", `d/new 100644 "n"`, "dev 20644",
			"e 40755 implied @0.0", `e/.wh.a 100644 ""`, `e/.wh.b 100644 ""`, `e/a 100644 "1"`, `e/b 100644 "2"`,
			"i 40755 implied @0.0", "i/j 40755 implied @0.0", `i/j/.wh.x 100644 ""`)}}, Options{Whiteouts: Keep})
	})
	t.Run("Strip", func(t *testing.T) {
		runCases(t, []readCase{{"all", archive, lines(
			`.wh 100644 ""`, "d 40755", `d/new 100644 "n"`, "e 40755 implied @0.0", `e/b 100644 "2"`, "i 40755 implied @0.0", "i/j 40755 implied @0.0")},
			{"those of the archive", pax("SCHILY.xattr.trusted.overlay.opaque", "y", "SCHILY.xattr.user.a", "1") + dir("d"), lines(`d 40755 user.a="1"`)},
		}, Options{Whiteouts: Strip})
	})
	tr := read(t, file(".wh..wh..opq", "")+end, Options{})
	if v, _ := tr.Root.Xattr(xattrOpaque); v != "y" {
		t.Error("root is not opaque")
	}
}

func TestEnds(t *testing.T) {
	a, zero := file("a", "x"), end[:blockSize]
	want := lines(`a 100644 "x"`)
	for name, archive := range map[string]string{
		"two blocks": a + end, "one block": a + zero, "none": a, "many": a + end + end + end, "garbage": a + end + "garbage",
		"archive behind": a + end + file("b", ""), "no padding": a[:blockSize+1], "half the padding": a[:blockSize+100],
	} {
		if got := list(t, read(t, archive, Options{})); got != want {
			t.Errorf("%s: got %s", name, got)
		}
	}
	both := a + end + file("b", "y") + zero + file("c", "z") + end
	if got := list(t, read(t, both, Options{Concatenated: true})); got != want+lines(`b 100644 "y"`, `c 100644 "z"`) {
		t.Errorf("concatenated: got %s", got)
	}
	for _, empty := range []string{"", zero, end} {
		if got := list(t, read(t, empty, Options{})); got != "" {
			t.Errorf("empty: got %s", got)
		}
	}
}

func TestBadArchives(t *testing.T) {
	a := file("a", "x")
	n256 := strings.Repeat("n", 256)
	for _, c := range []struct{ name, archive, want string }{
		{"checksum", a + strings.Replace(file("b", ""), "b", "c", 1) + end, `offset 1024: "c": checksum of the header is wrong`},
		{"zeros inside", a + end[:512] + a + end, `offset 1536: a single block of zeros between entries`},
		{"cut header", a + a[:511], `offset 1024: archive ends inside a header`},
		{"cut payload", file("a", strings.Repeat("x", 5000))[:4000], `offset 4000: "a": archive ends 1512 bytes before the end of the entry`},
		{"cut pax", pax("path", n256)[:600], `offset 600: "PaxHeaders/x": archive ends`},
		{"size", hdr("a", '0', big(124, 12, 1<<60+1)), `offset 0: "a": size is not a number from 0 to 2^60`},
		{"negative size", hdr("a", '0', big(124, 12, -1)), `offset 0: "a": size`},
		{"size of 96 bits", hdr("a", '0', at(124, "\x80\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")), `offset 0: "a": size`},
		{"no number", hdr("a", '0', at(108, "12x")), `offset 0: "a": user id is not a number`},
		{"negative uid", hdr("a", '0', big(108, 8, -2)), `offset 0: "a": user id`},
		{"uid of 33 bits", pax("uid", "4294967296") + a, `offset 0: "a": user id`},
		{"gid of 33 bits", hdr("a", '0', big(116, 8, 1<<32)), `offset 0: "a": group id`},
		{"mode", hdr("a", '0', at(100, "rw")), `offset 0: "a": mode`},
		{"mtime", hdr("a", '0', at(136, "yesterday")), `offset 0: "a": modification time`},
		{"device", hdr("a", '3', device(4096, 0)), `offset 0: "a": device number`},
		{"symlink without target", hdr("a", '2'), `offset 0: "a": target of the symbolic link is empty`},
		{"symlink with 4096 bytes", pax("linkpath", strings.Repeat("t", 4096)) + hdr("a", '2'), `offset 0: "a": target of the symbolic link`},
		{"name of 256 bytes", pax("path", "d/"+n256) + a, `offset 0: "d/` + n256 + `": a component of the name is longer than 255 bytes`},
		{"parent of 256 bytes", pax("path", n256+"/a") + a, `longer than 255 bytes`},
		{"whiteout of 256 bytes", pax("path", ".wh."+n256) + a, `longer than 255 bytes`},
		{"2049 components", pax("path", strings.Repeat("d/", 2048)+"a") + a, `more than 2048 components in the name`},
		{"below a file", a + file("a/b", ""), `offset 1024: "a/b": a parent is not a directory`},
		{"symbolic links in a circle", sym("l", "m") + sym("m", "l") + file("l/f", ""), `offset 1024: "l/f": too many symbolic links in the path`},
		{"missing target", link("h", "../x"), `offset 0: "h": target "../x" of the hard link is not in the archive so far`},
		{"target comes later", link("h", "x/a") + file("x/a", ""), `target "x/a" of the hard link is not in the archive so far`},
		{"target is a directory", dir("d") + link("h", "d"), `offset 512: "h": target "d" of the hard link is a directory`},
		{"target is the root", link("h", "/"), `target "/" of the hard link is a directory`},
		{"target below a file", a + link("h", "a/b"), `target "a/b" of the hard link: a parent is not a directory`},
		{"whiteout of nothing", file("d/.wh.", ""), `offset 0: "d/.wh.": whiteout without a name`},
		{"whiteout of the parent", file("d/.wh...", ""), `whiteout without a name`},
		{"record without length", extended('x', "path=a\n") + a, `offset 0: "PaxHeaders/x": extended header: broken record length`},
		{"record too long", extended('x', "99 path=a\n") + a, `broken record length`},
		{"record without newline", extended('x', "10 path=abc") + a, `broken record length`},
		{"record without key", extended('x', "6 =ab\n") + a, `record without a key`},
		{"record without =", extended('x', "5 ab\n") + a, `record without a key`},
		{"NUL in a key", pax("pa\x00th", "b") + a, `record without a key`},
		{"NUL in a path", pax("path", "b\x00c") + a, `path: NUL in a name`},
		{"bad number", pax("uid", "1 ") + a, `uid: not a number`},
		{"number of 64 bits", pax("mtime", "9223372036854775808") + a, `mtime: not a number`},
		{"bad fraction", pax("mtime", "1.2.3") + a, `mtime: not a number`},
		{"x after x", pax("uid", "1") + pax("gid", "1") + a, `extended header follows an extended header`},
		{"g after x", pax("uid", "1") + global("gid", "1") + a, `extended header follows an extended header`},
		{"huge extended header", hdr("x", 'x', size(1<<20+1)), `offset 0: "x": extended header is larger than 1 MiB`},
		{"xattr without name", pax("SCHILY.xattr.", "b") + a, `name of an extended attribute`},
		{"xattr with a long name", pax("SCHILY.xattr.user."+n256, "b") + a, `name of an extended attribute`},
		{"xattr with a long value", pax("SCHILY.xattr.user.a", strings.Repeat("v", 65537)) + a, `longer than 65536 bytes`},
		{"bad base64", pax("LIBARCHIVE.xattr.user.a", "*") + a, `not base64`},
		{"many global xattrs", global(strings.Split(strings.Repeat("SCHILY.xattr.user.a|1|", 17), "|")[:34]...) + a, `more than 16 extended attributes in a global header`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.archive), spool{}, Options{})
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestUnsupportedEntries(t *testing.T) {
	for name, archive := range map[string]string{
		"unknown type": hdr("a", 'Z'), "volume": hdr("a", 'M', gnu), "sparse of star": hdr("a", 'S'),
		"sparse 2.0": pax("GNU.sparse.major", "2", "GNU.sparse.minor", "0") + file("a", ""),
	} {
		if _, err := Read(strings.NewReader(archive+end), spool{}, Options{}); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestFailuresOfOthersArePassedOn(t *testing.T) {
	broken := errors.New("broken")
	source := func(s string) io.Reader { return io.MultiReader(strings.NewReader(s), brokenReader{broken}) }
	a := file("a", strings.Repeat("x", 1000))
	for _, n := range []int{0, 100, 512, 600, 1536, 1600, 2048} {
		_, err := Read(source((a + a)[:n]), spool{}, Options{})
		if !errors.Is(err, broken) || errors.Is(err, ErrArchive) {
			t.Errorf("source fails after %d bytes: got %v", n, err)
		}
	}
	_, err := Read(strings.NewReader(a), brokenSpool{broken}, Options{})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("spool fails: got %v", err)
	}
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

type brokenSpool struct{ err error }

func (b brokenSpool) Put(tree.File, io.Reader) (tree.Content, error) { return nil, b.err }

func TestMaxNodes(t *testing.T) {
	archive := file("a/b/c", "") + file("a/b/d", "") + end
	if _, err := Read(strings.NewReader(archive), spool{}, Options{MaxNodes: 4}); err != nil {
		t.Error(err)
	}
	if _, err := Read(strings.NewReader(archive), spool{}, Options{MaxNodes: 3}); !errors.Is(err, ErrArchive) {
		t.Errorf("got %v", err)
	}
}

func TestWarningsNameWhatIsLeftOut(t *testing.T) {
	archive := hdr("vol", 'V', gnu) + file(".wh..wh.aufs", "") + file("./", "x") + global("path", "p") + pax("SCHILY.acl.access", "u::rw") + file("a", "") + pax("path", "b") + end
	var got []string
	read(t, archive, Options{Warn: func(w Warning) { got = append(got, w.Name+": "+w.Text) }})
	want := []string{"vol: name of a volume left out", ".wh..wh.aufs: left by aufs, left out", "./: named like the root but no directory, left out",
		"PaxHeaders/x: path, linkpath, size and GNU.sparse of a global header left out", "PaxHeaders/x: POSIX ACL in text form left out",
		"PaxHeaders/x: extended header without an entry left out"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestStats(t *testing.T) {
	archive := file("a", "123") + link("b", "a") + file(".wh.c", "") + dir("d") + end
	var st Stats
	read(t, archive+"tail", Options{Stats: &st})
	if want := (Stats{Entries: 4, Files: 1, Links: 1, Whiteouts: 1, Payload: 3, End: int64(len(archive)), EndMark: true}); st != want {
		t.Errorf("got %+v, want %+v", st, want)
	}
}

// What a small archive can make Read do is bounded.
func TestAmplificationIsBounded(t *testing.T) {
	var deep strings.Builder
	for i := range 520 {
		deep.WriteString(pax("path", strings.Repeat(string(rune('A'+i%26))+string(rune('A'+i/26))+"/", 2047)+"f") + file("?", ""))
	}
	_, err := Read(strings.NewReader(deep.String()), spool{}, Options{})
	if !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "directories without an entry") {
		t.Errorf("deep names: %v", err)
	}

	// a chain of links, each of which adds 4 KiB to walk
	var chain strings.Builder
	for i := range 26 {
		chain.WriteString(pax("linkpath", string(rune('b'+i))+strings.Repeat("/.", 2040)) + sym(string(rune('a'+i)), "?"))
	}
	_, err = Read(strings.NewReader(chain.String()+file("a/f", "")), spool{}, Options{})
	if !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), whyHops) {
		t.Errorf("chain of links: %v", err)
	}

	// attributes that pile up on one directory
	var pile strings.Builder
	for i := range 4 {
		var kv []string
		for j := range 5000 {
			kv = append(kv, "SCHILY.xattr.user."+string(rune('a'+i))+strings.Repeat("x", j%7)+string(rune(0x4E00+j)), "")
		}
		pile.WriteString(pax(kv...) + dir("d"))
	}
	if _, err = Read(strings.NewReader(pile.String()), spool{}, Options{}); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "too many extended attributes") {
		t.Errorf("attributes: %v", err)
	}
}
