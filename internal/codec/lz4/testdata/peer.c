/* Runs liblz4 for the tests and the benchmark of this package: cc -O2 -o peer peer.c -ldl
 *
 *   peer decode               records from stdin, each checked and decoded by LZ4_decompress_safe, content to stdout
 *   peer encode LEVEL OUT     stdin into blocks of OUT bytes at most, as records to stdout; level -1: not HC
 *   peer bench FILE BYTES     for each line "LEVEL OUT" of stdin: encodes the start of FILE, decodes it; prints the
 *                             nanoseconds of CPU for both, and the bytes of the blocks
 *
 * A record is two little-endian 32-bit lengths, of the block and of its content, and the block.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WINDOW = 4 << 20, BLOCK = 1 << 20 };

static int (*dest_size)(const char *, char *, int *, int);
static int (*hc_dest_size)(void *, const char *, char *, int *, int, int);
static int (*decompress)(const char *, char *, int, int);
static void *state;

static void die(const char *why) { fprintf(stderr, "peer: %s\n", why); exit(1); }

static void *symbol(void *lib, const char *name) {
	void *s = dlsym(lib, name);
	if (!s) die(name);
	return s;
}

static void load(void) {
	void *lib = dlopen("liblz4.so.1", RTLD_NOW);
	if (!lib) exit(77);
	dest_size = symbol(lib, "LZ4_compress_destSize");
	hc_dest_size = symbol(lib, "LZ4_compress_HC_destSize");
	decompress = symbol(lib, "LZ4_decompress_safe");
	int (*size)(void) = symbol(lib, "LZ4_sizeofStateHC");
	state = malloc(size());
}

static int encode(const char *src, long left, char *dst, int out, int level, int *consumed) {
	*consumed = left < WINDOW ? left : WINDOW;
	int n = level < 0 ? dest_size(src, dst, consumed, out) : hc_dest_size(state, src, dst, consumed, out, level);
	if (n <= 0 || *consumed <= 0) die("a block is refused");
	return n;
}

static char *slurp(FILE *f, long *size, long most) {
	char *b = malloc(most);
	*size = fread(b, 1, most, f);
	return b;
}

static long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void decode_all(void) {
	static char block[BLOCK + 1];
	uint32_t len[2];
	while (fread(len, 4, 2, stdin) == 2) {
		if (len[0] > BLOCK || fread(block, 1, len[0], stdin) != len[0]) die("a record is cut off");
		char *content = malloc(len[1] + 1);
		if (decompress(block, content, len[0], len[1]) != (int)len[1]) die("a block is corrupt");
		fwrite(content, 1, len[1], stdout);
		free(content);
	}
}

static void encode_all(int level, int out) {
	static char block[BLOCK];
	long size;
	char *src = slurp(stdin, &size, 1L << 28);
	for (long pos = 0; pos < size;) {
		int consumed, n = encode(src + pos, size - pos, block, out, level, &consumed);
		uint32_t len[2] = {n, consumed};
		fwrite(len, 4, 2, stdout);
		fwrite(block, 1, n, stdout);
		pos += consumed;
	}
}

static void bench(const char *file, long most) {
	FILE *f = fopen(file, "rb");
	if (!f) die(file);
	long size;
	char *src = slurp(f, &size, most), *dst = malloc(2 * size + BLOCK), *back = malloc(WINDOW);
	memset(dst, 1, 2 * size + BLOCK);
	int *len = malloc(sizeof(int) * (size / 64 + 16)), level, out;
	while (scanf("%d %d", &level, &out) == 2) {
		long total = 0, t0 = now();
		int k = 0;
		for (long pos = 0; pos < size; k += 2) {
			len[k] = encode(src + pos, size - pos, dst + total, out, level, &len[k + 1]);
			pos += len[k + 1];
			total += len[k];
		}
		long t1 = now(), at = 0;
		for (int i = 0; i < k; at += len[i], i += 2)
			if (decompress(dst + at, back, len[i], len[i + 1]) != len[i + 1]) die("a block is corrupt");
		printf("%ld %ld %ld\n", t1 - t0, now() - t1, total);
		fflush(stdout);
	}
}

int main(int argc, char **argv) {
	load();
	if (argc == 2 && !strcmp(argv[1], "decode")) decode_all();
	else if (argc == 4 && !strcmp(argv[1], "encode")) encode_all(atoi(argv[2]), atoi(argv[3]));
	else if (argc == 4 && !strcmp(argv[1], "bench")) bench(argv[2], atol(argv[3]));
	else die("usage: see the source");
	return 0;
}
