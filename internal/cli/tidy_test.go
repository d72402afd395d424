package cli

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
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

func TestMessagesKeepWhatTheSystemSays(t *testing.T) {
	for want, err := range map[string]error{
		"x: mount: invalid argument": fmt.Errorf("store: x: mount: %w", syscall.EINVAL),
		"x: no name":                 fmt.Errorf("engine: x: no name: %w", errdefs.ErrInvalidArgument),
	} {
		if got := tidyError(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
