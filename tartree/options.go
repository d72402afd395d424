package tartree

// Whiteouts says what becomes of the whiteouts of an OCI layer: entries called ".wh.NAME", which hide
// NAME of lower layers, and ".wh..wh..opq", which hides everything that lower layers have in its
// directory. Their payload, if any, is skipped.
type Whiteouts uint8

const (
	// Overlay turns them into the form of overlayfs: a character device 0:0 called NAME, and
	// trusted.overlay.opaque=y on the directory. A directory that holds a whiteout gets an empty
	// trusted.overlay.origin, as mkfs.erofs does: without it overlayfs shows the device nodes where the
	// directory exists in one lower layer only (Linux b79e05aaa166). What aufs left behind (.wh..wh.aufs,
	// .wh..wh.orph, .wh..wh.plnk) is dropped.
	Overlay Whiteouts = iota
	// Keep takes the names literally.
	Keep
	// Strip drops them, and character devices 0:0 and trusted.overlay.opaque that the archive itself
	// has. What a whiteout hides in its own layer is still removed.
	Strip
)

// Options of Read; the zero value works.
type Options struct {
	Whiteouts Whiteouts
	// Concatenated reads on after an end mark, up to the end of the stream, as tar --ignore-zeros does.
	Concatenated bool
	// MaxNodes bounds the files and directories, those without an entry included; 0 means DefaultMaxNodes.
	MaxNodes int
	// Warn, if set, is told of everything that Read leaves out. The Warning is the callee's to keep.
	Warn func(Warning)
	// Stats, if set, is filled also when Read fails.
	Stats *Stats
}

// DefaultMaxNodes bounds the memory that an archive can make a tree take: one entry with a deep path
// makes up to tree.MaxDepth directories of some 300 bytes.
const DefaultMaxNodes = 1 << 24

// Warning is something of an archive that Read left out.
type Warning struct {
	Off  int64  // of the entry's header in the uncompressed stream
	Name string // of the entry, as the archive has it
	Text string // what was left out and why
}

// String returns `offset 512: "usr/bin": text`.
func (w Warning) String() string { return where(w.Off, w.Name) + w.Text }

// Stats counts what Read saw.
type Stats struct {
	Entries   int64 // headers of real entries
	Files     int64 // regular files
	Links     int64 // hard links
	Whiteouts int64 // whiteouts and opaque markers
	Payload   int64 // bytes of file data, holes left out
	End       int64 // offset behind the last block that was parsed, the end mark included
	EndMark   bool  // the archive ended with a block of zeros; else it may have been cut between two entries
}
