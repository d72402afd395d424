// igzip PASSES FILE: prints the shortest CPU time of a pass of libisal over a gzip file in memory, in nanoseconds, and
// how many bytes it decoded. What decode.go does for decoders in Go.
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BUFFER (256 << 10)

static unsigned char out[BUFFER];
static struct inflate_state state;

// decode returns how many bytes the members in data decode to, -1 if they are damaged.
static long decode(unsigned char *data, long size)
{
	long total = 0;
	isal_inflate_init(&state);
	state.next_in = data;
	state.avail_in = size;
	while (state.avail_in > 0) {
		isal_inflate_reset(&state);
		state.crc_flag = ISAL_GZIP;
		do {
			state.next_out = out;
			state.avail_out = BUFFER;
			if (isal_inflate(&state) != ISAL_DECOMP_OK)
				return -1;
			total += BUFFER - state.avail_out;
		} while (state.block_state != ISAL_BLOCK_FINISH && (state.avail_in > 0 || state.avail_out == 0));
		if (state.block_state != ISAL_BLOCK_FINISH)
			return -1;
	}
	return total;
}

static long cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

int main(int argc, char **argv)
{
	FILE *f = argc == 3 ? fopen(argv[2], "rb") : NULL;
	if (!f || fseek(f, 0, SEEK_END))
		return 2;
	long size = ftell(f), best = 0, n = 0;
	unsigned char *data = malloc(size);
	rewind(f);
	if (!data || fread(data, 1, size, f) != (size_t)size)
		return 2;
	for (int i = atoi(argv[1]); i > 0; i--) {
		long start = cpu();
		n = decode(data, size);
		long d = cpu() - start;
		if (!best || d < best)
			best = d;
	}
	printf("%ld %ld\n", best, n);
	return n < 0;
}
