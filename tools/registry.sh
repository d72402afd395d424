#!/usr/bin/env bash
# registry.sh PREFIX: the registry of the distribution project as PREFIX/registry: what the tests push to and pull from.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=3.1.2 prefix=${1:?registry.sh PREFIX}
if [ ! -x "$prefix/registry" ]; then
  # Storage of cloud providers, half of what there would be to compile, is left out.
  EDIT='sed -i -E "/driver\/(azure|gcs|s3-aws|middleware)/d" cmd/registry/main.go' \
    LDFLAGS="-X github.com/distribution/distribution/v3/version.version=v$version" \
    "$here/go-module.sh" "github.com/distribution/distribution/v3@v$version" "$prefix" ./cmd/registry
fi
"$prefix/registry" --version
