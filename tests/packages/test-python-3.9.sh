#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The Python package with the oldest Python that it is for, that of Debian 11, unpacked below the build directory: the
# numbered tests with real guests, and the syntax of the package and the examples.
set -eEuo pipefail
top=$(cd "${top_srcdir:-.}" && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
work=$build/packages/python3.9
trap 'echo "FAIL: line $LINENO: $BASH_COMMAND" >&2' ERR

[ "$(id -u)" = 0 ] || { echo 'SKIP: guests need root'; exit 77; }
command -v apt-get >/dev/null || { echo "SKIP: no 'apt-get'"; exit 77; }
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
cd "$work"
echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bullseye main' >list
apt() {
  apt-get -q -o Dir::Etc::sourcelist="$work/list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}
apt update
apt download python3.9-minimal libpython3.9-minimal libpython3.9-stdlib libffi7 libssl1.1 libmpdec3
for package in *.deb; do dpkg -x "$package" root; done
cat >python <<END
#!/bin/sh
export LD_LIBRARY_PATH='$work/root/usr/lib/x86_64-linux-gnu':\$LD_LIBRARY_PATH PYTHONHOME='$work/root/usr'
exec '$work/root/usr/bin/python3.9' "\$@"
END
chmod +x python
LD_LIBRARY_PATH='' ./python - "$top"/bindings/python/kata/*.py "$top"/examples/*.py <<'END'
import sys

assert sys.version_info[:2] == (3, 9), sys.version
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        compile(file.read(), path, "exec")
try:
    compile("match 1:\n  case 1: pass\n", "newer", "exec")
    sys.exit("3.9 takes what came with 3.10")
except SyntaxError:
    print(len(sys.argv) - 1, "files are Python", sys.version.split()[0])
END
cd "$build"
KATA_TEST_PYTHON=$work/python "$top/tests/bindings/test-numbered.py" Numbered.test_python
rm -rf "$work"
