#!/usr/bin/env bash
# demo.sh DIR: the main job on real input, everything under DIR. Needs root, runc, mmdebstrap and bin/lamina.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1 image=$1/debian.oci.tar
[ "$(id -u)" = 0 ] || { echo "demo.sh: mounting needs root" >&2; exit 1; }
mkdir -p "$dir/mnt"
rm -rf "$dir/state"
step() { printf '\n== %s\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }
timed() { local t=$EPOCHREALTIME; show "$@"; awk -v a="$t" -v b="$EPOCHREALTIME" 'BEGIN { printf "(%.1f s)\n", b - a }'; }

if [ ! -f "$image" ]; then
  step "An OCI image archive from Debian packages: a root file system, and an application layer on top"
  show tools/oci-archive.sh "$image.part" "$dir/work"
  mv "$image.part" "$image"
fi
step "The archive"
show ls -lh "$image"
step "Its layers become EROFS images, the kernel mounts them, a program of the image runs from that root"
timed bin/lamina run --state "$dir/state" "oci-archive:$image" hello
step "A second run finds the layers converted"
timed bin/lamina run --state "$dir/state" "oci-archive:$image" sh -c 'cat /etc/issue; ls -d /usr/share/locale 2>&1; df -h / | tail -1'
step "The EROFS images: checked, inspected, and mounted by hand"
find "$dir/state" -name '*.erofs' | sort | while read -r f; do
  show ls -lh "$f"
  show bin/lamina check "$f"
  show bin/lamina inspect "$f"
  show bin/lamina mount "$f" "$dir/mnt"
  show findmnt "$dir/mnt"
  show ls "$dir/mnt"
  show bin/lamina umount "$dir/mnt"
done
