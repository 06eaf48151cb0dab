#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a real runtime asked for a container and for a pod, asked of the agent in a guest: one guest for each sandbox.
. "${top_srcdir:-.}/tests/vm/guest.sh"

play() { # NUMBER CONTAINER...
  number=$1
  shift
  rm -rf "$tmp/share" "$tmp/fs.sock" "$tmp/console.log"
  . "${top_srcdir:-.}/tests/agent/guest-share.sh"
  printf '#!/bin/sh\nwhile :; do sleep 1; done\n' >"$rootfs/pause"
  chmod 755 "$rootfs/pause"
  for id in "$@"; do
    mkdir "$tmp/share/$id"
    cp -a "$rootfs" "$tmp/share/$id/rootfs"
  done
  # shellcheck disable=SC2046
  boot 'agent.log=debug' $(port) $(share 256M)
  wait_for_console 'kata-agent: ready'
  "$top_builddir/tests/agent/guest-requests" "unix://$tmp/agent.sock" "$number" || fail "recorded requests, sandbox $number"
  wait_for_power_off
}

play 0 k1
play 1 c8c9f57a9ee52b59c18ebdcce4863fba3251866b2042a866b8b48aafc48ffd8f \
  373b24cd9aa931eb04592ce005e636a9918b5bb00bd5dd406751fce19fa74100
