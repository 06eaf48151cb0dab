#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks of every kind in a real guest: there from the beginning, plugged while somebody waits, made larger.
. "${top_srcdir:-.}/tests/vm/guest.sh"
. "${top_srcdir:-.}/tests/agent/guest-share.sh"

for tool in mkfs.ext4 mkfs.xfs mkfs.erofs mksquashfs mkswap e2fsck debugfs; do
  PATH=$PATH:/sbin:/usr/sbin command -v "$tool" >/dev/null || skip "no '$tool'"
done
PATH=$PATH:/sbin:/usr/sbin
for applet in df mount chmod touch; do ln -s busybox "$rootfs/bin/$applet"; done

mkdir "$tmp/content"
echo 'from the host' >"$tmp/content/file"
for disk in cold hot nvdimm pmem; do
  truncate -s 32M "$tmp/$disk.img"
  mkfs.ext4 -q -b 4096 -d "$tmp/content" "$tmp/$disk.img"
done
head -c 100000 /dev/zero >"$tmp/content/zeros"
mkfs.erofs -zlz4 "$tmp/erofs.img" "$tmp/content" >/dev/null 2>&1
mksquashfs "$tmp/content" "$tmp/squashfs.img" -comp zstd -quiet -no-progress >/dev/null
truncate -s 320M "$tmp/xfs.img"
mkfs.xfs -q "$tmp/xfs.img"
truncate -s 32M "$tmp/blank.img"
truncate -s 16M "$tmp/swap.img"
mkswap "$tmp/swap.img" >/dev/null 2>&1
truncate -s 8M "$tmp/more.img"
mkswap "$tmp/more.img" >/dev/null 2>&1
printf 'raw bytes\n' >"$tmp/raw.img"
truncate -s 1M "$tmp/raw.img"

disk() { printf '%s ' -blockdev "driver=file,node-name=$1,filename=$tmp/$1.img"; }

# shellcheck disable=SC2046
boot 'agent.log=debug agent.hotplug_timeout=60 hugepages=2' $(port) $(share 256M) -machine nvdimm=on -m 256M,slots=4,maxmem=1G \
  $(disk cold) -device virtio-blk-pci,drive=cold,addr=0c \
  $(disk hot) -device pcie-root-port,id=hotport,chassis=1,addr=0d \
  $(disk raw) -device virtio-blk-pci,drive=raw,addr=0e \
  -device virtio-scsi-pci,id=scsi,addr=0f $(disk blank) -device scsi-hd,drive=blank,bus=scsi.0,scsi-id=1,lun=2 \
  $(disk swap) -device virtio-blk-pci,drive=swap,addr=10 \
  $(disk more) -device virtio-blk-pci,drive=more,addr=15 \
  $(disk xfs) -device virtio-blk-pci,drive=xfs,addr=11 \
  $(disk erofs) -device virtio-blk-pci,drive=erofs,addr=13 \
  $(disk squashfs) -device virtio-blk-pci,drive=squashfs,addr=14 \
  -object "memory-backend-file,id=nvdimm,share=on,mem-path=$tmp/nvdimm.img,size=32M" -device nvdimm,memdev=nvdimm \
  -object "memory-backend-file,id=pmem,share=on,mem-path=$tmp/pmem.img,size=32M" -device virtio-pmem-pci,memdev=pmem,addr=12 \
  -qmp "unix:$tmp/qmp.sock,server=on,wait=off"
wait_for_console 'kata-agent: ready'
"$top_builddir/tests/agent/guest-storage" "unix://$tmp/agent.sock" "$tmp/qmp.sock" || fail 'the storages in the guest'
wait_for_power_off

# What the last container had written, and nobody synced.
e2fsck -fy "$tmp/cold.img" >"$tmp/e2fsck.log" 2>&1 || [ $? -eq 1 ] || fail "the disk is damaged: $(cat "$tmp/e2fsck.log")"
debugfs -R 'cat /kept' "$tmp/cold.img" >"$tmp/kept" 2>/dev/null
for i in 0 1 2 3 4 5 6 7 8 9; do echo "line $i that nobody syncs"; done | cmp - "$tmp/kept" ||
  fail 'the disk has not what was written before DestroySandbox'
