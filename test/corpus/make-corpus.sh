#!/bin/bash
# make-corpus.sh - reproducible OCI-layer-like tar corpora for benchmarks.
#
#   make-corpus.sh OUTDIR [base node ai python golang torture | small-base small-node small-golang ...]
#   (default: the first six)
#
# Produces OUTDIR/<name>.tar, .tar.gz (gzip -6 -n), .tar.zst (zstd -3) and
# OUTDIR/<name>.manifest, and OUTDIR/SHA256SUMS.  Everything is taken from the
# *configured* apt, npm and go clients; nothing is hard wired to a host.
# What is pinned: npm by --before=DATE, go by toolchain version, mtimes by
# SOURCE_DATE_EPOCH.  What drifts: Debian point releases of the configured suite
# (recorded in the manifests); so compare ratios, or keep the tars.
#
# needs: root, mmdebstrap, npm, go, python3, tar, bsdtar, gzip, zstd; the small ones: apt-get, dpkg-deb, go
set -euo pipefail
export LC_ALL=C TZ=UTC
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1767225600}      # 2026-01-01
NPM_BEFORE=${NPM_BEFORE:-2026-01-01}
GO_TOOLCHAIN=${GO_TOOLCHAIN:-go1.26.0}
AI_WEIGHTS_MIB=${AI_WEIGHTS_MIB:-128}
GZ_LEVEL=${GZ_LEVEL:-6} ZST_LEVEL=${ZST_LEVEL:-3}
HERE=$(cd "$(dirname "$0")" && pwd)
OUT=$(mkdir -p "$1" && cd "$1" && pwd); shift
WORK=${WORK:-$OUT/.work}; mkdir -p "$WORK"
[ $# -gt 0 ] || set -- base node ai python golang torture
say() { printf '== %s\n' "$*" >&2; }

# --- a tree -> a layer, the way containerd/BuildKit write one: PAX only where
#     needed, whole-second mtimes, no leading ./, numeric owners, xattrs kept.
mklayer() { # name dir
	local name=$1 dir=$2
	( cd "$dir"; find . -mindepth 1 -maxdepth 1 -printf '%f\0' | sort -z |
	  tar --format=pax --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' \
	    --sort=name --numeric-owner --xattrs --xattrs-include='*' --no-selinux --no-acls \
	    --mtime=@"$SOURCE_DATE_EPOCH" --clamp-mtime --null -T - -cf "$OUT/$name.tar" )
	pack "$name"
}
mklayer_list() { # name dir list0  (NUL separated, sorted, no recursion)
	tar --format=pax --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' \
	  --numeric-owner --xattrs --xattrs-include='*' --no-selinux --no-acls --no-recursion \
	  --mtime=@"$SOURCE_DATE_EPOCH" --clamp-mtime -C "$2" --null -T "$3" -cf "$OUT/$1.tar"
	pack "$1"
}
pack() {
	gzip  -n -"$GZ_LEVEL" -c "$OUT/$1.tar" >"$OUT/$1.tar.gz"
	zstd  -q -f -"$ZST_LEVEL" -T1 "$OUT/$1.tar" -o "$OUT/$1.tar.zst"
	python3 - "$OUT/$1.tar" >"$OUT/$1.manifest" <<'PY'
import sys, tarfile, collections, hashlib
p = sys.argv[1]
t = collections.Counter(); sizes = []; dirs = collections.Counter()
with tarfile.open(p, 'r|', errorlevel=0) as tf:
    for m in tf:
        k = {b'0':'reg', b'\0':'reg', b'1':'hardlink', b'2':'symlink', b'3':'chr', b'4':'blk', b'5':'dir', b'6':'fifo'}.get(m.type, repr(m.type))
        t[k] += 1
        dirs[m.name.rpartition('/')[0]] += 1
        if k == 'reg': sizes.append(m.size)
sizes.sort(); n = len(sizes) or 1
q = lambda f: sizes[min(len(sizes)-1, int(f*len(sizes)))] if sizes else 0
print('entries', sum(t.values()), dict(t))
print('data bytes', sum(sizes), 'files', len(sizes), 'p10', q(.1), 'p50', q(.5), 'p90', q(.9), 'p99', q(.99), 'max', sizes[-1] if sizes else 0)
b = [0, 512, 4096, 16384, 65536, 1<<20, 16<<20, 1<<62]
for lo, hi in zip(b, b[1:]):
    s = [x for x in sizes if lo <= x < hi]
    print('  size [%d,%s): files %d bytes %d' % (lo, hi if hi < 1<<62 else 'inf', len(s), sum(s)))
print('largest directory', dirs.most_common(1))
print('sha256', hashlib.file_digest(open(p,'rb'),'sha256').hexdigest() if hasattr(hashlib,'file_digest') else '')
PY
	say "$1: $(stat -c %s "$OUT/$1.tar") tar, $(stat -c %s "$OUT/$1.tar.gz") gz, $(stat -c %s "$OUT/$1.tar.zst") zst"
}

suite() { . /etc/os-release; echo "$VERSION_CODENAME"; }
sources() { # the configured Debian archives, as one-line sources
	apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT) #$(ORIGIN)' 'Created-By: Packages' |
		sed -n 's/ #Debian.*$//p' | sort -u
}
bootstrap() { # dir pkgs
	rm -rf "$1"
	sources | mmdebstrap --quiet --variant=minbase ${2:+--include="$2"} \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
		"$(suite)" "$1" -
	rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/* "$1"/tmp/* "$1"/run/* "$1"/etc/machine-id "$1"/etc/hostname "$1"/etc/resolv.conf
}

do_base() {
	bootstrap "$WORK/base" ''
	mklayer base "$WORK/base"
}

# second layer: what "RUN apt-get install python3-numpy ..." adds to base,
# with the .pyc files which the packages' own postinst compiles
do_python() {
	[ -d "$WORK/base" ] || bootstrap "$WORK/base" ''
	bootstrap "$WORK/python" python3,python3-numpy,python3-scipy,python3-pandas,python3-sklearn,python3-matplotlib,python3-sympy,python3-pip,python3-requests,python3-lxml,python3-pil
	( cd "$WORK/base";   find . -mindepth 1 -printf '%P\t%s\t%y\t%l\0' | sort -z ) >"$WORK/base.lst"
	( cd "$WORK/python"; find . -mindepth 1 -printf '%P\t%s\t%y\t%l\0' | sort -z ) >"$WORK/py.lst"
	python3 - "$WORK/base.lst" "$WORK/py.lst" "$WORK/python.files" <<'PY'
import sys
a=set(open(sys.argv[1],'rb').read().split(b'\0')); b=set(open(sys.argv[2],'rb').read().split(b'\0'))
new={x.split(b'\t')[0] for x in b-a if x and x.split(b'\t')[2]!=b'd'}
new|={x.split(b'\t')[0] for x in b-a if x and x.split(b'\t')[2]==b'd' and x.split(b'\t')[0] not in {y.split(b'\t')[0] for y in ()}}
par=set()
for n in new:
    p=n
    while b'/' in p:
        p=p.rpartition(b'/')[0]; par.add(p)
# directory walk order: compare component-wise
allp=sorted(new|par,key=lambda p:p.split(b'/'))
open(sys.argv[3],'wb').write(b''.join(p+b'\0' for p in allp))
PY
	mklayer_list python "$WORK/python" "$WORK/python.files"
}

do_node() {
	local d=$WORK/node/usr/src/app; rm -rf "$WORK/node"; mkdir -p "$d"
	cat >"$d/package.json" <<'J'
{ "name": "bench-app", "version": "1.0.0", "private": true, "dependencies": {
  "next": "14.2.35", "react": "18.3.1", "react-dom": "18.3.1", "typescript": "5.4.5", "webpack": "5.91.0",
  "@mui/material": "5.15.20", "@mui/icons-material": "5.15.20", "eslint": "8.57.0", "jest": "29.7.0",
  "@babel/core": "7.24.7", "@babel/preset-env": "7.24.7", "@angular/core": "17.3.11", "@angular/cli": "17.3.8",
  "rxjs": "7.8.1", "lodash": "4.17.21", "date-fns": "3.6.0", "express": "4.19.2", "@nestjs/core": "10.3.9",
  "@nestjs/common": "10.3.9", "typeorm": "0.3.20", "aws-sdk": "2.1640.0", "core-js": "3.37.1", "sass": "1.77.5",
  "storybook": "8.1.9", "vite": "5.2.13", "prettier": "3.3.2", "three": "0.165.0", "moment": "2.30.1" } }
J
	( cd "$d" && npm install --ignore-scripts --no-audit --no-fund --legacy-peer-deps --before="$NPM_BEFORE" --loglevel=error >&2 )
	rm -rf "$d/node_modules/.cache"
	mklayer node "$WORK/node"
}

# few, large files: shared objects of ML/LLVM/browser-engine size, and one
# synthetic bf16 weight file (deterministic; barely compressible, as weights are)
do_ai() {
	rm -rf "$WORK/ai" "$WORK/ai.debs"; mkdir -p "$WORK/ai/opt/model" "$WORK/ai.debs"
	( cd "$WORK/ai.debs"; apt-get -qq download libtorch1.13 libtorch-test libllvm14 libllvm16 libllvm19 libclang-cpp14 \
		libclang-cpp16 libclang-cpp19 libqt5webenginecore5 libdnnl2 libopenblas0-pthread libvtk9.1 libicu72 libonnx1 2>/dev/null
	  for p in ./*.deb; do dpkg-deb -x "$p" "$WORK/ai"; done; ls >"$WORK/ai.packages" )
	rm -rf "$WORK/ai/usr/share/doc"
	python3 - "$WORK/ai/opt/model/model.safetensors" "$AI_WEIGHTS_MIB" <<'PY'
import sys, hashlib
# bf16 ~ N(0, .02): sum of 4 uniform 16-bit ints, as float32, upper half kept
import array, struct
path, mib = sys.argv[1], int(sys.argv[2])
# table: 65536 uniform -> bf16 of a normal quantile
from statistics import NormalDist
nd = NormalDist(0, .02)
tab = [struct.unpack('<I', struct.pack('<f', nd.inv_cdf((i + .5) / 65536)))[0] >> 16 for i in range(65536)]
def stream():
    i = 0
    while True:
        yield hashlib.shake_128(b'corpus-%d' % i).digest(1 << 20); i += 1
with open(path, 'wb') as f:
    s = stream()
    for _ in range(mib):
        a = array.array('H'); a.frombytes(next(s))
        f.write(array.array('H', map(tab.__getitem__, a)).tobytes())
PY
	mklayer ai "$WORK/ai"
}

do_golang() {
	rm -rf "$WORK/golang"; mkdir -p "$WORK/golang/usr/local"
	local m=golang.org/toolchain@v0.0.1-$GO_TOOLCHAIN.linux-amd64 d
	mkdir -p "$WORK/gomod"
	d=$(cd "$WORK/gomod" && GOFLAGS=-mod=mod GOTOOLCHAIN=local GOMODCACHE=$WORK/gomodcache go mod download -json "$m" | python3 -c 'import json,sys; print(json.load(sys.stdin)["Dir"])')
	cp -a "$d" "$WORK/golang/usr/local/go"
	( cd "$WORK/golang/usr/local/go"; chmod -R u+w,go-w .; find . -type f -exec chmod 644 {} +; find . -type d -exec chmod 755 {} +
	  chmod 755 bin/* pkg/tool/*/* ; find . -exec touch -h -d @"$SOURCE_DATE_EPOCH" {} + )
	chmod -R u+w "$WORK/gomodcache"; rm -rf "$WORK/gomodcache"
	mklayer golang "$WORK/golang"
}

# --- small versions of the same kinds, for tests
do_small-base() { # real packages, unpacked, never configured: no root needed but for the owners
	local d=$WORK/small-base; rm -rf "$d" "$d.debs"; mkdir -p "$d" "$d.debs"
	( cd "$d.debs"; apt-get -qq download base-files coreutils dash libc6 login passwd tar util-linux zlib1g
	  for p in ./*.deb; do dpkg-deb -x "$p" "$d"; done )
	rm -rf "$d/usr/share/doc" "$d/usr/share/locale"
	mklayer small-base "$d"
}

do_small-node() { # modules as Debian ships them: as many small files, no npm needed
	local d=$WORK/small-node; rm -rf "$d" "$d.debs"; mkdir -p "$d/usr/src/app" "$d.debs"
	( cd "$d.debs"; apt-get -qq download node-core-js node-lodash-packages node-caniuse-lite node-express node-async node-babel7-standalone
	  for p in ./*.deb; do dpkg-deb -x "$p" .; done; mv usr/share/nodejs "$d/usr/src/app/node_modules" )
	mklayer small-node "$d"
}

do_small-golang() {
	local d=$WORK/small-golang/usr/local/go root; root=$(go env GOROOT); rm -rf "$WORK/small-golang"; mkdir -p "$d/src"
	cp -a "$root/VERSION" "$d/"; cp -aL "$root/bin" "$d/"
	for p in archive bufio bytes compress crypto encoding io net os runtime; do cp -a "$root/src/$p" "$d/src/"; done
	chmod -R u+w,go-w "$d"
	mklayer small-golang "$WORK/small-golang"
}

do_torture() {
	rm -rf "$OUT/cases"; mkdir -p "$OUT/cases"
	python3 "$HERE/torture.py" "$OUT" "$WORK" "$SOURCE_DATE_EPOCH"
	pack torture
}

for c in "$@"; do say "$c"; "do_$c"; done
[ -n "${KEEP:-}" ] || rm -rf "$WORK"
( cd "$OUT"; sha256sum ./*.tar ./*.tar.gz ./*.tar.zst >SHA256SUMS )
