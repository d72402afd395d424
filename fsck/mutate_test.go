package fsck

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryBrokenRuleIsFoundByItsCode(t *testing.T) {
	images := map[string][]byte{}
	for _, m := range allMutations() {
		t.Run(m.name, func(t *testing.T) {
			if m.on == "" {
				m.on = "plain"
			}
			if images[m.on] == nil {
				images[m.on] = base(t, m.on)
			}
			e := newEdit(t, images[m.on])
			m.edit(e)
			expect(t, checked(t, e.done(), Options{ReadData: strings.HasPrefix(m.name, "compressed: ")}), m.want)
		})
	}
}

func TestEveryCodeHasAMutation(t *testing.T) {
	covered := map[Code]bool{}
	for _, m := range allMutations() {
		for _, c := range m.want {
			covered[c] = true
		}
	}
	for _, m := range deviceMutations {
		for _, c := range m.want {
			covered[c] = true
		}
	}
	names := map[string]bool{}
	for _, c := range Codes() {
		if !covered[c.Code] {
			t.Errorf("nothing tests %v", c.Code)
		}
		if c.Severity < Note || c.Severity > Error || c.Text == "" || names[c.Code.String()] {
			t.Errorf("the row of %v is incomplete, or its name is there twice", c.Code)
		}
		names[c.Code.String()] = true
	}
}

func has(rep *Report, c Code) bool {
	return slices.ContainsFunc(rep.Findings, func(f Finding) bool { return f.Code == c })
}
