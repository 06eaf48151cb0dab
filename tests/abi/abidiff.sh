#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The library against the ABI that was written down, libkata.abi.xz: nothing of it may have changed or gone, and what is
# new is to be written down as well (KATA_TEST_REGEN=1, after reading the difference). And against what each release has had,
# releases/*.abi.xz: there may be more now, and nothing else. docs/ABI.md says what may change.
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

# What was linked against that one runs with this one: but for what is new, they are the same.
keeps() { abidiff --no-added-syms "$1" "$work/libkata.abi"; }
for release in "$top"/tests/abi/releases/*.abi.xz; do
    [ -e "$release" ] || continue
    xz -dc "$release" >"$work/release.abi"
    if ! keeps "$work/release.abi"; then
        echo "libkata.so lacks or has changed what was in $(basename "$release" .abi.xz): see docs/ABI.md"
        exit 1
    fi
done

# It would see a change: a call that is gone since, one parameter of another. It would not mind a call that is new.
without() {
    awk -v call="$1" '$0 ~ "<elf-symbol name=." call ".[ >]" { next }
        $0 ~ "<function-decl name=." call ".[ >]" { inside = 1 } inside { if (/<\/function-decl>/) inside = 0; next } 1'
}
awk '/<function-decl name=.kata_sandbox_pause. .*elf-symbol-id/ { inside = 1 } inside && /<parameter/ { inside = 0; next } 1' \
    "$work/libkata.abi" >"$work/changed.abi"
without kata_sandbox_pause <"$work/libkata.abi" >"$work/older.abi"
if abidiff "$work/changed.abi" "$work/libkata.abi" >/dev/null || keeps "$work/changed.abi" >/dev/null; then
    echo 'abidiff does not see a call that lost a parameter'
    exit 1
fi
if abidiff "$work/older.abi" "$work/libkata.abi" >/dev/null || ! keeps "$work/older.abi"; then
    echo 'abidiff does not tell what is new from what has changed'
    exit 1
fi
if abidiff --no-added-syms "$work/libkata.abi" "$work/older.abi" >/dev/null; then
    echo 'abidiff does not see a call that is gone'
    exit 1
fi
echo "$(grep -c '<elf-symbol name=.kata_' "$work/libkata.abi") calls are as they were written down"
