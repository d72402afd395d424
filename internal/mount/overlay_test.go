package mount

import (
	"os"
	"strings"
	"testing"
)

func TestOptionsOfMount(t *testing.T) {
	o := OverlayOptions{
		Lowers: []string{"/hi:gh", "/lo,w", `/back\slash`}, Upper: "/u,p", Work: "/w",
		Options: []string{"index=off", "context=a:b:c0,c1", "userxattr"},
	}
	want := `index=off|context="a:b:c0,c1"|userxattr|workdir=/w|upperdir=/u\,p|lowerdir=/hi\:gh:/lo\,w:/back\\slash`
	if got := strings.Join(o.Strings(), "|"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := unquoted(`context="a:b:c0,c1"`); got != "context=a:b:c0,c1" {
		t.Error(got)
	}
}

func TestOptionsFitInAPage(t *testing.T) {
	page := os.Getpagesize()
	for _, c := range []struct {
		options []string
		fit     bool
	}{
		{nil, true},
		{[]string{strings.Repeat("x", page-1)}, true},
		{[]string{strings.Repeat("x", page)}, false},
		{[]string{strings.Repeat("x", page-3), "y"}, true},
		{[]string{strings.Repeat("x", page-2), "y"}, false},
	} {
		if OptionsFit(c.options) != c.fit {
			t.Errorf("%d options, %d bytes in the first: fit is %v", len(c.options), len(strings.Join(c.options, ",")), !c.fit)
		}
	}
}

func TestOverlaysThatCannotBeAreRefused(t *testing.T) {
	for name, o := range map[string]OverlayOptions{
		"no lower":           {},
		"one, no upper":      {Lowers: []string{"/a"}},
		"upper without work": {Lowers: []string{"/a"}, Upper: "/u"},
		"work without upper": {Lowers: []string{"/a"}, Work: "/w"},
		"too many lowers":    {Lowers: make([]string, MaxLayers+1)},
	} {
		if err := o.validate("/t"); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
