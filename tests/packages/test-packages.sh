#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Debian's packages as a stranger gets and uses them: built from the tarball of "make dist", looked at by lintian, installed
# by apt on a clean root made by debootstrap, where they run a container; programs in C and Go are built with what was
# installed there; an update of crun makes the guest's image anew; nothing stays when they are purged.
# KATA_TEST_PACKAGES=DIR takes packages that were built before.
set -eEuo pipefail
export LC_ALL=C.UTF-8
top=$(cd "${top_srcdir:-.}" && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
work=$build/packages
root=$work/root
began=$SECONDS
# A python or gcc of the user's own is not Debian's.
case $PATH in /usr/lib/ccache:*) PATH=/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin ;; *) PATH=/usr/sbin:/usr/bin:/sbin:/bin ;; esac

fail() {
  echo "FAIL: $*" >&2
  exit 1
}
skip() {
  echo "SKIP: $*"
  exit 77
}
say() { printf '==== %s (%d s)\n' "$*" "$((SECONDS - began))"; }

[ "$(id -u)" = 0 ] || skip 'only root can make a root for debootstrap'
for tool in dpkg-buildpackage lintian debootstrap; do
  command -v "$tool" >/dev/null || skip "no '$tool'"
done
[ "$(uname -m)" = x86_64 ] || skip 'the guest image is for x86_64'

# What the root's mounts keep in use goes with this shell: its mount namespace is its own.
if [ -z "${PACKAGES_IN_NAMESPACE:-}" ]; then
  PACKAGES_IN_NAMESPACE=yes exec unshare --mount --propagation private -- "$0"
fi
remove_root() {
  awk -v root="$root" '$5 == root || index($5, root "/") == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l
  rm -rf --one-file-system "$root"
}
trap remove_root EXIT
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND" >&2' ERR
trap 'exit 1' HUP INT TERM

build_packages() {
  if [ -n "${KATA_TEST_PACKAGES:-}" ]; then
    mkdir -p "$work"
    cp "$KATA_TEST_PACKAGES"/*.deb "$KATA_TEST_PACKAGES"/*.changes "$KATA_TEST_PACKAGES"/*.buildinfo "$work/"
    return
  fi
  rm -rf "$work/source"
  mkdir -p "$work/source"
  # Others who make the tarball wait until this one has been read.
  # shellcheck disable=SC2016
  flock "$build/dist.lock" \
    sh -c 'make -s -C "$1" dist >/dev/null && tar -C "$2" --strip-components=1 -xf "$1"/libkata-*.tar.xz' dist "$build" "$work/source"
  rm -f "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo
  # "make check" has the tests; building them once more takes minutes.
  (cd "$work/source" && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u TESTS DEB_BUILD_PROFILES=nocheck \
    DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc -b) >"$work/build.log" 2>&1 ||
    fail "dpkg-buildpackage: $(tail -n 30 "$work/build.log")"
}

# INITRD: no machine boots from that root, and the kernel's own initramfs takes a minute.
in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
  INITRD=No ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"; }

# A root as debootstrap makes it, with this host's way to Debian's archive.
make_root() {
  local uri suite
  read -r uri suite < <(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Component: main' |
    grep -v -e '-security' -e '-updates' -e '-backports' | head -n 1)
  [ -n "$suite" ] || fail 'apt on this host knows no archive of Debian'
  remove_root
  mkdir -p "$work/archive" "$root"
  # In memory, if there is enough: dpkg asks the disk to have written each file.
  if [ "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)" -gt 6000000 ]; then mount -t tmpfs -o size=4g tmpfs "$root"; fi
  debootstrap --variant=minbase --cache-dir="$work/archive" "$suite" "$root" "$uri" >"$work/debootstrap.log" 2>&1 ||
    fail "debootstrap: $(tail -n 5 "$work/debootstrap.log")"
  cp /etc/apt/sources.list "$root/etc/apt/" 2>/dev/null || rm -f "$root/etc/apt/sources.list"
  for file in /etc/apt/sources.list.d/debian*.sources /etc/apt/sources.list.d/debian*.list; do
    if [ -f "$file" ]; then cp "$file" "$root/etc/apt/sources.list.d/"; fi
  done
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  # No service starts in there, and no time is spent on surviving a loss of power.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
  for directory in proc dev sys; do mount --rbind "/$directory" "$root/$directory"; done
  mount -t tmpfs tmpfs "$root/run"
  mkdir "$root/packages"
  cp "$work"/*.deb "$root/packages/"
}

apt_in_root() { # WHAT ARGUMENTS...
  local what=$1
  shift
  in_root apt-get -q -y -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root "$@" >"$work/apt.log" 2>&1 || fail "$what: $(tail -n 30 "$work/apt.log")"
}

install_packages() {
  apt_in_root 'apt-get update' update
  # The debug symbols are not for users.
  rm -f "$root"/packages/*-dbgsym_*.deb
  # shellcheck disable=SC2046
  apt_in_root 'apt-get install' install --no-install-recommends $(cd "$root" && printf '/%s ' packages/*.deb) busybox-static
  cp "$work/apt.log" "$work/install.log"
}

run_container() {
  cp "$top/debian/tests/run-container" "$root/packages/"
  in_root timeout 300 /packages/run-container || fail 'no container runs from the packages'
}

# With the headers and the library of the root, and this host's compilers.
build_programs() {
  local examples=$root/usr/share/doc/libkata-dev/examples
  export PKG_CONFIG_LIBDIR=$root/usr/lib/x86_64-linux-gnu/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
  export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
  # shellcheck disable=SC2046
  cc -o "$root/packages/example-c" "$examples/run-container.c" $(pkg-config --cflags --libs libkata)
  in_root sh -c 'LD_BIND_NOW=1 ldd -r /packages/example-c' >"$work/ldd"
  if grep -E 'not found|undefined' "$work/ldd"; then fail 'the example in C does not find what it needs'; fi
  grep -q 'libkata\.so\.0 => /lib' "$work/ldd" || fail "the example in C does not use the library of the package: $(cat "$work/ldd")"
  if command -v go >/dev/null; then
    (cd "$examples/go/run-container" && GOCACHE=$build/go-cache GO111MODULE=off GOPATH=$root/usr/share/gocode GOFLAGS='' \
      go build -o "$root/packages/example-go" .)
    in_root ldd /packages/example-go >"$work/ldd-go"
    grep -q 'libkata\.so\.0 => /lib' "$work/ldd-go" || fail 'the example in Go does not use the library'
  fi
}

# Whatever is in the image makes it anew when it is updated.
check_triggers() {
  local library owner
  for library in $(cpio --quiet -it <"$root/var/lib/kata/initrd.img" | grep -E '^lib.*/lib[^/]*\.so[.0-9]*$' | grep -v xtables/); do
    # It is recorded with or without /usr; dpkg fails for the other.
    owner=$( (in_root dpkg -S "/$library" "/usr/$library" 2>/dev/null || true) | sed -n 's/^[^/]*: //p' | head -n 1)
    # libm is part of the C library's package.
    case $owner in */libm.so.6) continue ;; esac
    grep -qx "interest-noawait $owner" "$top/debian/kata-guest.triggers" ||
      fail "debian/kata-guest.triggers lacks '$owner', which is in the guest's image"
  done
  touch -d '2000-01-01' "$root/var/lib/kata/initrd.img"
  apt_in_root 'reinstalling crun' install --reinstall crun
  [ "$root/var/lib/kata/initrd.img" -nt "$root/packages" ] || fail "crun came anew, the guest's image did not: $(cat "$work/apt.log")"
}

purge_packages() {
  apt_in_root 'purging' purge libkata0 katactl kata-guest
  for path in /var/lib/kata /var/cache/kata /etc/kata /usr/libexec/libkata /usr/share/kata; do
    [ ! -e "$root$path" ] || fail "'$path' stayed when the packages were purged"
  done
}

say 'building the packages'
build_packages
say 'lintian'
lintian --allow-root --fail-on error --tag-display-limit 0 "$work"/libkata_*.changes || fail 'lintian finds errors'
say 'a clean root'
make_root
say 'installing'
install_packages
say 'a container'
run_container
say 'programs'
build_programs
say 'an update'
check_triggers
say 'purging'
purge_packages
say 'done'
