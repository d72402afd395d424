// Package fsck checks EROFS images and draws the map of their bytes.
//
// Check reports everything that is wrong with an image and goes on; it never stops at the first
// finding. What a finding can be is a closed set of codes (Codes). Map says for every byte of an image
// what it belongs to. Neither trusts a number of the image: memory is O(inodes) with a small constant
// (bitmaps and interval lists), time is O(metadata), because no byte of metadata is interpreted twice.
//
//	superblock ─ tables ─ root ─► queue of directories ─► entries ─► inodes ─ xattrs ─ data
//	                                                        │ every range is claimed:
//	                                                        ▼ metadata online, data at the end
//	                                                 overlaps, link counts, what nobody owns
package fsck

import (
	"fmt"
	"io"
)

// Severity grades a finding.
type Severity uint8

// The severities, mildest first.
const (
	Note    Severity = iota + 1 // nothing is wrong: a fact worth knowing
	Warning                     // odd or legacy, but the kernel reads what was meant
	Error                       // the kernel refuses it or reads something else than was meant
)

var severityNames = [...]string{"", "note", "warning", "error"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return "severity?"
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that Check found. Off is a byte of the device Device, -1 if no byte applies.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Device   int      `json:"device,omitempty"` // 0 is the image itself, -1 the decoded metabox
	Off      int64    `json:"off"`
	NID      uint64   `json:"nid"`            // of the inode it is about; meaningful if Inode
	Inode    bool     `json:"inode"`          // whether it is about an inode
	Path     string   `json:"path,omitempty"` // one path of the inode, "/" is the root; "" if unknown
	Got      string   `json:"got,omitempty"`  // what the image has there
	Why      string   `json:"why"`            // which rule that breaks
}

// String returns the finding in one line: severity, code, place, value, rule.
func (f Finding) String() string {
	s := fmt.Sprintf("%s: %s: ", f.Severity, f.Code)
	switch {
	case f.Device < 0:
		s += "metabox: "
	case f.Device > 0:
		s += fmt.Sprintf("device %d: ", f.Device)
	}
	if f.Off >= 0 {
		s += fmt.Sprintf("offset %d: ", f.Off)
	}
	if f.Inode {
		s += fmt.Sprintf("inode %d: ", f.NID)
	}
	if f.Path != "" {
		s += fmt.Sprintf("%q: ", f.Path)
	}
	if f.Got != "" {
		s += f.Got + ": "
	}
	return s + f.Why
}

// Device is an extra device of an image.
type Device struct {
	R    io.ReaderAt
	Size int64 // length in bytes
}

// DefaultMaxFindings bounds Report.Findings, and with it the memory that a hostile image can take.
const DefaultMaxFindings = 1000

// DefaultMaxRanges bounds the result of Map: about 300 MiB.
const DefaultMaxRanges = 4 << 20

// Options of Check and Map. The zero value checks all metadata of an image without extra devices.
type Options struct {
	// Devices are the extra devices in slot order. Without them data of a device is looked for where
	// a flattened image has it, in the image itself, and not checked if the image ends before.
	Devices []Device
	// MaxFindings bounds Report.Findings, 0 means DefaultMaxFindings, negative none. Further findings are
	// counted; errors displace notes.
	MaxFindings int
	// MaxRanges bounds the result of Map, 0 means DefaultMaxRanges.
	MaxRanges int
	// ReadData reads the data of every file, and every byte that belongs to nothing, to find what
	// the storage cannot give back, and decodes every pcluster, on all processors. A read error is the
	// error of Check. Without it only what holds metadata is decoded: directories, links and the metabox.
	ReadData bool
	// Observe is called now and then, from the goroutine that called Check.
	Observe func(Event)
}

// Event is the progress of Check.
type Event struct {
	Phase  Phase
	Inodes uint64 // checked until now
	Inos   uint64 // in all, as the superblock says; 0 if it does not
	Bytes  int64  // of file data read until now; with ReadData
}

// Phase is a part of the work of Check.
type Phase uint8

// The phases in their order.
const (
	PhaseSuper Phase = iota
	PhaseInodes
	PhaseSpace
)

var phaseNames = [...]string{"superblock", "inodes", "space"}

func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return "phase?"
}

// Report is the result of Check.
type Report struct {
	Findings []Finding `json:"findings"` // in the order of discovery
	Omitted  int       `json:"omitted"`  // findings beyond Options.MaxFindings
	Errors   int       `json:"errors"`   // all of them, the omitted too; so for the next two
	Warnings int       `json:"warnings"`
	Notes    int       `json:"notes"`
	// Unchecked says what was not looked into, for example "3 extents on devices that were not given: not
	// checked". It is no fault of the image.
	Unchecked []string `json:"unchecked,omitempty"`
	// Unwalked counts the directories and inodes that were not looked into, with all that is below.
	Unwalked uint64 `json:"-"`
	// Counts says how many findings of each code there are, the omitted too.
	Counts map[Code]int `json:"-"`
	Stats  Stats        `json:"stats"`
}

// Clean tells whether the report has no error.
func (r *Report) Clean() bool { return r.Errors == 0 }
