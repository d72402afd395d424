#!/usr/bin/env bash
# fuzz.sh TIME [PACKAGE...]: every fuzz target of the packages (default: all) for TIME each, one after the other.
set -euo pipefail
time=$1; shift
for pkg in $(go list "${@:-./...}"); do
  for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
    echo "== $pkg $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$pkg"
  done
done
