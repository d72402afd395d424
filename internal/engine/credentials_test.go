package engine

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

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

// A helper that has left somebody behind who holds its output is not waited for longer than its time.
func TestHelperThatLeavesAProcessIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\nsleep 20 &\necho '{\"Username\":\"u\",\"Secret\":\"s\"}'\n"
	check(t, os.WriteFile(filepath.Join(dir, "docker-credential-left"), []byte(script), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	begin := time.Now()
	if user, _, err := askHelper(ctx, "left", "r.example"); user != "u" || err != nil || time.Since(begin) > 9*time.Second {
		t.Fatalf("%q after %v: %v", user, time.Since(begin), err)
	}
}
