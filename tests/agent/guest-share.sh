# SPDX-License-Identifier: LGPL-2.1-or-later
# A root file system in a shared tree, and virtiofsd that serves it; sourced after tests/vm/guest.sh.
# shellcheck shell=sh
VIRTIOFSD=${VIRTIOFSD:-/usr/lib/qemu/virtiofsd}
[ "$(id -u)" = 0 ] || skip 'virtiofsd needs root'
[ -x "$VIRTIOFSD" ] || skip "no '$VIRTIOFSD'"
[ -x /bin/busybox ] || skip "no '/bin/busybox'"

rootfs=$tmp/share/box/rootfs
mkdir -p "$rootfs/bin" "$rootfs/proc" "$rootfs/dev" "$rootfs/sys" "$rootfs/tmp" "$rootfs/etc"
cp /bin/busybox "$rootfs/bin/"
for applet in sh cat echo sleep stty dd wc hostname true grep ls nproc date tail; do ln -s busybox "$rootfs/bin/$applet"; done

"$VIRTIOFSD" --socket-path="$tmp/fs.sock" -o "source=$tmp/share" -o log_level=err &
virtiofsd_pid=$!
# Ends with QEMU, which is its only client; where that is never started, the trap of guest.sh ends it.
waited=0
until [ -S "$tmp/fs.sock" ]; do
  kill -0 "$virtiofsd_pid" 2>/dev/null || fail 'virtiofsd ended'
  waited=$((waited + 1))
  [ "$waited" -lt 100 ] || fail 'virtiofsd does not listen'
  sleep 0.1
done

# The arguments that give the guest the tree.
share() { # MEMORY
  printf '%s ' -object "memory-backend-memfd,id=mem,size=$1,share=on" -numa node,memdev=mem \
    -chardev "socket,id=fs,path=$tmp/fs.sock" -device vhost-user-fs-pci,chardev=fs,tag=kataShared
}
