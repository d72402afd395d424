package mount

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// OverlayOptions describe an overlay of directories that exist.
type OverlayOptions struct {
	Lowers  []string // the highest first; 1 to MaxLayers, 2 if there is no Upper
	Upper   string   // directory that takes what is written; "": read-only
	Work    string   // directory on the file system of Upper; needed with Upper
	Options []string // any further ones, "key" or "key=value", as mount(8) takes them: "index=off", "userxattr", "nodev"
	IDMap   *IDMap   // owners of the lower directories are seen through it; nil: as they are
	Source  string   // what the mount table shows as source; "": "lamina"
}

func (o *OverlayOptions) validate(target string) error {
	switch {
	case target == "":
		return errors.New("mount: overlay: no target")
	case len(o.Lowers) == 0 || len(o.Lowers) > MaxLayers:
		return fmt.Errorf("mount: overlay at %s: %d lower directories: overlayfs takes 1 to %d", target, len(o.Lowers), MaxLayers)
	case len(o.Lowers) == 1 && o.Upper == "":
		return fmt.Errorf("mount: overlay at %s: one lower directory and no upper one: overlayfs joins, use a bind mount", target)
	case (o.Upper == "") != (o.Work == ""):
		return fmt.Errorf("mount: overlay at %s: an upper and a work directory need each other", target)
	}
	return nil
}

func (o *OverlayOptions) source() string {
	if o.Source == "" {
		return "lamina"
	}
	return o.Source
}

var escape = strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`)

// Strings are the options as mount(2) takes them: the further ones, then workdir=, upperdir= and lowerdir= with the
// commas, colons and backslashes of their paths escaped. IDMap and Source are not among them.
func (o OverlayOptions) Strings() []string {
	list := make([]string, 0, len(o.Options)+3)
	for _, opt := range o.Options {
		list = append(list, quoted(opt))
	}
	if o.Upper != "" {
		list = append(list, "workdir="+escape.Replace(o.Work), "upperdir="+escape.Replace(o.Upper))
	}
	lowers := make([]string, len(o.Lowers))
	for i, l := range o.Lowers {
		lowers[i] = escape.Replace(l)
	}
	return append(list, "lowerdir="+strings.Join(lowers, ":"))
}

// OptionsFit tells whether mount(2) takes the options: joined with commas and ended, they must fit a page.
func OptionsFit(options []string) bool {
	n := len(options) // commas and the end
	for _, o := range options {
		n += len(o)
	}
	return n <= os.Getpagesize()
}

// SELinux contexts have commas; mount(2) takes them in quotes, fsconfig(2) as they are.
func isContext(option string) bool {
	key, _, _ := strings.Cut(option, "=")
	return key == "context" || key == "fscontext" || key == "defcontext" || key == "rootcontext"
}

func quoted(option string) string {
	if key, value, _ := strings.Cut(option, "="); isContext(option) && strings.Contains(value, ",") && !strings.HasPrefix(value, `"`) {
		return key + `="` + value + `"`
	}
	return option
}

func unquoted(option string) string {
	if key, value, _ := strings.Cut(option, "="); isContext(option) && len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		return key + "=" + value[1:len(value)-1]
	}
	return option
}
