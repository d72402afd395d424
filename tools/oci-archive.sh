#!/usr/bin/env bash
# oci-archive.sh OUT.tar WORKDIR: an OCI image archive of two layers, made of Debian packages:
#   1. a Debian root file system by mmdebstrap (gzip),
#   2. an application on top: a new file, a replaced one, a whiteout of a directory (gzip).
# Its config has the environment, working directory and entry point that `docker build` would have written.
# Needs root and mmdebstrap; takes the archives that apt is configured to use.
set -euo pipefail
out=$1 work=$2
export LC_ALL=C SOURCE_DATE_EPOCH=1767225600
layout=$work/layout
rm -rf "$work"; mkdir -p "$layout/blobs/sha256" "$work/app"

suite=$(. /etc/os-release; echo "$VERSION_CODENAME")
sources() { # the Debian archives of this machine as one-line sources
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT) #$(ORIGIN)' 'Created-By: Packages' |
    sed -n 's/ #Debian.*$//p' | sort -u
}
layer() { # NAME: compresses $work/NAME.tar, stores it as a blob, sets diff_NAME, digest_NAME, size_NAME
  gzip -n -c "$work/$1.tar" >"$work/$1.gz"
  printf -v "diff_$1" %s "$(sha256sum <"$work/$1.tar" | cut -d' ' -f1)"
  blob "$1" "$work/$1.gz"
}
blob() { # NAME FILE: moves the file into the layout, sets digest_NAME and size_NAME
  local digest; digest=$(sha256sum <"$2" | cut -d' ' -f1)
  printf -v "digest_$1" %s "$digest"
  printf -v "size_$1" %s "$(stat -c %s "$2")"
  mv "$2" "$layout/blobs/sha256/$digest"
}

[ -n "$(sources)" ] || apt-get -qq update
sources | mmdebstrap --quiet --variant=minbase --dpkgopt='path-exclude=/usr/share/doc/*' "$suite" "$work/base.tar" -
layer base

mkdir -p "$work/app/usr/local/bin" "$work/app/etc" "$work/app/usr/share"
cat >"$work/app/usr/local/bin/hello" <<'EOT'
#!/bin/sh
echo "hello from $(. /etc/os-release; echo "$PRETTY_NAME"), root file system: $(awk '$2 == "/" { print $3 }' /proc/mounts)"
EOT
chmod 755 "$work/app/usr/local/bin/hello"
echo 'Lamina demo \n \l' >"$work/app/etc/issue"
: >"$work/app/usr/share/.wh.locale"
tar --format=pax --pax-option=delete=atime,delete=ctime --sort=name --numeric-owner --owner=0 --group=0 \
  --mtime=@$SOURCE_DATE_EPOCH -C "$work/app" -cf "$work/app.tar" etc usr
layer app

arch=$(dpkg --print-architecture)
cat >"$work/config.json" <<EOT
{"architecture":"$arch","os":"linux","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","LAMINA_DEMO=yes"],"Cmd":["hello"],"WorkingDir":"/root"},"rootfs":{"type":"layers","diff_ids":["sha256:$diff_base","sha256:$diff_app"]},"history":[{"created_by":"mmdebstrap $suite"},{"created_by":"application"}]}
EOT
blob config "$work/config.json"
oci=application/vnd.oci.image
cat >"$work/manifest.json" <<EOT
{"schemaVersion":2,"mediaType":"$oci.manifest.v1+json","config":{"mediaType":"$oci.config.v1+json","digest":"sha256:$digest_config","size":$size_config},"layers":[{"mediaType":"$oci.layer.v1.tar+gzip","digest":"sha256:$digest_base","size":$size_base},{"mediaType":"$oci.layer.v1.tar+gzip","digest":"sha256:$digest_app","size":$size_app}]}
EOT
blob manifest "$work/manifest.json"
cat >"$layout/index.json" <<EOT
{"schemaVersion":2,"mediaType":"$oci.index.v1+json","manifests":[{"mediaType":"$oci.manifest.v1+json","digest":"sha256:$digest_manifest","size":$size_manifest,"annotations":{"org.opencontainers.image.ref.name":"demo"}}]}
EOT
echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
tar --format=pax --sort=name --numeric-owner --owner=0 --group=0 -C "$layout" -cf "$out" oci-layout index.json blobs
rm -rf "$work"
