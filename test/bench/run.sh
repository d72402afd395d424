#!/usr/bin/env bash
# run.sh CORPUSDIR [bench flag...]: one interleaved run of everything; tables into .cache/bench.md and .json.
# CORPORA (default: those that are there), ROUNDS (7), FORMS (tar,gz,zst,index), BENCH_WORK (a directory on the disk to measure).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[ -d "${1:?run.sh CORPUSDIR}" ] || { echo "run.sh: $1: no corpora there: make corpus" >&2; exit 1; }
corpus=$(cd "$1" && pwd); shift
cache=$root/.cache
bin=$cache/bin; mkdir -p "$bin"
cd "$root"
go build -o "$bin/peer" ./test/bench/peer
go build -o "$bin/bench" ./test/bench
go -C test/judges build -o "$bin/goerofs-build" ./goerofs-build
CORPORA=${CORPORA:-$(cd "$corpus" && for c in base golang node ai python; do [ ! -f "$c.tar" ] || echo -n "$c,"; done)}
judges=${LAMINA_JUDGES:-$root/.cache/judges/bin}
exec "$bin/bench" -corpus "$corpus" -corpora "${CORPORA%,}" -forms "${FORMS:-tar,gz,zst,index}" -rounds "${ROUNDS:-7}" \
  -work "${BENCH_WORK:-$cache}" -out "$cache/bench" -lamina "${LAMINA:-$root/bin/lamina}" \
  -peer "$bin/peer" -mkfs "$judges/mkfs.erofs" -goerofs "$bin/goerofs-build" "$@"
