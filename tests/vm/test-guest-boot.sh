#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The guest image boots, serves on its port, and ends when it is told to.
. "${top_srcdir:-.}/tests/vm/guest.sh"

call() { "$top_builddir/tests/vm/agent-call" "unix://$tmp/agent.sock" "$1"; }

# shellcheck disable=SC2046
boot 'agent.log=debug' $(port)
wait_for_console 'kata-agent: ready'
if grep -E '"level":"(warning|error)"|fatal:' "$tmp/console.log"; then fail 'the agent complained at boot'; fi

[ "$(call check)" = 'status 1' ] || fail 'the agent does not say it serves'
case $(call version) in 'version '[0-9]*) ;; *) fail 'the agent does not say its version' ;; esac
call destroy || fail 'the agent does not take DestroySandbox'
wait_for_power_off
echo 'booted, served, powered off'
