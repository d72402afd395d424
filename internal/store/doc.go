// Package store keeps EROFS images, one per layer, and the records of snapshots that refer to them, through
// crashes and for several processes at once.
package store
