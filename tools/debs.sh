#!/usr/bin/env bash
# debs.sh SUITE DEST PACKAGE...
# Extracts packages of another Debian suite, with their dependencies, under DEST. Nothing is installed, no system
# file changes. Run what it extracts through DEST's own loader: see erofs-utils.sh.
set -euo pipefail
suite=$1 dest=$2; shift 2

# mirror prints the archive that apt is configured to use.
mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/*$' ||
    { echo "debs.sh: apt has no source that ends in /debian" >&2; exit 1; }
}

run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
mkdir -p "$run/lists/partial" "$run/archives/partial" "$dest"
: >"$run/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $suite main" >"$run/sources.list"
opt=(-o Dir::Etc::sourcelist="$run/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
  -o Dir::State::lists="$run/lists" -o Dir::State::status="$run/status" -o Dir::Cache="$run" -o APT::Sandbox::User=root
  -o Acquire::Languages=none -o APT::Install-Recommends=0 -o Debug::NoLocking=1)
apt-get "${opt[@]}" -qq update
apt-get "${opt[@]}" -qq -y -d install "$@" >/dev/null
for deb in "$run"/archives/*.deb; do dpkg -x "$deb" "$dest"; done
