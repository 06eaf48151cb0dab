#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a program takes upon itself with libkata.so: at most 400 KiB, and nothing of libvirt.
set -eu
library=${top_builddir:-.}/lib/.libs/libkata.so.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strip -o "$work/stripped" "$library"
size=$(stat -c %s "$work/stripped")
[ "$size" -le 409600 ] || { echo "stripped, libkata.so has $size bytes: more than 400 KiB"; exit 1; }
if ldd "$library" | grep -E 'libvirt|not found'; then exit 1; fi
echo "$size bytes stripped"
