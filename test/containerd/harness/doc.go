//go:build linux

// Package harness runs real daemons for tests and benchmarks: containerd of a version, `lamina serve`, a registry,
// each on paths below one private directory, and images of layers made here.
//
// A Bench owns a directory. What is started on it ends with Close, in reverse order, and Close reports what is still
// there afterwards: processes, mounts and loop devices below the directory. Nothing outside of the directory is used
// but what the daemons have built in: sockets of shims below /run/containerd/s and cgroups, which Close removes.
package harness
