#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Replays every corpus with AddressSanitizer and UndefinedBehaviorSanitizer, in the build that "make check-sanitizers"
# has of its own and uses again.
set -eu
cd "${top_builddir:-.}"
# What the outer make says is not for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
replays=$(make -s print-fuzz-replays)
[ -n "$replays" ] || { echo 'FAIL: no replay programs'; exit 1; }
log=under-sanitizers.$$
trap 'rm -f "$log"' EXIT
status=0
make -j"$(nproc)" check-sanitizers SANITIZERS_TESTS="$replays" check_PROGRAMS="$replays" >"$log" 2>&1 || status=$?
grep -E '^(PASS|FAIL|ERROR|SKIP|# )' "$log" || true
[ "$status" = 0 ] || { tail -n 40 "$log"; exit 1; }
for replay in $replays; do
  grep -qx "PASS: $replay" "$log" || { echo "FAIL: $replay did not run"; exit 1; }
done
