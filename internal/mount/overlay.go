package mount

// OverlayOptions describe an overlay of directories that exist.
type OverlayOptions struct {
	Lowers  []string // the highest first; 1 to MaxLayers
	Upper   string   // directory that takes what is written; "": read-only
	Work    string   // directory on the file system of Upper; needed with Upper
	Options []string // any further ones, "key" or "key=value", as the kernel knows them: "index=off", "userxattr"
	IDMap   *IDMap   // owners of the lower directories are seen through it; nil: as they are
	Source  string   // what the mount table shows as source; "": "lamina"
}

// Strings are the options as mount(2) takes them: lowerdir= with its paths escaped, upperdir=, workdir=, the further
// ones. IDMap is not among them.
func (o OverlayOptions) Strings() []string { return nil }

// OptionsFit tells whether mount(2) takes the options: joined, they must fit a page.
func OptionsFit(options []string) bool { return false }
