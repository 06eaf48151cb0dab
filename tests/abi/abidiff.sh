#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The library against the ABI that was written down, libkata.abi.xz: nothing of it may have changed or gone, and what is
# new is to be written down as well (KATA_TEST_REGEN=1, after reading the difference). docs/ABI.md says what may change.
set -eu
top=${top_srcdir:-.}
build=${top_builddir:-.}
baseline=$top/tests/abi/libkata.abi.xz
library=$build/lib/.libs/libkata.so.0
command -v abidiff >/dev/null || { echo 'skipped: abidiff is not installed'; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/headers"
cp "$top"/include/kata/*.h "$build/include/kata/version.h" "$work/headers"

abidw --headers-dir "$work/headers" --drop-private-types --no-corpus-path --no-comp-dir-path --no-show-locs \
    --out-file "$work/libkata.abi" "$library"
[ -z "${KATA_TEST_REGEN:-}" ] || xz -9e <"$work/libkata.abi" >"$baseline"
xz -dc "$baseline" >"$work/baseline.abi"
# Not 0 for what was added, too.
if ! abidiff "$work/baseline.abi" "$work/libkata.abi"; then
    echo 'libkata.so differs from tests/abi/libkata.abi.xz: see docs/ABI.md'
    exit 1
fi
# It would see a change: one parameter of one call, in a copy.
awk '/<function-decl name=.kata_sandbox_pause. .*elf-symbol-id/ { inside = 1 } inside && /<parameter/ { inside = 0; next } 1' \
    "$work/libkata.abi" >"$work/changed.abi"
if abidiff "$work/changed.abi" "$work/libkata.abi" >/dev/null; then
    echo 'abidiff does not see a call that lost a parameter'
    exit 1
fi
echo "$(grep -c '<elf-symbol name=.kata_' "$work/libkata.abi") calls are as they were written down"
