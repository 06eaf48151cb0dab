#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The network calls in a real guest that begins without an interface: two are plugged in while it runs.
. "${top_srcdir:-.}/tests/vm/guest.sh"
. "${top_srcdir:-.}/tests/agent/guest-share.sh"

for applet in ping ip; do ln -s busybox "$rootfs/bin/$applet"; done

# shellcheck disable=SC2046
boot 'agent.log=debug agent.hotplug_timeout=60' $(port) $(share 256M) \
  -device pcie-root-port,id=first,chassis=1,addr=0a -device pcie-root-port,id=second,chassis=2,addr=0b \
  -netdev user,id=net0,restrict=on -netdev user,id=net1,net=10.9.0.0/24,restrict=on \
  -qmp "unix:$tmp/qmp.sock,server=on,wait=off"
wait_for_console 'kata-agent: ready'
"$top_builddir/tests/agent/guest-network" "unix://$tmp/agent.sock" "$tmp/qmp.sock" || fail 'the network in the guest'
wait_for_power_off
