#!/usr/bin/env bash
# install-debs.sh PACKAGE...: installs the Debian packages that are missing, and sees to it that apt has its lists, which
# the makers of corpora and images need. Root is needed only if something is missing.
set -euo pipefail
missing=()
for p in "$@"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || missing+=(apt)
[ ${#missing[@]} -gt 0 ] || exit 0
[ "$(id -u)" = 0 ] || { echo "install-debs.sh: missing packages, run as root: apt-get install ${missing[*]}" >&2; exit 1; }
echo "apt-get install ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
