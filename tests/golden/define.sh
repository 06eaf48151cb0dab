#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every golden domain must be taken by libvirt. Its embedded driver needs root and the user libvirt-qemu.
set -eu
top=${top_srcdir:-.}
build=${top_builddir:-.}
skip() { echo "skipped: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "libvirt's embedded driver is tested as root"
id libvirt-qemu >/dev/null 2>&1 || skip "no user libvirt-qemu (package libvirt-daemon-system)"
[ -x /usr/bin/qemu-system-x86_64 ] || skip "no qemu-system-x86_64"

# A /dev/kvm that libvirt finds usable and QEMU does not makes libvirt probe QEMU again for each domain:
# nobody may use an empty file of mode 0.
if [ "${1:-}" != inside ]; then
    exec unshare --mount "$0" inside
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
install -m 0 /dev/null "$root/no-kvm"
[ ! -e /dev/kvm ] || mount --bind "$root/no-kvm" /dev/kvm
mkdir "$root/libvirt"
"$build/tests/golden/define" "$root/libvirt" "$top"/tests/golden/*.xml
[ ! -e /dev/kvm ] || umount /dev/kvm
