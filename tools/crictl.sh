#!/usr/bin/env bash
# crictl.sh PREFIX: crictl as PREFIX/bin/crictl and the network plugins that a pod sandbox needs as PREFIX/cni/*.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=1.34.0 plugins=1.9.1 prefix=${1:?crictl.sh PREFIX}
if [ ! -x "$prefix/bin/crictl" ]; then
  LDFLAGS="-X sigs.k8s.io/cri-tools/pkg/version.Version=v$version" \
    "$here/go-module.sh" "sigs.k8s.io/cri-tools@v$version" "$prefix/bin" ./cmd/crictl
fi
if [ ! -x "$prefix/cni/host-local" ]; then
  "$here/go-module.sh" "github.com/containernetworking/plugins@v$plugins" "$prefix/cni" \
    ./plugins/main/loopback ./plugins/main/bridge ./plugins/main/ptp ./plugins/ipam/host-local
fi
"$prefix/bin/crictl" --version
