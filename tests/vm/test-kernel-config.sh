#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The small kernel's fragment switches on what guests need, and check-config notices what is missing.
# Building it takes ten minutes and 140 MB of source: "make guest-kernel" checks the real configuration the same way.
set -eu
kernel=${top_srcdir:-.}/guest/kernel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { printf 'FAIL: %s\n' "$*"; exit 1; }

"$kernel/check-config" "$kernel/fragment" >"$work/out" || { cat "$work/out"; fail 'the fragment lacks something'; }

# As a kernel that knows no pids controller, and whose virtio-fs is a module.
sed '/^CONFIG_CGROUP_PIDS=y$/d; s/^CONFIG_VIRTIO_FS=y$/CONFIG_VIRTIO_FS=m/' "$kernel/fragment" >"$work/config"
if "$kernel/check-config" "$work/config" "$kernel/fragment" >"$work/out"; then fail 'two missing options were not noticed'; fi
for line in 'crun needs CONFIG_CGROUP_PIDS built in' 'storage needs CONFIG_VIRTIO_FS built in' \
  'not taken from the fragment: CONFIG_CGROUP_PIDS=y' 'not taken from the fragment: CONFIG_VIRTIO_FS=y'; do
  grep -qxF "check-config: $line" "$work/out" || { cat "$work/out"; fail "not said: $line"; }
done
[ "$(wc -l <"$work/out")" = 4 ] || { cat "$work/out"; fail 'more was said than is wrong'; }

status=0
"$kernel/check-config" "$work/no-such-config" 2>"$work/out" || status=$?
[ "$status" = 2 ] || fail "a missing file should give status 2, not $status"
status=0
"$kernel/mkkernel" --jobs none 2>"$work/out" || status=$?
[ "$status" = 1 ] && grep -q "'--jobs none'" "$work/out" || fail 'a bad number of jobs was taken'
status=0
"$kernel/mkkernel" --source "$work" --output "$work/o" 2>"$work/out" || status=$?
[ "$status" = 1 ] && grep -qE 'not a kernel source|missing:' "$work/out" || fail 'an empty directory was taken for a source'
echo ok
