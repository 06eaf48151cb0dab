#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# "make distcheck": the tarball is complete, builds out of a tree that cannot be written, installs below another root, and
# takes away all that it has put there. The tests themselves are run elsewhere (TESTS=).
set -eu
build=${top_builddir:-.}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The caller's TESTS and job server are not distcheck's; others who make the tarball wait.
if ! env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u TESTS -u top_srcdir -u top_builddir \
  flock "$build/dist.lock" make -s -C "$build" -j"$(nproc)" distcheck TESTS= >"$log" 2>&1; then
  tail -n 60 "$log"
  echo 'FAIL: make distcheck'
  exit 1
fi
grep -q 'archives ready for distribution' "$log" || {
  tail -n 20 "$log"
  echo 'FAIL: make distcheck ended without its tarball'
  exit 1
}
echo "PASS: $(grep -o 'libkata-[0-9.]*tar.xz' "$log" | tail -n 1)"
