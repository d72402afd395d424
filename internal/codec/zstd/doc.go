// Package zstd decodes Zstandard frames, RFC 8878, of a known length, and encodes as much as fits into one.
package zstd
