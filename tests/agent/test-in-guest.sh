#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Containers in a real guest, with the controllers the host has not, over a virtio-serial port and virtio-fs.
. "${top_srcdir:-.}/tests/vm/guest.sh"

. "${top_srcdir:-.}/tests/agent/guest-share.sh"

# shellcheck disable=SC2046
boot 'agent.log=debug' $(port) $(share 256M)
wait_for_console 'kata-agent: ready'
"$top_builddir/tests/agent/guest-containers" "unix://$tmp/agent.sock" || fail 'containers in the guest'
wait_for_power_off
