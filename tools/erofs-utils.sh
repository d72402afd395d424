#!/usr/bin/env bash
# erofs-utils.sh PREFIX: mkfs.erofs, fsck.erofs and dump.erofs of Debian sid (1.9 or newer) as PREFIX/bin/*, with their
# own loader and libraries. They are judges and peers, never a dependency of the product.
set -euo pipefail
prefix=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
[ -x "$prefix/root/usr/bin/mkfs.erofs" ] || "$here/debs.sh" sid "$prefix/root" erofs-utils
loader=$(find "$prefix/root/usr/" -name 'ld-linux*.so.*' | head -1)
libs=$(dirname "$(find "$prefix/root/usr/lib" -name 'libc.so.6' | head -1)")
mkdir -p "$prefix/bin"
for tool in mkfs.erofs fsck.erofs dump.erofs; do
  printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$loader" "$libs" "$prefix/root/usr/bin/$tool" >"$prefix/bin/$tool"
  chmod +x "$prefix/bin/$tool"
done
"$prefix/bin/mkfs.erofs" -V | head -1
