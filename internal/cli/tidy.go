package cli

import (
	"errors"
	"regexp"
	"strings"
	"syscall"
)

// The longest name and the longest path that a message shows whole.
const (
	longestName = 80
	longestPath = 240
)

var (
	// inner are packages whose names tell nobody anything: what they say names a file and why.
	inner      = regexp.MustCompile(`(^|: )(?:(?:durable|oci|dirtree|convert|bundle|engine|store|snapshotter|differ|daemon|dedupe): )+`)
	twice      = regexp.MustCompile(`(?:tartree: offset [0-9]+: )+(tartree: offset )`)
	quotedName = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	kinds      = regexp.MustCompile(`(?:: (?:not found|already exists|failed precondition|invalid argument|unavailable|not implemented))+$`)
	word       = regexp.MustCompile(`[^\s"]+`)
)

// tidy makes a message of an error: without what only programmers need, and with long names cut. Names come
// from archives and images, and are as long as strangers want.
func tidy(s string) string {
	s = inner.ReplaceAllString(s, "$1")
	s = twice.ReplaceAllString(s, "$1")
	if cut := kinds.ReplaceAllString(s, ""); strings.Contains(cut, " ") { // else it is all that there is
		s = cut
	}
	s = quotedName.ReplaceAllStringFunc(s, func(q string) string {
		return `"` + cutMiddle(q[1:len(q)-1], longestName) + `"`
	})
	return word.ReplaceAllStringFunc(s, func(w string) string { return cutMiddle(w, longestPath) })
}

// tidyError is tidy for an error. What the system says in the words of a kind of errors is no kind: EINVAL stays.
func tidyError(err error) string {
	text := err.Error()
	s := tidy(text)
	if said := ": " + syscall.EINVAL.Error(); errors.Is(err, syscall.EINVAL) && strings.HasSuffix(text, said) && !strings.HasSuffix(s, said) {
		s += said
	}
	return s
}

// cutMiddle leaves the beginning and the end of what has more than n bytes.
func cutMiddle(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n/2], "") + "..." + strings.ToValidUTF8(s[len(s)-n/2:], "")
}
