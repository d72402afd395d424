#!/usr/bin/env bash
# go-module.sh MODULE@VERSION OUT PACKAGE...: builds programs of another Go module into OUT/, static, from the module
# proxy that Go is configured to use. The module is copied out of the module cache first, so its own go.mod rules
# (replacements too, which `go install` refuses) and no line of it enters our go.mod. LDFLAGS and TAGS are passed on.
set -euo pipefail
module=$1 out=$(mkdir -p "$2" && cd "$2" && pwd); shift 2
work=$(mktemp -d "${TMPDIR:-/tmp}/go-module.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work" # outside of every module: the version asked for is the version that comes
dir=$(GOWORK=off GOFLAGS=-mod=mod go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
[ -n "$dir" ] || { echo "go-module.sh: $module: no such version" >&2; exit 1; }
cp -r "$dir" src && chmod -R u+w src
cd src
rm -rf vendor # what it lists may be pruned from the module's archive
eval "${EDIT:-}"
for p in "$@"; do
  CGO_ENABLED=0 GOWORK=off go build -mod=mod -trimpath -tags "${TAGS:-}" -ldflags "-s -w ${LDFLAGS:-}" -o "$out/$(basename "$p")" "$p"
done
