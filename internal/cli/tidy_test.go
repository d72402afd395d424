package cli

import (
	"strings"
	"testing"
)

func TestMessagesAreShortAndNameNoPackages(t *testing.T) {
	long := strings.Repeat("a/", 3000)
	for in, want := range map[string]string{
		"tr.gz: tartree: offset 512: tartree: offset 700: unexpected EOF": "tr.gz: tartree: offset 700: unexpected EOF",
		"durable: x: is a directory":                                      "x: is a directory",
		"oci: oci: i.tar: archive: bad":                                   "i.tar: archive: bad",
		"oci-archive:i.tar: oci: bad":                                     "oci-archive:i.tar: bad",
		`a: "` + long + `": bad`:                                          `a: "` + long[:40] + "..." + long[6000-40:] + `": bad`,
		"/" + long + ": bad":                                              "/" + long[:119] + "..." + long[6001-120:] + ": bad",
		`a: "short \" name": bad`:                                         `a: "short \" name": bad`,
	} {
		if got := tidy(in); got != want {
			t.Errorf("%.80q: %q, want %q", in, got, want)
		}
	}
}
