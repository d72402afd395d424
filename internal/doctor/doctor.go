// Package doctor finds out what this kernel, this file system and this containerd can do, by trying and by asking,
// and says what to write into the configuration of containerd. It changes nothing that stays.
package doctor

import (
	"context"
	"time"
)

// State is how a check came out.
type State string

// The states of checks.
const (
	OK      State = "ok"
	Missing State = "missing" // something works less well, or not at all if it is asked for
	Failed  State = "failed"  // containers will not run
)

// Check is one thing that was tried.
type Check struct {
	Area   string `json:"area"` // kernel, store or containerd
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
}

// Options say what to look at.
type Options struct {
	Root       string // of the store; it, or the nearest directory above it, is tried
	Socket     string // of our daemon
	Containerd string // socket of containerd
	Binary     string // containerd, if its socket does not answer; "": the one in PATH
	Version    string // of containerd; "": it is asked
}

// Report is what was found.
type Report struct {
	Checks  []Check `json:"checks"`
	Version string  `json:"containerd,omitempty"` // "": not found
	Config  string  `json:"containerdConfig,omitempty"`
	Snippet string  `json:"snippet,omitempty"`
}

// Bad tells whether containers cannot run.
func (r *Report) Bad() bool {
	for _, c := range r.Checks {
		if c.State == Failed {
			return true
		}
	}
	return false
}

// askTime is how long containerd and our daemon may take to answer.
const askTime = 3 * time.Second

// Examine tries everything.
func Examine(ctx context.Context, o Options) Report {
	r := &Report{}
	r.kernel(o)
	r.files(o)
	r.containerd(ctx, o)
	r.daemon(ctx, o)
	return *r
}

func (r *Report) add(area, name string, s State, detail string) {
	r.Checks = append(r.Checks, Check{area, name, s, detail})
}

// try adds the outcome of a trial: fine if err is nil, else how bad that is and what it means.
func (r *Report) try(area, name string, err error, bad State, fine, means string) {
	if err == nil {
		r.add(area, name, OK, fine)
		return
	}
	r.add(area, name, bad, means+" ("+err.Error()+")")
}
