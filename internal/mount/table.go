package mount

// Entry is a line of /proc/self/mountinfo, unescaped.
type Entry struct {
	ID      int    // id of the mount; the kernel uses it again when the mount is gone
	Parent  int    // id of the mount that it lies on
	Dev     string // "major:minor" of the file system
	Root    string // the directory of the file system that is mounted
	Target  string // where
	Options string // of the mount: "ro,nosuid"
	FSType  string // "erofs", "overlay"
	Source  string // the image file, the loop device, a word
	Super   string // options of the file system: "ro,lowerdir=/a:/b"
}
