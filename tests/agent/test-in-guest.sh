#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Containers in a real guest, with the controllers the host has not, over a virtio-serial port and virtio-fs.
. "${top_srcdir:-.}/tests/vm/guest.sh"

VIRTIOFSD=${VIRTIOFSD:-/usr/lib/qemu/virtiofsd}
[ "$(id -u)" = 0 ] || skip 'virtiofsd needs root'
[ -x "$VIRTIOFSD" ] || skip "no '$VIRTIOFSD'"
[ -x /bin/busybox ] || skip "no '/bin/busybox'"

rootfs=$tmp/share/box/rootfs
mkdir -p "$rootfs/bin" "$rootfs/proc" "$rootfs/dev" "$rootfs/sys" "$rootfs/tmp" "$rootfs/etc"
cp /bin/busybox "$rootfs/bin/"
for applet in sh cat echo sleep stty dd wc hostname true; do ln -s busybox "$rootfs/bin/$applet"; done

"$VIRTIOFSD" --socket-path="$tmp/fs.sock" -o "source=$tmp/share" -o log_level=err &
virtiofsd_pid=$!
# Ends with QEMU, which is its only client; the trap of guest.sh ends that.
waited=0
until [ -S "$tmp/fs.sock" ]; do
  kill -0 "$virtiofsd_pid" 2>/dev/null || fail 'virtiofsd ended'
  waited=$((waited + 1))
  [ "$waited" -lt 100 ] || fail 'virtiofsd does not listen'
  sleep 0.1
done

# shellcheck disable=SC2046
boot 'agent.log=debug' $(port) -object memory-backend-memfd,id=mem,size=256M,share=on -numa node,memdev=mem \
  -chardev "socket,id=fs,path=$tmp/fs.sock" -device vhost-user-fs-pci,chardev=fs,tag=kataShared
wait_for_console 'kata-agent: ready'
"$top_builddir/tests/agent/guest-containers" "unix://$tmp/agent.sock" || fail 'containers in the guest'
wait_for_power_off
