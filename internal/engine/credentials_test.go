package engine

import "testing"

// Which credentials are taken does not depend on the order of a map; those that name the host alone come first.
func TestCredentialsOfTheHostAreTheSameEachTime(t *testing.T) {
	c := &dockerConfig{Auths: map[string]dockerAuth{
		"r.example/team":         {Username: "team", Password: "1"},
		"r.example/another/team": {Username: "another", Password: "2"},
		"https://r.example/v2/":  {Username: "url", Password: "3"},
		"r.example":              {Username: "host", Password: "4"},
	}}
	expect := func(want string) {
		t.Helper()
		for range 50 {
			user, _, err := c.credentials(t.Context(), "r.example")
			if err != nil || user != want {
				t.Fatalf("%q, %v; want %q", user, err, want)
			}
		}
	}
	expect("host")
	delete(c.Auths, "r.example")
	expect("url")
	delete(c.Auths, "https://r.example/v2/")
	expect("another") // the same each time
}
