#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The network calls in a real guest that begins without an interface: two are plugged in while it runs.
. "${top_srcdir:-.}/tests/vm/guest.sh"
for program in /usr/sbin/xtables-legacy-multi /usr/sbin/xtables-nft-multi; do
  [ -x "$program" ] || skip "no '$program'"
done
. "${top_srcdir:-.}/tests/agent/guest-share.sh"

# Both kinds of iptables, as a container may bring them.
for program in /usr/sbin/xtables-legacy-multi /usr/sbin/xtables-nft-multi; do
  cp "$program" "$rootfs/bin/"
  for library in $(ldd "$program" | sed -n 's,^[^/]*\(/[^ ]*\) (0x.*,\1,p'); do
    mkdir -p "$rootfs$(dirname "$library")"
    cp -L "$library" "$rootfs$library"
  done
done
library=$(ldd /usr/sbin/xtables-nft-multi | sed -n 's,.*libxtables[^/]*\(/[^ ]*\) .*,\1,p')
extensions=$(dirname "$(readlink -f "$library")")/xtables
mkdir -p "$rootfs$extensions" "$rootfs/run"
cp -a "$extensions"/libxt_*.so "$rootfs$extensions/"
for name in iptables-legacy iptables-legacy-save; do ln -s xtables-legacy-multi "$rootfs/bin/$name"; done
for name in iptables-nft iptables-nft-save; do ln -s xtables-nft-multi "$rootfs/bin/$name"; done

for applet in ping ip; do ln -s busybox "$rootfs/bin/$applet"; done

# shellcheck disable=SC2046
boot 'agent.log=debug agent.hotplug_timeout=60' $(port) $(share 256M) \
  -device pcie-root-port,id=first,chassis=1,addr=0a -device pcie-root-port,id=second,chassis=2,addr=0b \
  -netdev user,id=net0,restrict=on -netdev user,id=net1,net=10.9.0.0/24,restrict=on \
  -qmp "unix:$tmp/qmp.sock,server=on,wait=off"
wait_for_console 'kata-agent: ready'
"$top_builddir/tests/agent/guest-network" "unix://$tmp/agent.sock" "$tmp/qmp.sock" || fail 'the network in the guest'
wait_for_power_off
