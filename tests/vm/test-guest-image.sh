#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# mkguest makes the same bytes of the same inputs, and says what it lacks.
set -eu
export LC_ALL=C
: "${top_builddir:=build}" "${top_srcdir:=.}"

fail() {
  echo "FAIL: $*" >&2
  exit 1
}
for tool in dpkg-deb depmod cpio strip lz4; do
  command -v "$tool" >/dev/null || { echo "SKIP: no '$tool'"; exit 77; }
done
ls "$top_builddir"/guest/cache/linux-image-*.deb >/dev/null 2>&1 ||
  { echo "SKIP: no kernel package in '$top_builddir/guest/cache': run 'make guest'"; exit 77; }

tmp=$(mktemp -d "${TMPDIR:-/tmp}/kata-mkguest.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
mkguest() { "$top_srcdir/guest/mkguest" --agent "$top_builddir/agent/kata-agent" --cache "$top_builddir/guest/cache" "$@"; }

# Another time, place, umask, time zone and age of the inputs.
mkguest --output "$tmp/one" >"$tmp/log"
(
  umask 077
  cp "$top_builddir/agent/kata-agent" "$tmp/agent"
  TZ=Asia/Tokyo LC_ALL=en_US.UTF-8 mkguest --output "$tmp/a/longer/path" --agent "$tmp/agent" >"$tmp/log2"
)
for image in vmlinuz initrd.img; do
  cmp "$tmp/one/$image" "$tmp/a/longer/path/$image" || fail "'$image' differs from one run to the next"
  grep -q "one/$image: [0-9.]* MB" "$tmp/log" || fail "mkguest does not say how big '$image' is"
done

# A kernel of one's own, all of it built in, is taken as it is when nobody knows its format.
head -c 4096 /dev/zero >"$tmp/kernel"
mkguest --output "$tmp/own" --kernel "$tmp/kernel" >/dev/null
cmp "$tmp/kernel" "$tmp/own/vmlinuz" || fail 'the kernel of --kernel was not taken'
[ "$(gzip -dcf "$tmp/own/initrd.img" | cpio --quiet -it 2>/dev/null | grep -c '\.ko$')" = 0 ] ||
  fail 'modules of another kernel are in the image'

# The kernels of a host: the newest that guests can use, one for clouds before others.
host_kernel() { # VERSION MODULE...
  mkdir -p "$tmp/host/boot" "$tmp/host/lib/modules/$1/kernel"
  printf 'the kernel %s' "$1" | cat - "$tmp/kernel" >"$tmp/host/boot/vmlinuz-$1"
  touch "$tmp/host/lib/modules/$1/modules.builtin"
  built_in=$tmp/host/lib/modules/$1/modules.builtin
  shift
  for module in "$@"; do printf 'kernel/drivers/%s.ko\n' "$module" >>"$built_in"; done
}
needed=$(sed -n "/^MODULES='/,/'$/p" "$top_srcdir/guest/mkguest" | tr "'" ' ' | sed 's/MODULES=//')
takes() { # VERSION
  mkguest --output "$tmp/installed" --installed --root "$tmp/host" >"$tmp/log" 2>&1 || fail "--installed: $(cat "$tmp/log")"
  cmp "$tmp/installed/vmlinuz" "$tmp/host/boot/vmlinuz-$1" || fail "--installed did not take '$1': $(cat "$tmp/log")"
}
# shellcheck disable=SC2086
{
  host_kernel 6.1.0-9-amd64 $needed
  host_kernel 6.1.0-10-amd64 $needed
  host_kernel 6.12.1-own virtio_pci
  takes 6.1.0-10-amd64
  grep -q "6.12.1-own' is not for guests: it has no module 'virtio_console'" "$tmp/log" ||
    fail "nothing says why the newest kernel was not taken: $(cat "$tmp/log")"
  host_kernel 6.1.0-8-cloud-amd64 $needed
  takes 6.1.0-8-cloud-amd64
}

# What is missing is named, and nothing is left half made.
complains() { # TEXT MKGUEST-ARGUMENT...
  text=$1
  shift
  if mkguest --output "$tmp/bad" "$@" >"$tmp/out" 2>&1; then fail "mkguest $* works"; fi
  grep -qF "$text" "$tmp/out" || fail "mkguest $*: no '$text' in: $(cat "$tmp/out")"
  [ ! -e "$tmp/bad/initrd.img" ] || fail "mkguest $*: left an image"
  [ -z "$(find "$tmp/bad" -name '.work*' 2>/dev/null)" ] || fail "mkguest $*: left its working directory"
}
complains "'/nonexistent/agent'" --agent /nonexistent/agent
complains "'/nonexistent/crun'" --crun /nonexistent/crun
complains "'/nonexistent/iptables'" --iptables /nonexistent/iptables
complains 'does not use libxtables' --iptables /bin/ls
complains "'/nonexistent/mke2fs'" --mkfs /nonexistent/mke2fs
complains "'/nonexistent/kernel'" --kernel /nonexistent/kernel
complains "unknown argument '--frob'" --frob
complains "'--kernel' needs a value" --kernel
mkdir "$tmp/bare"
complains 'no kernel for guests in' --installed --root "$tmp/bare"
complains "'--kernel' and '--installed' exclude" --installed --kernel "$tmp/kernel"
complains "'--root' goes with '--installed'" --root /
complains "'--modules' goes with '--kernel'" --modules /lib/modules
complains 'is it a program of this architecture' --crun "$0"
mkdir -p "$tmp/cache" "$tmp/modules/kernel"
echo garbage >"$tmp/cache/linux-image-broken.deb"
complains "cannot unpack '$tmp/cache/linux-image-broken.deb'" --cache "$tmp/cache"
: >"$tmp/modules/modules.builtin"
complains "no module 'virtio_pci'" --kernel "$tmp/kernel" --modules "$tmp/modules"
echo 'the same bytes twice; what is missing is named'
