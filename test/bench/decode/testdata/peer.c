/* Decodes pclusters with the C libraries, for the benchmark beside it:
 *
 *   cc -O2 -o peer peer.c -llz4 -lzstd -llzma -ldeflate -lz
 *   peer FILE         for each line "LIBRARY REPEATS" of stdin: decodes all records of FILE so often with lz4, zstd,
 *                     lzma, deflate (libdeflate) or zlib, and prints the nanoseconds of CPU that took, and a checksum
 *
 * A record is two little-endian 32-bit lengths, of the pcluster without its padding and of its content, and the
 * pcluster. Contexts are made once and used again, which is more than fsck.erofs does.
 */
#include <libdeflate.h>
#include <lz4.h>
#include <lzma.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>
#include <zstd.h>

enum { DICT = 8 << 20, MAX_CONTENT = 16 << 20 };

static void die(const char *why) { fprintf(stderr, "peer: %s\n", why); exit(1); }

typedef int decode_fn(char *dst, uint32_t n, char *src, uint32_t len);

/* Some blocks hold more than the file has of them; the first look finds that out. */
static int lz4(char *dst, uint32_t n, char *src, uint32_t len) {
	return LZ4_decompress_safe(src, dst, len, n) == (int)n || LZ4_decompress_safe_partial(src, dst, len, n, n) == (int)n;
}

static int zstd(char *dst, uint32_t n, char *src, uint32_t len) {
	static ZSTD_DCtx *ctx;
	if (!ctx) ctx = ZSTD_createDCtx();
	return ZSTD_decompressDCtx(ctx, dst, n, src, len) == n;
}

static int lzma(char *dst, uint32_t n, char *src, uint32_t len) {
	static lzma_stream s = LZMA_STREAM_INIT;
	if (lzma_microlzma_decoder(&s, len, n, 0, DICT) != LZMA_OK) return 0;
	s.next_in = (uint8_t *)src, s.avail_in = len, s.next_out = (uint8_t *)dst, s.avail_out = n;
	lzma_ret r = lzma_code(&s, LZMA_FINISH);
	return s.avail_out == 0 && (r == LZMA_STREAM_END || r == LZMA_OK || r == LZMA_BUF_ERROR);
}

static int deflate_(char *dst, uint32_t n, char *src, uint32_t len) {
	static struct libdeflate_decompressor *d;
	if (!d) d = libdeflate_alloc_decompressor();
	size_t used, got;
	return libdeflate_deflate_decompress_ex(d, src, len, dst, n, &used, &got) == LIBDEFLATE_SUCCESS && got == n;
}

static int zlib(char *dst, uint32_t n, char *src, uint32_t len) {
	static z_stream s;
	if (!s.state && inflateInit2(&s, -15) != Z_OK) return 0;
	if (inflateReset(&s) != Z_OK) return 0;
	s.next_in = (Bytef *)src, s.avail_in = len, s.next_out = (Bytef *)dst, s.avail_out = n;
	int r = inflate(&s, Z_SYNC_FLUSH);
	return (r == Z_OK || r == Z_STREAM_END) && s.avail_out == 0;
}

static const struct { const char *name; decode_fn *fn; } libraries[] = {
	{"lz4", lz4}, {"zstd", zstd}, {"lzma", lzma}, {"deflate", deflate_}, {"zlib", zlib},
};

static char *slurp(const char *path, long *size) {
	FILE *f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END) || (*size = ftell(f)) < 0) die("the records cannot be read");
	rewind(f);
	char *b = malloc(*size + 1);
	if (!b || fread(b, 1, *size, f) != (size_t)*size) die("the records cannot be read");
	fclose(f);
	return b;
}

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

int main(int argc, char **argv) {
	if (argc != 2) die("usage: peer FILE");
	long size;
	char *file = slurp(argv[1], &size), *dst = malloc(MAX_CONTENT), name[16];
	memset(dst, 0, MAX_CONTENT);
	for (int repeats; scanf("%15s %d", name, &repeats) == 2;) {
		decode_fn *fn = NULL;
		for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
			if (!strcmp(name, libraries[i].name)) fn = libraries[i].fn;
		if (!fn) die("no such library");
		uint64_t start = now();
		uint32_t sum = 0;
		for (int r = 0; r < repeats; r++)
			for (long at = 0; at < size;) {
				uint32_t len, n;
				memcpy(&len, file + at, 4), memcpy(&n, file + at + 4, 4);
				if (n > MAX_CONTENT || !fn(dst, n, file + at + 8, len)) die("a pcluster is refused");
				sum = sum * 31 + (unsigned char)dst[n / 2] + (unsigned char)dst[n - 1];
				at += 8 + len;
			}
		printf("%llu %u\n", (unsigned long long)(now() - start), sum);
		fflush(stdout);
	}
	return 0;
}
