package mount

// ImageOptions are those of a file system image for what a container writes.
type ImageOptions struct {
	UUID string // of the file system; "": random
}

// Usage is what files take.
type Usage struct {
	Bytes  int64
	Inodes int64
}
