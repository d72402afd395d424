// Package snapshotter implements containerd's snapshots on the store: layers are EROFS images that are mounted
// once, and a container is an overlay on them.
//
// # Life of a snapshot
//
//	Prepare, View ─► record and directory, one transaction ─► upper directory, mounts
//	   │  the store has the layer already: committed at once (ErrAlreadyExists), or staged (read-only)
//	   ▼
//	Commit ─► blob: linked by the differ, or made of the upper directory, durable
//	          ─► record becomes committed, one transaction ─► directory removed
//	Remove ─► record and link removed, one transaction
//	Cleanup ─► what has no record any more: directories, mounts, blobs
//
// Nothing is remembered between two calls but what is in the store, on disk and in the kernel. What is
// missing after a crash (a directory, a mount) is made again by Mounts.
//
// # Mounts
//
//	host     snapshot                                 mount returned
//	         active, no parent                        bind <id>/fs
//	         active, no parent, to unpack a layer     overlay on <root>/empty
//	         active                                   overlay on <root>/m/<n>...
//	         view of one layer                        bind <root>/m/<n>, ro
//	         view of several                          overlay, ro
//	         options beyond a page, or mapped owners  bind <id>/rootfs, where the overlay is mounted here
//	managed  the forms of containerd's own erofs snapshotter, see managed.go
package snapshotter
