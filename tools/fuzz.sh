#!/usr/bin/env bash
# fuzz.sh TIME [PACKAGE...]: every fuzz target of the packages (default: all) for TIME each, one after the other.
# Minimizing an interesting input of kilobytes would take the whole time otherwise.
# A finding lies under testdata/fuzz of its package: check it in with the repair.
set -euo pipefail
time=$1; shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
findings=0
for pkg in $(go list "${@:-./...}"); do
  for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
    echo "== $pkg $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 20x "$pkg" 2>&1 | tee "$log" && continue
    # The go command sometimes reports its own deadline as a failure; it is none without a failing input.
    grep -q 'Failing input written' "$log" || { grep -q 'context deadline exceeded' "$log" && continue; }
    findings=$((findings + 1))
  done
done
[ $findings = 0 ] || { echo "fuzz.sh: $findings targets failed" >&2; exit 1; }
