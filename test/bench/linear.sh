#!/usr/bin/env bash
# linear.sh: what a conversion costs as layers grow; every layer is made on the fly.
#
#   one directory, and directories of 1000, of 1k 10k 100k 1M files: time and memory per entry
#   one sparse file of 100 GiB; a layer of 20 GiB from a pipe: no cliff, memory as promised
#
# Fails if the cost of an entry differs by more than 40 % between the sizes, or if the peak RSS is above
# 64 MiB + 400 bytes per entry. Entry costs are above that of an empty layer. LAMINA, BENCH_WORK as in run.sh;
# MAX (1000000) and BIG (20G) make it smaller; mkfs.erofs is timed beside it up to PEER (20000) entries.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lamina=${LAMINA:-$root/bin/lamina}
peer=${LAMINA_JUDGES:-$root/.cache/judges/bin}/mkfs.erofs
mkdir -p "${BENCH_WORK:-$root/.cache}"
work=$(mktemp -d -p "${BENCH_WORK:-$root/.cache}" lamina-linear-XXXXXX)
trap 'rm -rf "$work"' EXIT
( cd "$root" && go build -o "$work/genlayer" ./test/bench/genlayer )
MAX=${MAX:-1000000} BIG=${BIG:-20G} PEER=${PEER:-20000}
failed=0

# timed REPEATS COMMAND...: sets wall (us), cpu (us) and rss (KiB)
timed() {
	local n=$1 said; shift
	said=$(python3 "$here/measure.py" "$n" "$work/out" "$@")
	read -r wall cpu rss <<<"$said"
}

# per_entry KIND: the table of one kind; the CPU time is what is compared, a disk has other worries
per_entry() {
	local kind=$1 n base first= each limit note
	"$work/genlayer" "$kind" 0 >"$work/in.tar"
	timed 15 "$lamina" build -q -o "$work/out" "$work/in.tar"; base=$cpu
	printf '\n### %s\n\n| entries | wall ms | CPU ms | CPU us per entry | RSS MiB | RSS bytes per entry | mkfs.erofs wall ms |\n|--:|--:|--:|--:|--:|--:|--:|\n' "$kind"
	for n in 1000 10000 100000 1000000; do
		[ "$n" -le "$MAX" ] || break
		"$work/genlayer" "$kind" "$n" >"$work/in.tar"
		timed $((n < 100000 ? 15 : 3)) "$lamina" build -q -o "$work/out" "$work/in.tar"
		each=$(awk "BEGIN { printf \"%.2f\", ($cpu - $base) / $n }")
		local our_wall=$wall our_cpu=$cpu our_rss=$rss
		limit=$(( 64 * 1024 + 400 * n / 1024 ))
		note=
		if [ "$n" -le "$PEER" ] && [ -x "$peer" ]; then
			timed 1 "$peer" --tar=f --aufs --quiet -Enoinline_data "$work/out" "$work/in.tar"; note=$((wall / 1000))
		fi
		printf '| %d | %d | %d | %s | %d | %d | %s |\n' "$n" $((our_wall / 1000)) $((our_cpu / 1000)) "$each" $((our_rss / 1024)) $((our_rss * 1024 / n)) "$note"
		[ "$our_rss" -le "$limit" ] || { echo "peak RSS of $our_rss KiB is above $limit KiB"; failed=1; }
		# what an entry of the smallest layer costs is mostly what any layer costs
		[ "$n" -gt 1000 ] || continue
		first=${first:-$each}
		awk "BEGIN { r = $each / $first; exit !(r < 1.4 && r > 1 / 1.4) }" || { echo "an entry costs $each us, with 10000 entries $first us"; failed=1; }
	done
}

echo "## Growth"
per_entry dir
per_entry tree

printf '\n### large\n\n| layer | wall s | CPU s | RSS MiB | image MiB |\n|---|--:|--:|--:|--:|\n'
bounded() { # name
	printf '| %s | %s | %s | %d | %d |\n' "$1" "$(awk "BEGIN { print $wall / 1e6 }")" "$(awk "BEGIN { print $cpu / 1e6 }")" $((rss / 1024)) $(($(stat -c %s "$work/out") >> 20))
	[ "$rss" -le $((64 * 1024 + 1024)) ] || { echo "peak RSS of $rss KiB is above 65 MiB"; failed=1; }
	rm -f "$work/out"
}
"$work/genlayer" sparse $((100 << 30)) >"$work/in.tar"
timed 1 "$lamina" build -q -o "$work/out" "$work/in.tar"; bounded "sparse file of 100 GiB"
rm -f "$work/in.tar"
export lamina work
for size in 1G "$BIG"; do
	bytes=$(numfmt --from=iec "$size")
	timed 1 bash -c '"$work/genlayer" big "$0" | exec "$lamina" build -q -o "$work/out" -' "$bytes"; bounded "$size through a pipe"
done
exit $failed
