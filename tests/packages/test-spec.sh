#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# rpm reads libkata.spec, and finds in it the packages Debian has, of this version.
set -eu
top=${top_srcdir:-.}
spec=${top_builddir:-.}/libkata.spec
command -v rpmspec >/dev/null || { echo "SKIP: no 'rpmspec'"; exit 77; }
version=$(sed -n 's/^AC_INIT(\[libkata\], \[\([0-9.]*\)\].*/\1/p' "$top/configure.ac")
packages=$(rpmspec -q --qf '%{NAME}-%{VERSION}\n' "$spec" | sort | tr '\n' ' ')
expected=
for name in golang-libkata-devel kata-guest katactl libkata libkata-devel python3-kata; do
  expected="$expected$name-$version "
done
[ "$packages" = "$expected" ] || { echo "libkata.spec has $packages"; exit 1; }
# The same files go into them.
rpmspec -P "$spec" | sed -n '/^%files/,$p' >"$spec.files"
trap 'rm -f "$spec.files"' EXIT
for file in $(sed -n 's,^\(\(usr\|lib\)/[^* ]*\).*,\1,p' "$top"/debian/kata*.install | grep -v '/man[0-9]*$'); do
  grep -qF "/${file##*/}" "$spec.files" || { echo "libkata.spec has no '$file'"; exit 1; }
done
echo "$packages"
