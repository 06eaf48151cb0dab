#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# systemd finds nothing wrong with our units. What they run is tested in test-pool.py.
set -eu
top=$(cd "${top_srcdir:-.}" && pwd)
build=${top_builddir:-.}
command -v systemd-analyze >/dev/null || { echo "SKIP: no 'systemd-analyze'"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The programs need not be installed yet, nor the pages that are referred to.
katactl=$(cd "$build/katactl" && pwd)/katactl
for unit in "$build"/systemd/*.service; do
  sed "s,=/.*/katactl ,=$katactl ," "$unit" >"$work/${unit##*/}"
  grep -q "^ExecStart=$katactl " "$work/${unit##*/}" || { echo "'$unit' does not start '$katactl'"; exit 1; }
  for page in $(sed -n 's/^Documentation=man:\(.*\)(\([0-9]\))$/\1.\2/p' "$unit"); do
    [ -f "$top/man/$page" ] || { echo "'$unit' refers to '$page', which is not there"; exit 1; }
  done
done
said=$(systemd-analyze verify --man=no "$work"/*.service 2>&1) || { echo "$said"; exit 1; }
case $said in *"$work"*) echo "$said"; exit 1 ;; esac
echo 'systemd finds nothing wrong'
