#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks of every kind in a real guest: there from the beginning, plugged while somebody waits, made larger.
. "${top_srcdir:-.}/tests/vm/guest.sh"
. "${top_srcdir:-.}/tests/agent/guest-share.sh"

for tool in mkfs.ext4 mkfs.xfs mkswap; do
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
truncate -s 320M "$tmp/xfs.img"
mkfs.xfs -q "$tmp/xfs.img"
truncate -s 32M "$tmp/blank.img"
truncate -s 16M "$tmp/swap.img"
mkswap "$tmp/swap.img" >/dev/null 2>&1
printf 'raw bytes\n' >"$tmp/raw.img"
truncate -s 1M "$tmp/raw.img"

disk() { printf '%s ' -blockdev "driver=file,node-name=$1,filename=$tmp/$1.img"; }

# shellcheck disable=SC2046
boot 'agent.log=debug agent.hotplug_timeout=60' $(port) $(share 256M) -machine nvdimm=on -m 256M,slots=4,maxmem=1G \
  $(disk cold) -device virtio-blk-pci,drive=cold,addr=0c \
  $(disk hot) -device pcie-root-port,id=hotport,chassis=1,addr=0d \
  $(disk raw) -device virtio-blk-pci,drive=raw,addr=0e \
  -device virtio-scsi-pci,id=scsi,addr=0f $(disk blank) -device scsi-hd,drive=blank,bus=scsi.0,scsi-id=1,lun=2 \
  $(disk swap) -device virtio-blk-pci,drive=swap,addr=10 \
  $(disk xfs) -device virtio-blk-pci,drive=xfs,addr=11 \
  -object "memory-backend-file,id=nvdimm,share=on,mem-path=$tmp/nvdimm.img,size=32M" -device nvdimm,memdev=nvdimm \
  -object "memory-backend-file,id=pmem,share=on,mem-path=$tmp/pmem.img,size=32M" -device virtio-pmem-pci,memdev=pmem,addr=12 \
  -qmp "unix:$tmp/qmp.sock,server=on,wait=off"
wait_for_console 'kata-agent: ready'
"$top_builddir/tests/agent/guest-storage" "unix://$tmp/agent.sock" "$tmp/qmp.sock" || fail 'the storages in the guest'
wait_for_power_off
