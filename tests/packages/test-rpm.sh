#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The packages of libkata.spec, as far as a host without rpm's database can tell: built from the tarball of "make dist",
# installed in a root of their own, where each file is as the package has it; katactl, the owner program, the library and
# the Python module from there run a container; removed, they leave nothing.
set -eEuo pipefail
export LC_ALL=C.UTF-8
top=$(cd "${top_srcdir:-.}" && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
work=$build/packages/rpm
root=$work/root
began=$SECONDS

fail() {
  echo "FAIL: $*" >&2
  exit 1
}
say() { printf '==== %s (%d s)\n' "$*" "$((SECONDS - began))"; }

[ "$(id -u)" = 0 ] || { echo 'SKIP: only root installs packages'; exit 77; }
for tool in rpmbuild rpm flock; do
  command -v "$tool" >/dev/null || { echo "SKIP: no '$tool'"; exit 77; }
done
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND" >&2' ERR
trap 'rm -rf "$root" "$work/topdir"' EXIT
trap 'exit 1' HUP INT TERM

# What a distribution with rpm defines, and Debian's rpm does not. It is the packages that are looked at, not how fast
# what is in them runs.
build_packages() {
  rm -rf "$work"
  mkdir -p "$work"
  # shellcheck disable=SC2016
  env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u TESTS flock "$build/dist.lock" \
    sh -c 'make -s -C "$1" dist >/dev/null && cp "$1"/libkata-*.tar.xz "$2/"' dist "$build" "$work"
  env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u TESTS rpmbuild --nodeps --define "_topdir $work/topdir" \
    --define '_unitdir /usr/lib/systemd/system' --define '_sharedstatedir /var/lib' --define 'optflags -O0' \
    --define 'systemd_post() %{nil}' --define 'systemd_preun() %{nil}' --define 'systemd_postun() %{nil}' \
    --define 'debug_package %{nil}' -tb "$work"/libkata-*.tar.xz >"$work/build.log" 2>&1 ||
    fail "rpmbuild: $(tail -n 30 "$work/build.log")"
  mv "$work"/topdir/RPMS/*/*.rpm "$work/"
}

in_root() { rpm --root "$root" "$@"; }

install_packages() {
  mkdir -p "$root"
  in_root --initdb
  # No program of the root's runs in it: it has no shell.
  in_root -i --nodeps --noscripts --notriggers "$work"/*.rpm
  [ "$(in_root -qa | wc -l)" = 6 ] || fail "installed are $(in_root -qa)"
  changed=$(in_root -Va --nodeps --noscripts --nomtime | grep -v ' g /var/lib/kata/' || true)
  [ -z "$changed" ] || fail "differs from the packages: $changed"
  for file in usr/bin/katactl usr/bin/containerd-shim-kata-v2 usr/lib64/libkata.so.0 usr/include/kata/kata.h \
    usr/lib64/pkgconfig/libkata.pc usr/share/man/man1/katactl.1 usr/share/man/man3/kata_sandbox.3 usr/sbin/kata-mkguest \
    usr/libexec/libkata/kata-agent usr/share/gocode/src/libkata/kata/kata.go usr/lib/systemd/system/kata-pool.service; do
    [ -n "$(find "$root/$file"* -maxdepth 0)" ] || fail "no package has '/$file'"
  done
  if in_root -qa --scripts | grep -n '%'; then fail 'a script has a macro in it that nobody has expanded'; fi
}

# In the place of the host's; the guest's image is that of the tree.
run_container() {
  version=$(sed -n 's/^AC_INIT(\[libkata\], \[\([0-9.]*\)\].*/\1/p' "$top/configure.ac")
  printf '[hypervisor.qemu]\nkernel = "%s"\ninitrd = "%s"\nvirtio_fs_daemon = "%s"\n' "$build/guest/vmlinuz" \
    "$build/guest/initrd.img" "$(sed -n 's/^VIRTIOFSD_PATH = //p' "$build/Makefile")" >"$work/kata.conf"
  export PATH=$root/usr/bin:$PATH LD_LIBRARY_PATH=$root/usr/lib64 KATA_OWNER=$root/usr/bin/containerd-shim-kata-v2
  export KATA_CONFIG=$work/kata.conf PYTHONDONTWRITEBYTECODE=1
  PYTHONPATH=$(dirname "$(find "$root/usr" -type d -path '*-packages/kata')")
  export PYTHONPATH
  katactl --version | grep -qx "katactl version $version" || fail "katactl is of another version: $(katactl --version)"
  timeout 300 "$top/debian/tests/run-container" || fail 'no container runs from the packages'
}

remove_packages() {
  # shellcheck disable=SC2046
  in_root -e --nodeps --noscripts --notriggers $(in_root -qa)
  left=$(find "$root" -not -type d -not -path "$root/*/rpm/*" -not -path "$root/*/.rpm*")
  [ -z "$left" ] || fail "removed, the packages leave $left"
}

say 'building the packages'
build_packages
say 'installing'
install_packages
say 'a container'
run_container
say 'removing'
remove_packages
say 'done'
