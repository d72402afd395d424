package mount

import (
	"slices"
	"strings"
	"testing"
)

func TestParseIDRanges(t *testing.T) {
	got, err := ParseIDRanges("0:100000:65536,65536:7:1")
	if want := []IDRange{{0, 100000, 65536}, {65536, 7, 1}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "0", "0:1", "0:1:0", "0:1:2:3", "a:1:2", "-1:0:1", "0:4294967296:1", "0:0:1,", strings.Repeat("0:0:1,", maxRanges) + "0:0:1"} {
		if got, err := ParseIDRanges(bad); err == nil {
			t.Errorf("%.30q: %v", bad, got)
		}
	}
}

func TestMapsThatTheKernelCannotTakeAreRefused(t *testing.T) {
	for name, ranges := range map[string][]IDRange{
		"none":     nil,
		"empty":    {{0, 0, 0}},
		"overflow": {{4294967295, 0, 2}},
		"outside":  {{0, 4294967290, 6}},
		"many":     slices.Repeat([]IDRange{{0, 0, 1}}, maxRanges+1),
		"long":     slices.Repeat([]IDRange{{4000000000, 4000000000, 200000000}}, maxRanges),
	} {
		if s, err := procMap(ranges); err == nil {
			t.Errorf("%s: %.50q", name, s)
		}
	}
	if s, err := procMap([]IDRange{{0, 100000, 65536}, {65536, 0, 1}}); err != nil || s != "0 100000 65536\n65536 0 1\n" {
		t.Errorf("%q, %v", s, err)
	}
}
