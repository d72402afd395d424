#!/usr/bin/env bash
# registry.sh PREFIX: the registry of the distribution project as PREFIX/registry: what the tests push to and pull from.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=3.1.2 prefix=${1:?registry.sh PREFIX}
if [ ! -x "$prefix/registry" ]; then
  LDFLAGS="-X github.com/distribution/distribution/v3/version.version=v$version" \
    "$here/go-module.sh" "github.com/distribution/distribution/v3@v$version" "$prefix" ./cmd/registry
fi
"$prefix/registry" --version
