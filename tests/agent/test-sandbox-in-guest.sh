#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A sandbox in a real guest with two CPUs: limits, memory, and the guest as a whole.
. "${top_srcdir:-.}/tests/vm/guest.sh"

. "${top_srcdir:-.}/tests/agent/guest-share.sh"

truncate -s 1M "$tmp/disk"
# shellcheck disable=SC2046
boot 'agent.log=debug' $(port) $(share 256M) -smp 2 -drive "file=$tmp/disk,if=virtio,format=raw"
wait_for_console 'kata-agent: ready'
"$top_builddir/tests/agent/guest-sandbox" "unix://$tmp/agent.sock" || fail 'the sandbox in the guest'
wait_for_power_off
