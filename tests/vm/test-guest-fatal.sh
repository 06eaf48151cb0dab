#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A guest that cannot serve says why on its console and powers off.
. "${top_srcdir:-.}/tests/vm/guest.sh"

boot 'agent.server_addr=unix:///nowhere/agent.sock agent.hotplug_timeout=never'
wait_for_power_off
grep -q "kernel parameter 'agent.hotplug_timeout=never': bad value" "$tmp/console.log" ||
  fail 'no word about a bad parameter'
grep -q 'kata-agent: fatal: .*/nowhere/agent.sock' "$tmp/console.log" || fail 'no reason on the console'
echo 'said why, powered off'
