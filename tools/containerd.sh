#!/usr/bin/env bash
# containerd.sh PREFIX [VERSION...]: containerd, its runc shim and ctr of each version (default: those that the tests
# know) as PREFIX/VERSION/bin/*. Judges and peers of the tests, never a dependency of the product.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
prefix=$(mkdir -p "${1:?containerd.sh PREFIX [VERSION...]}" && cd "$1" && pwd); shift
[ $# -gt 0 ] || set -- 2.4.2 2.3.7 1.7.35
for version in "$@"; do
  module=github.com/containerd/containerd/v2
  case $version in 1.*) module=github.com/containerd/containerd ;; esac
  if [ ! -x "$prefix/$version/bin/ctr" ]; then
    rm -rf "$prefix/$version.new"
    # Built-in features that no test uses and that would need C libraries are left out.
    TAGS="no_btrfs no_devmapper no_zfs" LDFLAGS="-X $module/version.Version=v$version" \
      "$here/go-module.sh" "$module@v$version" "$prefix/$version.new/bin" ./cmd/containerd ./cmd/containerd-shim-runc-v2 ./cmd/ctr
    mv "$prefix/$version.new" "$prefix/$version"
  fi
  "$prefix/$version/bin/containerd" --version
done
