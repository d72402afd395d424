package fsck

import (
	"testing"
)

func TestEveryBrokenRuleIsFoundByItsCode(t *testing.T) {
	images := map[string][]byte{}
	for name, o := range bases {
		images[name] = build(t, sample(), o)
	}
	for _, m := range allMutations() {
		t.Run(m.name, func(t *testing.T) {
			if m.on == "" {
				m.on = "plain"
			}
			e := newEdit(t, images[m.on])
			m.edit(e)
			rep := checked(t, e.done(), Options{})
			got, want := map[Code]bool{}, map[Code]bool{}
			for _, f := range rep.Findings {
				got[f.Code] = true
			}
			for _, c := range m.want {
				want[c] = true
			}
			if g, w := codeNames(got), codeNames(want); g != w {
				t.Errorf("found %q, want %q", g, w)
				for _, f := range rep.Findings {
					t.Log(f)
				}
			}
		})
	}
}
