# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files in a container's root, which its guest sees through virtio-fs, and the same below the same directory on the host:
one large file, many small ones, and names alone."""
import io
import os
import subprocess
import tarfile

FILES = 5000
LARGE_MIB = 64
NAMES = 2000
# Prints "NAME BEGIN END".
SCRIPT = f"""
drop() {{ :; }}
spent() {{ name=$1; shift; begin=$EPOCHREALTIME; "$@" >/dev/null 2>/out/errors || {{ cat /out/errors >&2; exit 1; }}
  end=$EPOCHREALTIME; echo "$name $begin $end"; }}
make_names() {{ i=0; while [ $i -lt {NAMES} ]; do : >/out/names/$i; i=$((i + 1)); done; }}
rm -rf /out; mkdir -p /out/small /out/names
drop
spent write dd if=/dev/zero of=/out/large bs=1048576 count={LARGE_MIB} conv=fsync
drop
spent read dd if=/out/large of=/dev/null bs=1048576
spent create make_names
drop
spent list ls -l /out/names
spent remove rm -r /out/names
spent untar tar -xf /files.tar -C /out/small
rm -rf /out
"""


def make_archive(path):
    """Of many small files."""
    with tarfile.open(path, "w") as archive:
        for number in range(FILES):
            entry = tarfile.TarInfo(f"{number % 50}/{number}")
            entry.size = 1000 + number % 3000
            archive.addfile(entry, io.BytesIO(b"x" * entry.size))


def read(text):
    """Seconds by name."""
    rows = [line.split() for line in text.splitlines()]
    return {name: float(end) - float(begin) for name, begin, end in rows}


# The guest's own cache is empty when it reads. The host's is not, and its own kernel reads from there as well.
DROP = "drop() { sync; echo 3 >/proc/sys/vm/drop_caches; }"


def on_host(bundle):
    """With the container's own programs."""
    place = 'mount --bind "$1" "$1" && mount --bind /dev "$1/dev" && exec chroot "$1" /bin/sh -c "$2"'
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", place, "sh",
                           os.path.join(bundle, "rootfs"), SCRIPT], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done
    return read(done.stdout)


def in_guest(world, container):
    done = world.run("exec", container, "/bin/sh", "-c", SCRIPT.replace("drop() { :; }", DROP), timeout=600)
    assert done.returncode == 0, done
    return read(done.stdout)
