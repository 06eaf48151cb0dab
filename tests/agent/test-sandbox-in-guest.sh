#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A sandbox in a real guest with two CPUs: limits, memory, and the guest as a whole.
. "${top_srcdir:-.}/tests/vm/guest.sh"

. "${top_srcdir:-.}/tests/agent/guest-share.sh"

truncate -s 1M "$tmp/disk"
# shellcheck disable=SC2046
boot 'loglevel=7 agent.log=debug agent.devmode agent.debug_console agent.unknown=1' $(port) $(share 256M) -smp 2 -drive "file=$tmp/disk,if=virtio,format=raw"
wait_for_console 'kata-agent: ready'
"$top_builddir/tests/agent/guest-sandbox" "unix://$tmp/agent.sock" || fail 'the sandbox in the guest'
wait_for_power_off
# The image has no shell, and says so to who asked for one.
grep -q 'a debug console was asked for, but this guest image has no shell' "$tmp/console.log" ||
  fail 'the console does not say that there is no shell'

grep -q '"level":"warning".*agent.unknown.*this agent has no such option' "$tmp/console.log" ||
  fail 'the console does not say that an option is not known'

grep -q "process.apparmorProfile 'profile-of-test' confines nothing here" "$tmp/console.log" ||
  fail 'the console does not say that a profile is not applied'

# Our own kernel is without auditing, and has nowhere to log that.
if grep -q 'Linux version [^ ]*-kata' "$tmp/console.log"; then
  echo 'this kernel has no auditing: SECCOMP_FILTER_FLAG_LOG changes nothing'
else
  grep -q 'type=1326 .*comm="mkdir".*syscall=83 ' "$tmp/console.log" ||
    fail 'the kernel logs nothing of a filter with SECCOMP_FILTER_FLAG_LOG'
fi

grep -q '"level":"debug"' "$tmp/console.log" || fail 'the console has no lines that agent.log=debug asks for'

# An agent that cannot have its settings does not start.
: >"$tmp/console.log"
boot 'agent.config_file=/nowhere/agent.toml'
wait_for_console "agent.config_file: "
wait_for_power_off
