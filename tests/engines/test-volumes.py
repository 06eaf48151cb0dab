#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Volumes and mounts as Podman puts them into config.json: what a container does in a volume is what the same commands do
on the host."""
import os
import re
import shutil
import stat
import subprocess

import engines
from engines import IMAGE, EngineTest, EngineWorld, Podman

# Run in a volume and in a directory of the host by the same programs.
CHANGES = """\
set -e
umask 022
echo text >plain; echo more >>plain; chmod 4751 plain; chown 1000:50 plain
ln plain hard; ln -s plain soft; ln -s /nowhere dangling
mkdir -p deep/er; chmod 2770 deep; chmod 1777 deep/er; chown 7:8 deep
mkfifo pipe; mknod zero c 1 5; chmod 600 zero
dd if=/dev/null of=sparse bs=1 seek=10485760 2>/dev/null
printf end | dd of=sparse bs=1 seek=8388608 conv=notrunc,fsync 2>/dev/null
dd if=/dev/zero of=synced bs=65536 count=20 conv=fsync 2>/dev/null; sync
echo gone >gone; rm gone; echo old >renamed; echo new >new; mv new renamed
truncate -s 3 renamed
setfattr -n user.name -v value plain; setfattr -n user.other -v "$(cat plain)" deep
touch -d '2001-02-03 04:05:06' plain
i=0; while [ $i -lt 300 ]; do echo $i >deep/er/$i; i=$((i+1)); done; rm deep/er/1*
"""


def describe(top):
    """Everything a file system tells of what is below top, by name."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            entry = [status.st_mode, status.st_uid, status.st_gid, status.st_rdev]
            if not stat.S_ISDIR(status.st_mode):
                entry += [status.st_nlink, status.st_size]
            if stat.S_ISREG(status.st_mode):
                # Holes stay holes; how many blocks a file has otherwise is the file system's affair.
                entry.append(status.st_blocks * 512 < status.st_size)
                with open(path, "rb") as file:
                    entry.append(file.read())
            if stat.S_ISLNK(status.st_mode):
                entry.append(os.readlink(path))
            else:
                entry.append({key: os.getxattr(path, key) for key in os.listxattr(path)})
            found[os.path.relpath(path, top)] = entry
    return found


class VolumesWorld(EngineWorld):
    def make_rootfs(self, path):
        for program in ("setfattr", "getfattr", "flock"):
            self.add_program(path, shutil.which(program))
        super().make_rootfs(path)

    def add_program(self, root, program):
        """A program of this machine's Debian, with its libraries."""
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for path in [program] + re.findall(r"(/\S+) \(0x", said):
            target = os.path.join(root, path.lstrip("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(path, target)


class Volumes(EngineTest):
    """Two containers that share a volume, for all tests."""

    @classmethod
    def setUpClass(cls):
        cls.world = world = VolumesWorld()
        cls.addClassCleanup(world.close)
        cls.podman = Podman(world)
        for name in ("both", "read-only", "recursive/inner", "host"):
            os.makedirs(world.path(name))
        for name in ("single", "read-only/file", "recursive/outer"):
            with open(world.path(name), "w", encoding="utf-8") as file:
                file.write(f"{name}\n")
        subprocess.run(["mount", "-t", "tmpfs", "inner", world.path("recursive/inner")], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", world.path("recursive/inner")], check=False)
        with open(world.path("recursive/inner/file"), "w", encoding="utf-8") as file:
            file.write("inner\n")
        cls.podman.ok("volume", "create", "named")
        recursive = world.path("recursive")
        cls.podman.ok("run", "-d", "--name", "a", "--network", "none", "-v", f"{world.path('both')}:/both",
                      "-v", f"{world.path('read-only')}:/read-only:ro", "-v", f"{world.path('single')}:/srv/single",
                      "-v", f"{recursive}:/recursive", "-v", f"{recursive}:/recursive-ro:ro",
                      "--mount", f"type=bind,src={recursive},dst=/flat,bind-nonrecursive", "-v", "named:/named",
                      "--tmpfs", "/t:size=2m,mode=1770,noexec", "--shm-size", "3m", IMAGE, "sleep", "1000")
        cls.podman.ok("run", "-d", "--name", "b", "--read-only", "--network", "none", "-v", f"{world.path('both')}:/both",
                      "--volumes-from", "a:ro", IMAGE, "sleep", "1000")

    @classmethod
    def tearDownClass(cls):
        cls.podman.ok("rm", "-ft", "0", "a", "b")
        subprocess.run(["umount", cls.world.path("recursive/inner")], check=True)
        cls.world.assert_nothing_left()

    def setUp(self):
        self.faults_before = self.count_faults()

    def tearDown(self):
        if self.count_faults() > self.faults_before:
            print(self.world.owner_log())

    def inside(self, container, script):
        return self.podman.run("exec", container, "sh", "-c", script)

    def said(self, container, script):
        result = self.inside(container, script)
        self.assertEqual((result.returncode, result.stderr), (0, ""), script)
        return result.stdout

    def test_the_same_as_on_the_host(self):
        host = self.world.path("host")
        self.said("a", f"mkdir /both/guest; cd /both/guest\n{CHANGES}")
        # The image's own programs, outside of any container.
        subprocess.run(["/usr/sbin/chroot", self.world.path("rootfs"), "/bin/sh", "-c", f"mount -t devtmpfs dev /dev; mount -t proc proc /proc;"
                        f"cd /tmp/host\n{CHANGES}"], check=True, env={"PATH": "/bin:/usr/bin"}, preexec_fn=self.mounted(host))
        mine, guests = describe(host), describe(self.world.path("both/guest"))
        self.assertEqual(sorted(mine), sorted(guests))
        for name, entry in mine.items():
            self.assertEqual(entry, guests[name], name)
        self.assertEqual(os.stat(f"{host}/plain").st_mtime, os.stat(self.world.path("both/guest/plain")).st_mtime)

    def mounted(self, host):
        """In the child: a namespace of its own where host is to be found in the image."""
        def enter():
            libc = __import__("ctypes").CDLL(None, use_errno=True)
            os.makedirs(self.world.path("rootfs/tmp/host"), exist_ok=True)
            assert libc.unshare(0x20000) == 0
            assert libc.mount(b"none", b"/", None, 0x4000 | 1 << 18, None) == 0  # recursively private
            assert libc.mount(host.encode(), self.world.path("rootfs/tmp/host").encode(), None, 0x1000, None) == 0
        return enter

    def test_read_only(self):
        for place in ("/read-only/file", "/recursive-ro/outer", "/recursive-ro/inner/file"):
            self.assertIn("Read-only file system", self.inside("a", f"echo x >{place}").stderr)
        for place in ("/x", "/recursive/outer"):
            self.assertIn("Read-only file system", self.inside("b", f"echo x >{place}").stderr)
        self.assertEqual(self.said("a", "cat /read-only/file /recursive-ro/inner/file"), "read-only/file\ninner\n")

    def test_single_file(self):
        self.said("a", "cat /srv/single >/tmp/was; echo changed >/srv/single; chown 5:6 /srv/single")
        self.assertEqual(self.said("a", "cat /tmp/was"), "single\n")
        with open(self.world.path("single"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "changed\n")
        self.assertEqual(os.stat(self.world.path("single")).st_uid, 5)

    def test_recursive_and_not(self):
        self.assertEqual(self.said("a", "cat /recursive/inner/file; echo written >/recursive/inner/new"), "inner\n")
        self.assertTrue(os.path.exists(self.world.path("recursive/inner/new")))
        self.assertEqual(self.said("a", "cat /flat/outer; ls /flat/inner"), "recursive/outer\n")

    def test_shared_by_containers_and_host(self):
        self.said("a", "echo from a >/both/a; echo from a >/named/a")
        self.assertEqual(self.said("b", "cat /both/a /named/a; echo from b >>/both/a"), "from a\nfrom a\n")
        with open(self.world.path("both/a"), "a", encoding="utf-8") as file:
            file.write("from the host\n")
        self.assertEqual(self.said("a", "cat /both/a"), "from a\nfrom b\nfrom the host\n")
        with open(self.world.path("both/later"), "w", encoding="utf-8") as file:
            file.write("later\n")
        self.assertEqual(self.said("b", "cat /both/later; mv /both/later /both/moved"), "later\n")
        self.assertEqual(self.said("a", "cat /both/moved; ls /both/later 2>/dev/null || echo gone"), "later\ngone\n")

    def test_memory_and_masked_places(self):
        shown = self.said("a", "awk '$2==\"/t\" || $2==\"/dev/shm\" {print $2, $3, $4}' /proc/mounts; stat -c %a /t;"
                          "df -k /t /dev/shm | awk 'NR>1 {print $2}'; wc -c </proc/kcore; ls /sys/firmware;"
                          "echo 1 2>/dev/null >/proc/sysrq-trigger || echo refused")
        self.assertRegex(shown, "(?m)^/t tmpfs [^\n]*noexec")
        self.assertEqual(shown.split("\n")[2:], ["1770", "2048", "3072", "0", "refused", ""], shown)


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("podman", "conmon", "setfattr", "flock"))
