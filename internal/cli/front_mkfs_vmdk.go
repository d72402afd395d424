package cli

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// vmdkSectors is how many sectors of 512 bytes an extent of a VMDK may have.
const vmdkSectors = 2 << 30 / 512

// checkVMDKNames tells before anything is made whether a descriptor can name all files.
func (f *mkfsFront) checkVMDKNames() error {
	for _, name := range append([]string{f.job.output}, f.sources...) {
		if f.vmdk != "" && strings.ContainsAny(name, "\"\r\n") {
			return usagef("--vmdk-desc: %q: a name with a quote or a line break cannot be in one", name)
		}
	}
	return nil
}

// checkVMDKDevices tells before anything is written whether the devices of an index can follow each other on a disk.
func (f *mkfsFront) checkVMDKDevices() error {
	o := &f.job.options.Mkfs
	for i, d := range o.Devices {
		if f.vmdk != "" && d.Size%int64(o.BlockSize) != 0 {
			return fmt.Errorf("%s: %d bytes: no multiple of the block size (%d), which a disk of several files needs", f.sources[i], d.Size, o.BlockSize)
		}
	}
	return nil
}

// writeVMDK writes a descriptor of one disk that is the image with its sources behind it, if it refers to them: what a
// virtual machine mounts without devices, by the unified address space. r is what was made.
func (e *env) writeVMDK(f *mkfsFront, r *buildResult) error {
	o := &f.job.options.Mkfs
	var extents strings.Builder
	sectors := int64(0)
	add := func(path string, size int64) {
		all := size / 512
		for at := int64(0); at < all; at += vmdkSectors {
			fmt.Fprintf(&extents, "RW %d FLAT \"%s\" %d\n", min(all-at, vmdkSectors), path, at)
		}
		sectors += all
	}
	add(f.job.output, r.Size)
	for i, d := range o.Devices {
		add(f.sources[i], d.Size)
	}
	out, err := e.create(f.vmdk)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // after Commit it does nothing
	const cylinder = 16 * 63           // heads and sectors of the geometry that every disk claims
	id := binary.BigEndian.Uint32(r.UUID[:])
	_, err = fmt.Fprintf(out, `# Disk DescriptorFile
version=1
CID=%08x
parentCID=ffffffff
createType="twoGbMaxExtentFlat"

# Extent description
%s
# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "%d"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "ide"
`, id, extents.String(), (sectors+cylinder-1)/cylinder)
	if err != nil {
		return err
	}
	return out.Commit()
}
