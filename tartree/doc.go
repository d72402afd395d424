// Package tartree reads tar archives, as OCI layers are, into a tree, and writes a tree as a tar.
//
// An archive is a chain of 512-byte blocks: for each entry a header block, then the payload padded to
// whole blocks; two blocks of zeros end it. Extended headers ('x', 'g', 'L', 'K') are entries whose
// payload describes the next real entry.
//
//	off len  header field             off len  ustar and PAX        GNU ("ustar  \0")
//	  0 100  name                     257   6  magic "ustar\0"      257   8  magic
//	100   8  mode      octal or       263   2  version "00"
//	108   8  uid       base-256       265  32  user name            265  32  user name
//	116   8  gid                      297  32  group name           297  32  group name
//	124  12  size                     329   8  device major         329   8  device major
//	136  12  mtime                    337   8  device minor         337   8  device minor
//	148   8  checksum  octal          345 155  prefix of the name   345  24  atime, ctime
//	156   1  type                                                   386  96  sparse map: 4 x (offset, length)
//	157 100  link name                                              482   1  more of the map follows
//	                                                                483  12  size with holes
//
// # Which reading of an archive is the right one
//
// Layers are unpacked by containerd, so an archive that means something to containerd (archive/tar and
// its archive.Apply) means the same here. Where those refuse, Read refuses or does what GNU tar does;
// it never keeps silent about an entry that it drops (Options.Warn).
//
//   - Names are cleaned lexically, then every symbolic link in the path of the parent is followed
//     within the tree; nothing leaves the root. An entry for the root itself sets its metadata.
//   - Directories without an entry of their own are 0755, 0:0, modified at 0 (1970), and Implied: the
//     archive says nothing about them and the result must not depend on the clock.
//   - Of entries with the same name the last wins; a directory over a directory keeps the children
//     and takes the metadata, its extended attributes are added.
//   - A hard link names the node that its target is at that moment, also when the target's name is
//     given to something else later. Metadata and size of the link's header are ignored. A target that
//     is missing, or a directory, is an error.
//   - PAX: an empty value takes a record back; the last record of a name wins. Global headers hold
//     until the next global header. An extended header that another one follows is an error: readers
//     disagree about it.
//   - Hard links, symbolic links, devices, fifos and directories have no payload whatever their size
//     field says. Types '0', NUL, '7' and 'S' are files ('V' is skipped, 'D' is a directory); a type
//     nobody knows is an error.
//   - Whiteouts see Whiteouts. A whiteout hides what the archive had under the name before, and a
//     directory that comes after its own whiteout is opaque.
//   - The archive ends with two blocks of zeros, one at the end of the stream, or the end of the
//     stream between two entries. What follows is not looked at, unless Options.Concatenated.
package tartree
