#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# kata.conf(5) lists exactly the settings there are. KATA_TEST_REGEN=1 writes the list anew.
set -eu
top=${top_srcdir:-.}
build=${top_builddir:-.}
page=$top/man/kata.conf.5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
begin='^\.\\" settings begin$'
end='^\.\\" settings end$'
"$build/tests/abi/print-settings" >"$work/wanted"
[ -s "$work/wanted" ]
if [ -n "${KATA_TEST_REGEN:-}" ]; then
    sed -e "/$begin/,/$end/{/$begin/!{/$end/!d}}" "$page" | sed -e "/$begin/r $work/wanted" >"$work/page"
    cp "$work/page" "$page"
fi
sed -n "/$begin/,/$end/p" "$page" | sed -e '1d' -e '$d' >"$work/found"
diff -u "$work/found" "$work/wanted"
echo "$(grep -c '^\.B ' "$work/wanted") settings agree"
