package cli

import (
	"fmt"
)

// buildSummary is the JSON of build.
type buildSummary struct {
	Output     string `json:"output"`
	Size       int64  `json:"size"`
	Data       int64  `json:"data"`
	Metadata   int64  `json:"metadata"`
	Saved      int64  `json:"saved,omitempty"`
	Based      int64  `json:"based,omitempty"`
	DeviceSize int64  `json:"deviceSize,omitempty"`

	Bases []baseUse `json:"bases,omitempty"`

	BlockSize   int    `json:"blockSize"`
	Inodes      int64  `json:"inodes"`
	UUID        string `json:"uuid"`
	DiffID      string `json:"diffID,omitempty"`
	TarSize     int64  `json:"tarSize,omitempty"`
	Compression string `json:"compression,omitempty"`
	Entries     int64  `json:"entries,omitempty"`
	Whiteouts   int64  `json:"whiteouts,omitempty"`
	Warnings    int    `json:"warnings,omitempty"`
	Dropped     int    `json:"droppedXattrs,omitempty"`
}

func (e *env) printBuild(j *buildJob, r buildResult, asJSON bool) error {
	s := buildSummary{
		Output: j.output, Size: r.Size, Data: r.Data, Metadata: r.Metadata, Saved: r.Saved, Based: r.Based, Bases: r.bases, DeviceSize: r.DataDeviceSize,
		BlockSize: r.BlockSize, Inodes: r.Inodes, UUID: formatUUID(r.UUID),
		Warnings: r.warnings, Dropped: r.Dropped,
	}
	if r.kind == sourceStream {
		s.DiffID, s.TarSize, s.Compression = r.DiffID, r.TarSize, fmt.Sprint(r.Compression)
		s.Entries, s.Whiteouts = r.Stats.Entries, r.Stats.Whiteouts
	}
	if asJSON {
		return e.json(s)
	}
	fmt.Fprintf(e.stdout, "%s: %s, %d inodes", j.output, bytesText(s.Size), s.Inodes)
	if s.Saved > 0 {
		fmt.Fprintf(e.stdout, ", %s stored once", bytesText(s.Saved))
	}
	if s.Based > 0 {
		fmt.Fprintf(e.stdout, ", %s in bases", bytesText(s.Based))
	}
	if s.DiffID != "" {
		fmt.Fprintf(e.stdout, ", diffID %s", s.DiffID)
	}
	fmt.Fprintln(e.stdout)
	for i, b := range s.Bases {
		fmt.Fprintf(e.stdout, "  device %d: %s (%s)\n", i+1, b.Path, b.Digest)
	}
	return nil
}
