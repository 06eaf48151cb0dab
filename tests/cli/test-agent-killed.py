#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent dies without a word at each step of the guest's start and of a container's life: the caller is told at
once, with the guest's last words, and nothing is left."""
import glob
import os
import shutil
import subprocess
import tempfile
import time

import kata_cli

DIE_AT = os.path.join(kata_cli.BUILD, "tests/vm/die-at")
# x86_64's numbers of system calls: <asm/unistd_64.h>. NUMBER or NUMBER:ARGUMENT:VALUE.
MS_MOVE, AF_INET, AF_VSOCK = 8192, 2, 40
MEMFD_FLAGS = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
FIFO_FLAGS = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
# What PID 1 does there, which call that is, and which words of the error say in which step of the owner it was.
BEFORE_IT_SERVES = "the guest did not come up"
WHILE_IT_SERVES = "CreateSandbox"
STARTING = [
    ("crash handlers", "131", BEFORE_IT_SERVES),                       # sigaltstack
    ("root", f"165:3:{MS_MOVE}", BEFORE_IT_SERVES),                    # mount
    ("mounts", "165:3:14", BEFORE_IT_SERVES),                          # mount of proc
    ("links", "88", BEFORE_IT_SERVES),                                 # symlink
    ("console", "112", BEFORE_IT_SERVES),                              # setsid
    ("modules", "313", BEFORE_IT_SERVES),                              # finit_module
    ("host name", "170", BEFORE_IT_SERVES),                            # sethostname
    ("loopback", f"41:0:{AF_INET}", BEFORE_IT_SERVES),                 # socket
    ("signals", "289", BEFORE_IT_SERVES),                              # signalfd4
    ("address", f"41:0:{AF_VSOCK}", BEFORE_IT_SERVES),                 # socket
    ("helper", "56", WHILE_IT_SERVES),                                 # clone, for who mounts virtio-fs
    ("container", f"319:1:{MEMFD_FLAGS}", "CreateContainer"),          # memfd_create, for crun
    ("process", "53", "CreateContainer"),                              # socketpair, to hear of crun's start
    ("exec.fifo", f"257:2:{FIFO_FLAGS}", "StartContainer"),            # openat
]
# The kernel's panic ends QEMU; a busy machine gets its time.
TOLD_WITHIN = 5


class Console:
    """The guest's console from its beginning, also once its file is gone."""

    def __init__(self, world):
        found = []

        def is_there():
            found[:] = glob.glob(os.path.join(world.root, "s/*/console.log"))
            return found

        kata_cli.wait_for(is_there, "the guest's console")
        self.file = open(found[0], "rb")

    def read(self):
        with self.file as file:
            self.last_change = os.fstat(file.fileno()).st_mtime
            return file.read().decode(errors="replace")


class AgentKilled(kata_cli.CliTest):
    def make_dying_world(self, die_at):
        world = kata_cli.World([("hypervisor.qemu", "kernel_params", f'"rdinit=/die-at die_at={die_at}"'),
                                ("hypervisor.qemu", "initrd", f'"{self.initrd}"')])
        self.addCleanup(world.close)
        return world

    @classmethod
    def setUpClass(cls):
        """The guest's image with one more archive behind it; both are padded to what cpio reads at once."""
        cls.base = tempfile.mkdtemp(prefix="kata-initrd-")
        cls.addClassCleanup(shutil.rmtree, cls.base)
        os.chmod(cls.base, 0o755)
        cls.initrd = os.path.join(cls.base, "initrd.img")
        shutil.copy(DIE_AT, os.path.join(cls.base, "die-at"))
        more = subprocess.run(["cpio", "--quiet", "-H", "newc", "-o"], input=b"die-at\n", cwd=cls.base,
                              stdout=subprocess.PIPE, check=True).stdout
        with open(kata_cli.INITRD, "rb") as image, open(cls.initrd, "wb") as file:
            file.write(image.read() + more)

    def check_death(self, console, number, told_at):
        text = console.read()
        self.assertIn("Attempted to kill init!", text)
        # Where it died: the kernel prints the registers of the call.
        self.assertIn(f"ORIG_RAX: {number:016x}", text)
        self.assertLess(told_at - console.last_change, TOLD_WITHIN)

    def start(self, die_at, *args):
        world = self.make_dying_world(die_at)
        client = world.start("run", "--bundle", world.bundle(*args), "c1", stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return world, client, Console(world)

    def test_while_the_guest_starts(self):
        for name, die_at, words in STARTING:
            with self.subTest(step=name):
                world, client, console = self.start(die_at, "true")
                errors = client.communicate(timeout=kata_cli.PATIENCE)[1]
                self.check_death(console, int(die_at.split(":")[0]), time.time())
                self.assertEqual(client.returncode, 1)
                self.assertIn(words, errors)
                self.assertIn("Attempted to kill init!", errors)
                world.assert_nothing_left()

    def test_while_a_signal_is_sent(self):
        """kill(2). Who sent it is told, and so is who waits for the container."""
        world, client, console = self.start("62", "sh", "-c", "echo up; sleep 1000")
        self.assertEqual(client.stdout.readline(), "up\n")
        result = world.run("kill", "c1", "TERM")
        self.assertEqual(client.wait(kata_cli.PATIENCE), 255)
        self.check_death(console, 62, time.time())
        self.assertEqual(result.returncode, 1)
        client.communicate()
        world.assert_nothing_left()

    def test_while_the_container_is_removed(self):
        """unlinkat(2) of a directory. What was to be removed is gone with the guest, so nobody has to know."""
        world, client, console = self.start("263:2:512", "sh", "-c", "echo up; exit 7")
        self.assertEqual(client.communicate(timeout=kata_cli.PATIENCE), ("up\n", ""))
        self.assertEqual(client.returncode, 7)
        self.check_death(console, 263, time.time())
        world.assert_nothing_left()


if __name__ == "__main__":
    if not os.path.exists(DIE_AT):
        kata_cli.skip(f"'{DIE_AT}' is not built")
    kata_cli.main(kata_cli.require_guests)
