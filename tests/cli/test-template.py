#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that start from a saved one: each is itself, and a bad template costs no more than the time it would save."""
import glob
import hashlib
import os
import re
import shutil
import struct
import subprocess
import time
import zlib

import kata_cli

TEMPLATE = re.compile("[0-9a-f]{32}")
FAILED = re.compile("^[0-9a-f]{32}  failed +[0-9T:-]+Z  cannot keep templates in [^\n]*\n$")
# Everything a guest could share with another: random numbers, ids, clocks, names, files.
LOOK = ("head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/boot_id; cat /proc/sys/kernel/random/uuid;"
        "od -An -tx1 -j0 /proc/self/auxv | md5sum; date +%s; hostname; cat /etc/machine-id 2>/dev/null; "
        "ls /tmp; cat /proc/meminfo | sed -n 's/MemTotal: *//p'")


class Templates(kata_cli.CliTest):
    def setUp(self):
        super().setUp()
        self.store = self.world.path("templates")
        del self.world.settings["factory", "enable_template"]  # the default is what is tested
        self.world.configure([])
        self.world.env["TMPDIR"] = self.world.base  # builders have kept it: so they are found
        # Where it is made, by the first digits of the directory's hash.
        self.work = f"/run/kata/t/{hashlib.sha256(self.store.encode()).hexdigest()[:8]}"

    def tearDown(self):
        kata_cli.wait_for(self.no_builder, "builders to end")
        self.assertEqual([name for name in glob.glob(f"{self.work}/*") if not name.endswith((".failed", "/lock"))], [])
        shutil.rmtree(self.work, ignore_errors=True)
        super().tearDown()

    def saved(self):
        return sorted(name for name in os.listdir(self.store) if TEMPLATE.fullmatch(name)) \
            if os.path.isdir(self.store) else []

    def create(self):
        made = self.ok("template", "create")
        self.assertRegex(made, "^template [0-9a-f]{32} made\n$")
        return os.path.join(self.store, made.split()[1])

    def builders(self):
        return [pid for pid, line in self.world.processes() if "-template" in line]

    def no_builder(self):
        return not self.builders()

    def check_builder(self):
        """It has nothing of who started the sandbox, and gets out of everybody's way."""
        builder, = self.builders()
        with open(f"/proc/{builder}/environ", encoding="utf-8") as file:
            names = {entry.split("=", 1)[0] for entry in file.read().split("\0")}
        self.assertEqual({name for name in names if name.startswith(("KATA", "SECRET"))}, set())
        with open(f"/proc/{builder}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        self.assertEqual((fields[3], fields[16]), (str(builder), "19"))  # session, niceness: proc(5)
        for name in os.listdir(f"/proc/{builder}/fd"):
            self.assertNotEqual(os.path.realpath(f"/proc/{builder}/fd/{name}"), self.world.path("held"))

    def run_ok(self, *command, name="c", pass_fds=(), **options):
        result = self.world.run("run", "--bundle", self.world.bundle(*command, **options), name, pass_fds=pass_fds)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def is_restored(self, container):
        """A restored machine has the ports its share and cards were plugged into."""
        document = self.ok("xml", container)
        return "virtiofs" not in document

    def test_each_guest_is_itself(self):
        """Two guests of one template, at the same time, differ in all that must differ."""
        path = self.create()
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        self.assertEqual(os.stat(self.store).st_mode & 0o7777, 0o700)
        self.assertIn(os.path.basename(path), self.ok("template", "list"))
        self.assertRegex(self.ok("template", "create"), "is there already")
        bundles = [self.world.bundle("sleep", "1000") for _ in range(2)]
        answers = []
        for number, bundle in enumerate(bundles):
            self.ok_attached("run", "--detach", "--bundle", bundle, f"c{number}")
            self.assertTrue(self.is_restored(f"c{number}"))
            before = time.time()
            answer = self.ok("exec", f"c{number}", "sh", "-c", LOOK).split("\n")
            self.assertLess(before - 2, int(answer[4]))
            self.assertLess(int(answer[4]), time.time() + 2)
            answers.append(answer)
            self.ok("exec", f"c{number}", "touch", "/tmp/left")
        for line in range(4):
            self.assertNotEqual(answers[0][line], answers[1][line], f"line {line} of {answers}")
        self.assertEqual(answers[0][5:], answers[1][5:])
        # Another address space layout and another first boot_id than a guest that booted, too.
        self.assertEqual(self.ok("exec", "c0", "cat", "/proc/sys/kernel/random/boot_id").strip(), answers[0][1])
        for number in range(2):
            self.ok("delete", "--force", f"c{number}")
        self.assertEqual(self.saved(), [os.path.basename(path)])
        self.check_bad_pod(path)
        self.check_bad_files(path)

    def check_bad_pod(self, path):
        """What cannot start at all is no fault of the template that others start from."""
        def change(document):
            document["annotations"] = {"io.katacontainers.config.agent.kernel_modules": "nosuch"}
        result = self.world.run("run", "--bundle", self.world.bundle("true", change=change), "bad")
        self.assertEqual(result.returncode, 1)
        self.assertIn("nosuch", result.stderr)
        self.assertTrue(self.no_builder())
        self.assertRegex(self.ok("template", "list"), rf"^{os.path.basename(path)} [^\n]*\n$")

    def ok_attached(self, *args):
        result = self.world.run_attached(*args)
        self.assertEqual(result.returncode, 0, result.stderr)

    def boots_with_warning(self, path, is_made_again=True, why=""):
        self.ok_attached("run", "--detach", "--bundle", self.world.bundle("sleep", "1000"), "bad")
        log = self.world.owner_log()
        self.assertEqual(log.count("could not start from its template"), 1, log)
        self.assertIn(why, log)
        self.assertFalse(self.is_restored("bad"))
        self.assertEqual(self.ok("exec", "bad", "echo", "works"), "works\n")
        self.ok("delete", "--force", "bad")
        if not is_made_again:
            self.assertEqual(os.listdir(self.store), [])
            return
        # It has been taken away, and is made anew by somebody who outlives the container.
        kata_cli.wait_for(lambda: os.path.exists(path) and self.no_builder(), "the template to be made again")
        self.assertEqual(os.listdir(self.store), [os.path.basename(path)])

    def test_guest_that_takes_nothing_in(self):
        """Restored, but without its share: it boots, where the share is there from the beginning."""
        self.world.configure([("hypervisor.qemu", "kernel_params", '"acpiphp.disable=1"')])
        self.boots_with_warning(self.create())

    def kill_restoring(self, victim):
        """Kills "owner" or "qemu" of a start that has a machine, but no guest that runs yet; returns the start."""
        start = self.world.start("run", "--bundle", self.world.bundle("echo", "runs"), "killed", stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        kata_cli.wait_for(self.world.machines, "a machine")
        if victim == "qemu":
            os.kill(self.world.machines()[0], 9)
        else:
            path, = glob.glob(os.path.join(self.world.root, "s/*/owner.pid"))
            with open(path, encoding="ascii") as file:
                os.kill(int(file.read()), 9)
        return start, *start.communicate(timeout=kata_cli.PATIENCE)

    def check_killed_restoring(self, path):
        """QEMU: the guest boots. The owner: an error, nothing is left, and the template is as good as before."""
        start, output, errors = self.kill_restoring("qemu")
        self.assertEqual((start.returncode, output), (0, "runs\n"), errors)
        kata_cli.wait_for(lambda: os.path.exists(path) and self.no_builder(), "the template to be made again")
        before = os.stat(path).st_ino
        start, output, errors = self.kill_restoring("owner")
        self.assertNotEqual(start.returncode, 0)
        self.assertEqual(output, "")
        self.assertNotEqual(errors.strip(), "")
        self.world.assert_nothing_left(40)
        self.assertEqual(self.run_ok("echo", "again"), "again\n")
        self.assertEqual(os.stat(path).st_ino, before)

    def make_of_another_version(self, path):
        """Whole in all, but by the next libvirt (Seal of shim/save-image.c: the checksum at 12, libvirt's version at 32)."""
        with open(path, "r+b") as file:
            data = file.read()
            body, seal = data[:-40], bytearray(data[-40:])
            version, = struct.unpack_from("<Q", seal, 32)
            struct.pack_into("<I", seal, 12, 0)
            struct.pack_into("<Q", seal, 32, version + 1000)
            struct.pack_into("<I", seal, 12, zlib.crc32(seal, zlib.crc32(body)))
            file.seek(-40, os.SEEK_END)
            file.write(seal)

    def check_bad_files(self, path):
        """Damaged, cut short, or of another version: the guest boots, with one warning; the template is made anew in the
        background."""
        with open(path, "r+b") as file:
            file.seek(os.path.getsize(path) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0xFF]))
        self.boots_with_warning(path)
        # The next time it is just taken away.
        os.truncate(path, os.path.getsize(path) // 2)
        self.boots_with_warning(path, False, "its end is missing")
        self.ok("template", "remove")
        self.make_of_another_version(self.create())
        self.boots_with_warning(path, True, "wrote it, but here are")
        self.ok("template", "remove")
        self.check_killed_restoring(self.create())
        # Killed in the middle of a save: whoever makes it next clears up.
        with open(path + ".part", "wb") as file:
            file.write(b"half")
        self.ok("template", "remove")
        self.assertEqual(self.saved(), [])
        builder = self.world.start("template", "create", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kata_cli.wait_for(lambda: [line for _, line in self.world.processes() if "-template" in line], "a builder")
        time.sleep(0.7)
        for pid, line in self.world.processes():
            if "-template" in line:
                os.kill(pid, 9)
        builder.wait()
        kata_cli.reap()
        self.assertEqual(self.saved(), [])
        self.create()
        self.assertEqual(os.listdir(self.store), [os.path.basename(path)])
        self.assertEqual(self.run_ok("echo", "again"), "again\n")

    def test_other_sizes_and_settings(self):
        """A template serves its own configuration only; each is made after its first start."""
        self.world.env["SECRET"] = "caller's"
        with open(self.world.path("held"), "w", encoding="utf-8") as held:
            self.assertEqual(self.run_ok("echo", "first", pass_fds=[held.fileno()]), "first\n")
        self.check_builder()
        kata_cli.wait_for(lambda: len(self.saved()) == 1 and self.no_builder(), "the first template")

        def larger(document):
            document["linux"]["resources"] = {"memory": {"limit": 64 << 20}}

        memory = self.run_ok("sed", "-n", "s/MemTotal: *\\([0-9]*\\) kB/\\1/p", "/proc/meminfo", change=larger)
        self.assertGreater(int(memory), 280 << 10)
        kata_cli.wait_for(lambda: len(self.saved()) == 2 and self.no_builder(), "the second template")
        self.ok_attached("run", "--detach", "--bundle", self.world.bundle("sleep", "1000", change=larger), "c")
        self.assertTrue(self.is_restored("c"))
        again = self.ok("exec", "c", "sed", "-n", "s/MemTotal: *\\([0-9]*\\) kB/\\1/p", "/proc/meminfo")
        self.assertEqual(again, memory)
        self.ok("delete", "--force", "c")
        self.assertTrue(self.no_builder())
        self.assertEqual(len(self.saved()), 2)
        self.assertEqual(self.ok("template", "remove").count("removed"), 2)

    def test_where_nothing_can_be_saved(self):
        """A full or foreign directory: an error for who asks for a template, nothing but a note for who runs."""
        os.mkdir(self.store, 0o777)
        os.chmod(self.store, 0o777)
        result = self.world.run("template", "create")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, "cannot keep templates in .*: it must be a directory that only its owner")
        self.assertRegex(self.ok("template", "list"), FAILED)
        self.ok("template", "remove")
        self.assertEqual(self.ok("template", "list"), "")
        self.assertEqual(self.run_ok("echo", "runs"), "runs\n")
        kata_cli.wait_for(lambda: FAILED.match(self.ok("template", "list")), "the attempt to fail")
        kata_cli.wait_for(self.no_builder, "the builder to end")
        # Once is enough for now.
        self.assertEqual(self.run_ok("echo", "runs"), "runs\n")
        self.assertTrue(self.no_builder())
        os.chmod(self.store, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "kata-test", self.store], check=True)
        try:
            result = self.world.run("template", "create")
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr, "cannot save the virtual machine|cannot write the saved machine")
            self.assertEqual(os.listdir(self.store), [])
        finally:
            self.ok("template", "remove")
            subprocess.run(["umount", self.store], check=True)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
