#!/bin/sh
# Makes the golden images anew: run in this directory as root with mkfs.erofs 1.9 in PATH.
# They are the same bytes every time, and small: blocks of 512 bytes, one of everything.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
src=$work/src
mkdir -p "$src/dir/deeper" "$src/empty"
printf hello >"$src/hello"
: >"$src/nothing"
seq 1 180 >"$src/dir/plain"       # one block and a tail
seq 1 200 | head -c 512 >"$src/dir/block"
ln -s hello "$src/link"
ln -s ../dir/block "$src/dir/up"
ln -s /dir/deeper "$src/absolute"
ln "$src/hello" "$src/dir/deeper/hard"
mknod "$src/dir/char" c 5 300
mknod "$src/dir/block8" b 8 1
mkfifo "$src/dir/fifo"
for k in $(seq 10 40); do : >"$src/dir/deeper/entry-$k"; done
printf 'data at 3000' | dd of="$src/sparse" bs=1 seek=3000 conv=notrunc status=none
truncate -s 6000 "$src/sparse"
setfattr -n user.one -v 1 "$src/hello" "$src/dir/plain" "$src/dir"
setfattr -n user.long.infix.two -v 22 "$src/hello"
setfattr -n trusted.overlay.opaque -v y "$src/empty"
chown 70000:5 "$src/dir/plain"
chmod 4755 "$src/hello"
find "$src" -depth -exec touch -h -d @1600000000 {} +
make() {
	out=$1
	shift
	mkfs.erofs --quiet -T1600000000 -U 00000000-0000-0000-0000-000000000001 -b512 "$@" "$work/image" "$src"
	gzip -9nc "$work/image" >"$out.erofs.gz"
	rm "$work/image"
}
make flat -x1 --xattr-prefix=user.long. -Exattr-name-filter
make chunks --chunksize=512 -Enosbcrc
make wide -E48bit,dot-omitted,nosbcrc
make packed -zlz4 -Efragments,ztailpacking,nosbcrc

# Compressed images of all kinds: what compresses, what does not, both in one file, twice the same.
seq 1 4000 >"$src/dir/numbers"
seq 1 2000 | gzip -9n >"$src/dir/noise"
cat "$src/dir/noise" "$src/dir/numbers" "$src/dir/noise" >"$src/dir/mixed"
tail -c 12345 "$src/dir/numbers" >"$src/dir/end"
find "$src" -depth -exec touch -h -d @1600000000 {} +
make compact -zlz4 -Enosbcrc
make big -zlz4hc,12 -C4096 -Enosbcrc,legacy-compress
make tails -zdeflate,9 -C2048 -Enosbcrc,ztailpacking
make shared -zzstd,19 -C2048 -Enosbcrc,dedupe,all-fragments
make extents -zzstd,19 -C4096 -Enosbcrc,48bit,fragments
make box -zlzma -C4096 -m4096 --zD=0 -Enosbcrc,all-fragments
