package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/fsck"
	"github.com/laminafs/lamina/internal/disk"
)

// superInfo is the JSON of a superblock.
type superInfo struct {
	UUID       string        `json:"uuid"`
	Label      string        `json:"label,omitempty"`
	BlockSize  int64         `json:"blockSize"`
	Blocks     uint64        `json:"blocks"`
	Inodes     uint64        `json:"inodes"`
	RootNID    uint64        `json:"rootNID"`
	MetaBlock  uint32        `json:"metaBlock"`
	XattrBlock uint32        `json:"xattrBlock"`
	Epoch      time.Time     `json:"epoch"`
	Checksum   string        `json:"checksum,omitempty"`
	Features   []featureInfo `json:"features"`
	Kernel     string        `json:"kernel"` // the first that mounts it
	Devices    []deviceInfo  `json:"devices,omitempty"`
	Problems   []string      `json:"problems,omitempty"` // why no kernel mounts it
}

type featureInfo struct {
	Name       string `json:"name"`
	Compatible bool   `json:"compatible"` // a kernel that does not know it mounts the image all the same
	Kernel     string `json:"kernel,omitempty"`
	Means      string `json:"means"`
	Read       bool   `json:"read"`  // lamina reads it
	Write      bool   `json:"write"` // lamina writes it
}

type deviceInfo struct {
	Tag     string `json:"tag,omitempty"`
	Blocks  uint64 `json:"blocks"`
	UniAddr uint64 `json:"uniaddr,omitempty"`
}

// firstKernel has EROFS outside of staging.
const firstKernel = "5.4"

func superOf(s *super) superInfo {
	info := superInfo{
		UUID: formatUUID(s.UUID), Label: cString(s.VolumeName[:]), BlockSize: s.BlockSize(), Blocks: s.Blocks(), Inodes: s.Inos,
		RootNID: s.RootNID(), MetaBlock: s.MetaBlkAddr, XattrBlock: s.XattrBlkAddr,
		Epoch: time.Unix(s.Epoch, int64(s.FixedNsec)).UTC(), Kernel: firstKernel,
	}
	if s.Compat&disk.HasChecksum != 0 {
		info.Checksum = fmt.Sprintf("%#08x", s.Checksum)
	}
	for _, f := range disk.Features(&s.Superblock) {
		info.Features = append(info.Features, featureInfo{f.Name, f.Compat != 0, f.Kernel, f.Means, f.Read, f.Write})
	}
	info.Kernel = laterKernel(info.Kernel, featuresKernel(&s.Superblock))
	if s.BlockBits < pageBits {
		info.Kernel = laterKernel(info.Kernel, "6.4") // blocks smaller than a page
		if s.Algorithms() != 0 {
			info.Kernel = laterKernel(info.Kernel, "6.8") // of compressed data
		}
	}
	for _, d := range s.devices {
		info.Devices = append(info.Devices, deviceInfo{d.Tag, d.Blocks, d.UniAddr})
	}
	for _, p := range s.problems {
		info.Problems = append(info.Problems, p.Error())
	}
	return info
}

const pageBits = 12

func newInspect(e *env) *cobra.Command {
	var open openFlags
	var extents string
	var asMap, asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect [flags] IMAGE",
		Short: "Show the superblock, features, statistics, extents or byte map of an image",
		Long: `Show what an image is made of: the superblock, its features with the first kernel that knows them,
and statistics. With --extents where the data of one file is, with --map what every byte belongs to.`,
		Example: "  lamina inspect layer.erofs\n  lamina inspect --extents usr/bin/git layer.erofs\n  lamina inspect --map --json layer.erofs",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if extents != "" && asMap {
				return errBothOf("--extents", "--map")
			}
			im, err := open.files(args[0])
			if err != nil {
				return err
			}
			defer im.close()
			switch {
			case extents != "":
				err = e.inspectExtents(im, extents, asJSON)
			case asMap:
				err = e.inspectMap(im, asJSON)
			default:
				err = e.inspectAll(im, asJSON)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&extents, "extents", "", "show the extents of the file at this path")
	fs.BoolVar(&asMap, "map", false, "show all byte ranges and what they belong to")
	fs.BoolVar(&asJSON, "json", false, "print JSON")
	open.register(fs)
	return cmd
}

// fsckOptions are the devices as fsck wants them.
func (im *imageFile) fsckOptions() (o fsck.Options, err error) {
	for _, f := range im.open[1:] {
		size, err := sizeOf(f)
		if err != nil {
			return o, err
		}
		o.Devices = append(o.Devices, fsck.Device{R: f, Size: size})
	}
	return o, nil
}

func (e *env) inspectAll(im *imageFile, asJSON bool) error {
	o, err := im.fsckOptions()
	if err != nil {
		return err
	}
	report, err := fsck.Check(im.image, im.size, o)
	if err != nil {
		return err
	}
	sb, err := im.super()
	if err != nil {
		return err
	}
	info := superOf(sb)
	if asJSON {
		return e.json(struct {
			Superblock superInfo  `json:"superblock"`
			Stats      fsck.Stats `json:"stats"`
			Errors     int        `json:"errors"`
			Unchecked  []string   `json:"unchecked,omitempty"`
		}{info, report.Stats, report.Errors, report.Unchecked})
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	info.print(w)
	printStats(w, &report.Stats)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, u := range report.Unchecked {
		fmt.Fprintf(e.stdout, "not counted: %s\n", u)
	}
	if report.Errors > 0 {
		fmt.Fprintf(e.stdout, "%d errors: see lamina check\n", report.Errors)
	}
	return nil
}

func (s *superInfo) print(w io.Writer) {
	fmt.Fprintf(w, "UUID\t%s\n", s.UUID)
	if s.Label != "" {
		fmt.Fprintf(w, "label\t%s\n", printable(s.Label))
	}
	fmt.Fprintf(w, "block size\t%d\n", s.BlockSize)
	fmt.Fprintf(w, "blocks\t%d\n", s.Blocks)
	fmt.Fprintf(w, "root\tnid %d\n", s.RootNID)
	fmt.Fprintf(w, "metadata\tfrom block %d\n", s.MetaBlock)
	fmt.Fprintf(w, "epoch\t%s UTC\n", timeText(s.Epoch))
	if s.Checksum != "" {
		fmt.Fprintf(w, "checksum\t%s\n", s.Checksum)
	}
	fmt.Fprintf(w, "mounts on\tLinux %s and later\n", s.Kernel)
	for _, f := range s.Features {
		need := "since Linux " + f.Kernel
		if f.Compatible {
			need = "used by Linux " + f.Kernel + " and later"
		}
		if !f.Read {
			need += ", not read by lamina"
		}
		fmt.Fprintf(w, "feature\t%s: %s (%s)\n", f.Name, f.Means, need)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(w, "problem\t%s\n", oneLine(p))
	}
	for n, d := range s.Devices {
		fmt.Fprintf(w, "device %d\t%d blocks", n+1, d.Blocks)
		if d.UniAddr != 0 {
			fmt.Fprintf(w, ", at block %d of the image if it is in it", d.UniAddr)
		}
		if d.Tag != "" {
			fmt.Fprintf(w, ", tag %s", printable(d.Tag))
		}
		fmt.Fprintln(w)
	}
}

func printStats(w io.Writer, s *fsck.Stats) {
	for _, row := range []struct {
		name string
		n    uint64
	}{
		{"inodes", s.Inodes}, {"files", s.Files}, {"directories", s.Dirs}, {"symbolic links", s.Symlinks},
		{"devices", s.CharDevs + s.BlockDevs}, {"fifos, sockets", s.Fifos + s.Sockets}, {"hard links", s.HardLinks},
		{"largest directory", s.LargestDir}, {"depth", uint64(s.Depth)}, {"extended inodes", s.Extended},
		{"inodes with xattrs", s.WithXattrs}, {"xattrs, shared", s.SharedXattr}, {"compressed inodes", s.Compressed},
		{"pclusters", s.Pclusters}, {"fragments", s.Fragments},
	} {
		if row.n > 0 {
			fmt.Fprintf(w, "%s\t%d\n", row.name, row.n)
		}
	}
	for _, row := range []struct {
		name string
		n    int64
	}{
		{"image", s.ImageSize}, {"file sizes", s.Logical}, {"data stored", s.Stored}, {"inlined", s.InlineBytes}, {"holes", s.Holes},
		{"saved by sharing", s.Saved}, {"metadata", s.Metadata}, {"padding", s.Padding}, {"unused", s.Unused},
	} {
		if row.n > 0 {
			fmt.Fprintf(w, "%s\t%s\n", row.name, bytesText(row.n))
		}
	}
}

// extentInfo is the JSON of an extent.
type extentInfo struct {
	Logical  int64  `json:"logical"`
	Physical int64  `json:"physical"`
	Length   int64  `json:"length"`
	Stored   int64  `json:"stored"` // bytes at physical
	Device   int    `json:"device"` // 0 is the image, -1 the decoded metabox
	Hole     bool   `json:"hole,omitempty"`
	How      string `json:"how,omitempty"` // "lz4", "stored", "packed"; absent if the bytes are as they are
}

func (e *env) inspectExtents(im *imageFile, path string, asJSON bool) error {
	if err := im.read(); err != nil {
		return err
	}
	i, err := im.inodeAt(path, false)
	if err != nil {
		return err
	}
	list, err := i.Extents()
	if err != nil {
		return err
	}
	if asJSON {
		out := make([]extentInfo, 0, len(list))
		for _, x := range list {
			out = append(out, extentInfo{x.Logical, x.Physical, x.Length, x.Stored, x.Device, x.Hole, howText(x)})
		}
		return e.json(out)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "logical\tlength\tphysical\tstored\tdevice\t\t\n")
	for _, x := range list {
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t\n", x.Logical, x.Length, whereText(x), howText(x))
	}
	return w.Flush()
}

// whereText is where an extent is: the place, the length there and the device.
func whereText(x erofs.Extent) string {
	switch {
	case x.Hole:
		return "hole\t-\t-"
	case x.Packed:
		return fmt.Sprintf("%d\t-\tpacked", x.Physical)
	case x.Device == erofs.MetaboxDevice:
		return fmt.Sprintf("%d\t%d\tmetabox", x.Physical, x.Stored)
	}
	return fmt.Sprintf("%d\t%d\t%d", x.Physical, x.Stored, x.Device)
}

// howText is how the bytes of an extent are kept, "" if as they are.
func howText(x erofs.Extent) string {
	switch {
	case x.Packed:
		return "packed"
	case x.Encoded && x.Algorithm == "":
		return "stored"
	}
	return x.Algorithm
}

func (e *env) inspectMap(im *imageFile, asJSON bool) error {
	o, err := im.fsckOptions()
	if err != nil {
		return err
	}
	enc := newLineEncoder(e.stdout)
	return fsck.EachRange(im.image, im.size, o, func(r fsck.Range) error {
		if err := e.ctx.Err(); err != nil {
			return err
		}
		if asJSON {
			return enc.Encode(r)
		}
		fmt.Fprintf(e.stdout, "%12d %12d  %s", r.Off, r.Len, r.Kind)
		if r.Refs > 1 {
			fmt.Fprintf(e.stdout, " used %d times", r.Refs)
		}
		if r.Inode {
			fmt.Fprintf(e.stdout, "  nid %d", r.NID)
		}
		if r.Path != "" {
			fmt.Fprintf(e.stdout, "  %s", printable(r.Path))
		}
		fmt.Fprintln(e.stdout)
		return nil
	})
}
