# SPDX-License-Identifier: LGPL-2.1-or-later
# For tests that boot the guest image with QEMU alone; sourced. Makes $tmp, ends QEMU and removes $tmp at exit.
# shellcheck shell=sh
set -eu
export LC_ALL=C

: "${top_builddir:=build}" "${top_srcdir:=.}"
QEMU=${QEMU:-/usr/bin/qemu-system-x86_64}
FIRMWARE=${FIRMWARE:-/usr/share/qemu/qboot.rom}
IMAGE=$top_builddir/guest
BOOT_LIMIT=90 # seconds; a busy machine without KVM
qemu_pid=

skip() {
  echo "SKIP: $*"
  exit 77
}
fail() {
  echo "FAIL: $*" >&2
  if [ -s "$tmp/console.log" ]; then
    echo "the end of the console:" >&2
    tail -n 20 "$tmp/console.log" >&2
  fi
  exit 1
}

clean_up() {
  # The second is that of tests/agent/guest-share.sh.
  for pid in $qemu_pid ${virtiofsd_pid:-}; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$tmp"
}

for file in "$QEMU" "$FIRMWARE"; do [ -e "$file" ] || skip "no '$file'"; done
for file in vmlinuz initrd.img; do [ -e "$IMAGE/$file" ] || skip "no '$IMAGE/$file': run 'make guest'"; done
tmp=$(mktemp -d "${TMPDIR:-/tmp}/kata-guest.XXXXXX")
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

boot() { # KERNEL-PARAMETERS QEMU-ARGUMENT...
  parameters=$1
  shift
  "$QEMU" -machine q35 -accel tcg,thread=multi -cpu max -m 256 -bios "$FIRMWARE" -display none -nodefaults \
    -no-user-config -kernel "$IMAGE/vmlinuz" -initrd "$IMAGE/initrd.img" \
    -append "console=ttyS0 quiet panic=-1 $parameters" -serial "file:$tmp/console.log" "$@" >"$tmp/qemu.log" 2>&1 &
  qemu_pid=$!
}

# The arguments that give the guest its port.
port() {
  printf '%s ' -device virtio-serial-pci -chardev "socket,id=agent,path=$tmp/agent.sock,server=on,wait=off" \
    -device virtserialport,chardev=agent,name=kata.agent.0
}

wait_for_console() { # TEXT
  waited=0
  until grep -qF "$1" "$tmp/console.log" 2>/dev/null; do
    kill -0 "$qemu_pid" 2>/dev/null || fail "QEMU ended before the console said '$1': $(cat "$tmp/qemu.log")"
    waited=$((waited + 1))
    [ "$waited" -lt $((BOOT_LIMIT * 10)) ] || fail "the console did not say '$1' within $BOOT_LIMIT s"
    sleep 0.1
  done
}

wait_for_power_off() {
  waited=0
  while kill -0 "$qemu_pid" 2>/dev/null; do
    waited=$((waited + 1))
    [ "$waited" -lt $((BOOT_LIMIT * 10)) ] || fail "the guest did not power off within $BOOT_LIMIT s"
    sleep 0.1
  done
  wait "$qemu_pid" || fail "QEMU ended with status $?: $(cat "$tmp/qemu.log")"
  qemu_pid=
}
