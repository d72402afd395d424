package cli

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"syscall"
)

// The longest name and the longest path that a message shows whole.
const (
	longestName = 80
	longestPath = 240
)

// expressions are compiled when there is an error to print, not each time that the program runs.
var expressions = sync.OnceValue(func() (x struct{ inner, twice, quotedName, kinds, word *regexp.Regexp }) {
	// inner are packages whose names tell nobody anything: what they say names a file and why.
	x.inner = regexp.MustCompile(`(^|: )(?:(?:durable|oci|dirtree|convert|bundle|engine|store|snapshotter|differ|daemon|dedupe): )+`)
	x.twice = regexp.MustCompile(`(?:tartree: offset [0-9]+: )+(tartree: offset )`)
	x.quotedName = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	x.kinds = regexp.MustCompile(`(?:: (?:not found|already exists|failed precondition|invalid argument|unavailable|not implemented))+$`)
	x.word = regexp.MustCompile(`[^\s"]+`)
	return x
})

// tidy makes a message of an error: without what only programmers need, and with long names cut. Names come
// from archives and images, and are as long as strangers want.
func tidy(s string) string {
	x := expressions()
	s = x.inner.ReplaceAllString(s, "$1")
	s = x.twice.ReplaceAllString(s, "$1")
	if cut := x.kinds.ReplaceAllString(s, ""); strings.Contains(cut, " ") { // else it is all that there is
		s = cut
	}
	s = x.quotedName.ReplaceAllStringFunc(s, func(q string) string {
		return `"` + cutMiddle(q[1:len(q)-1], longestName) + `"`
	})
	return x.word.ReplaceAllStringFunc(s, func(w string) string { return cutMiddle(w, longestPath) })
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
