#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that stand by: each sandbox gets one to itself, as good as one that has booted for it."""
import glob
import hashlib
import os
import re
import signal
import subprocess
import threading
import time
import time

import kata_cli
import network

MEMBER = re.compile(r"(?P<name>\w{6})\s+(?P<key>[0-9a-f]{32})\s+(?P<machine>[0-9]+)\s+(?P<when>\S+)")
# Everything a guest could share with another: random numbers, ids, clocks.
LOOK = ("head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/boot_id; cat /proc/sys/kernel/random/uuid;"
        "date +%s")


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rsplit(b")", 1)[1].split()[0] != b"Z"
    except OSError:
        return False


class Pool(network.NetworkTest):
    def setUp(self):
        super().setUp()
        self.world.env["TMPDIR"] = self.world.base  # fillers have kept it: so they are found
        self.write_settings(2)
        self.addCleanup(self.empty)

    def write_settings(self, size, memory=0, **qemu):
        """memory: of all that stand by. qemu: settings of the guest, in the place of those there are."""
        templates = self.world.path("templates")
        self.world.configure([("factory", "vm_cache_number", str(size)), ("factory", "vm_cache_memory", str(memory))] +
                             [("hypervisor.qemu", key, value) for key, value in qemu.items()])
        self.directory = f"/run/kata/p/{hashlib.sha256(templates.encode()).hexdigest()[:8]}"

    def empty(self):
        # Twice: one that is just beginning has no command line for a moment.
        kata_cli.wait_for(lambda: not self.fillers() and not time.sleep(0.2) and not self.fillers(), "the pool's fillers to end")
        self.world.run("pool", "remove")

    def tearDown(self):
        self.empty()
        for machine in self.machines:
            kata_cli.wait_for(lambda pid=machine: not lives(pid), f"machine {machine} to end", 15)
        self.assertFalse(os.path.exists(self.directory))
        super().tearDown()

    machines = ()

    def fillers(self):
        return [pid for pid, line in self.world.processes() if "-pool" in line and "qemu" not in line]

    def members(self):
        members = [MEMBER.fullmatch(line).groupdict() for line in self.ok("pool", "list").splitlines()]
        self.machines = sorted({*self.machines, *(int(member["machine"]) for member in members)})
        return members

    def fill(self, made):
        self.assertRegex(self.ok("pool", "create"), f"^{made} guests made, ")
        return self.members()

    def of_unit(self, line):
        """What systemd runs, word by word; its first word is where katactl will be installed."""
        with open(os.path.join(kata_cli.BUILD, "systemd/kata-pool.service"), encoding="utf-8") as file:
            program, *words = re.search(f"(?m)^{line}=(.*)$", file.read())[1].split()
        self.assertRegex(program, "^/.*/katactl$")
        return self.ok(*words)

    def machine(self, container):
        """QEMU, by the directory its container's link leads to."""
        place = os.path.realpath(os.path.join(self.world.root, "c", container))
        pids = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as file:
                    line = file.read().decode(errors="replace")
            except OSError:
                continue
            if "qemu-system" in line.split("\0")[0] and f"{place}/" in line:
                pids.append(int(path.split("/")[2]))
        self.assertEqual(len(pids), 1, place)
        return pids[0]

    def run_box(self, name, **options):
        self.ok("run", "--detach", "--bundle", self.world.bundle("sleep", "100000", **options), name)

    def owner_of(self, container):
        place = os.path.realpath(os.path.join(self.world.root, "c", container))
        with open(os.path.join(place, "owner.pid"), encoding="ascii") as file:
            return int(file.read())

    def test_two_at_once(self):
        """Two that are started at the same time have two guests that differ in all that must differ; others follow."""
        before = self.fill(2)
        self.assertEqual(len(before), 2)
        self.assertEqual(self.ok("list", "--quiet"), "")
        self.assertEqual(self.ok("pool", "create"), "0 guests made, 2 stand by\n")
        starts = [threading.Thread(target=self.run_box, args=(f"c{number}",)) for number in range(2)]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        used = {self.machine("c0"), self.machine("c1")}
        self.assertEqual(used, {int(member["machine"]) for member in before})
        answers = [self.ok("exec", f"c{number}", "sh", "-c", LOOK).split("\n") for number in range(2)]
        for line in range(3):
            self.assertNotEqual(answers[0][line], answers[1][line], f"line {line} of {answers}")
        # All of it was saved, and stopped, many seconds before.
        before = time.time()
        clock = int(self.ok("exec", "c1", "date", "+%s"))
        self.assertTrue(before - 3 < clock < time.time() + 3, (before, clock))
        self.assertLess(abs(int(answers[0][3]) - int(answers[1][3])), 30)
        self.assertEqual(self.ok("exec", "c0", "hostname"), "box\n")
        # What one writes the other does not see.
        self.ok("exec", "c0", "touch", "/left")
        self.fails("", "exec", "c1", "ls", "/left")
        kata_cli.wait_for(lambda: len(self.members()) == 2 and not self.fillers(), "two others to stand by")
        others = {int(member["machine"]) for member in self.members()}
        self.assertFalse(used & others)
        # Of the container that warmed a guest up nothing is left: another has its id.
        self.run_box("warm-up")
        self.assertIn(self.machine("warm-up"), others)
        self.ok("delete", "--force", "warm-up")
        kata_cli.wait_for(lambda: len(self.members()) == 2 and not self.fillers(), "another to stand by")
        for number in range(2):
            self.ok("delete", "--force", f"c{number}")
        self.assertEqual(self.ok("pool", "remove"), "2 guests removed\n")
        self.assertEqual(self.members(), [])

    def test_network_and_other_owner(self):
        """With the namespace's interfaces; who takes it over from an owner that was killed finds them again."""
        self.write_settings(1)
        member = self.fill(1)[0]
        self.wires.veth("eth0", "far0", ("10.9.0.2/24", "10.9.0.1/24"))
        self.start()
        self.assertEqual(self.machine("c1"), int(member["machine"]))
        self.assertIn("1 packets received", self.guest("ping", "-c1", "-W20", "10.9.0.1"))
        os.kill(self.owner_of("c1"), signal.SIGKILL)
        self.assertIn("1 packets received", self.guest("ping", "-c1", "-W20", "10.9.0.1"))
        # It knows the namespace: another container of it comes into the same guest.
        self.start("sleep", "1000", container="c2")
        self.assertEqual(self.machine("c2"), int(member["machine"]))
        os.kill(self.owner_of("c1"), signal.SIGKILL)
        self.ok("delete", "--force", "c2")
        self.ok("delete", "--force", "c1")
        self.assert_parted()

    def test_what_does_not_fit(self):
        """One that has ended, one of another size, one of another configuration: the sandbox starts all the same."""
        self.write_settings(1, enable_annotations='["kernel_params"]')
        memory = ("sed", "-n", "s/MemTotal: *\\([0-9]*\\) kB/\\1/p", "/proc/meminfo")

        def limited(document):
            document["linux"]["resources"] = {"memory": {"limit": 64 << 20}}

        self.fill(1)
        os.kill(int(self.members()[0]["machine"]), signal.SIGKILL)
        self.assertEqual(self.world.run("run", "--bundle", self.world.bundle("echo", "boots"), "c1").stdout, "boots\n")
        kata_cli.wait_for(lambda: len(self.members()) == 1 and not self.fillers(), "another to stand by")
        larger = self.world.run("run", "--bundle", self.world.bundle(*memory, change=limited), "c2")
        self.assertGreater(int(larger.stdout), 280 << 10, larger.stderr)
        kata_cli.wait_for(lambda: len(self.members()) == 1 and not self.fillers(), "a third to stand by")
        before = self.members()[0]

        def annotated(document):
            document["annotations"] = {"io.katacontainers.config.hypervisor.kernel_params": "quiet"}

        # What one sandbox wants is no reason to exchange what the next one needs.
        self.assertEqual(self.world.run("run", "--bundle", self.world.bundle("echo", "one", change=annotated),
                                        "c3").stdout, "one\n")
        self.assertEqual(self.fillers(), [])
        # They end with their configuration: the first start under the new one has another made.
        self.write_settings(1, kernel_params='"quiet"')
        self.assertEqual(self.world.run("run", "--bundle", self.world.bundle("echo", "other"), "c4").stdout, "other\n")
        kata_cli.wait_for(lambda: not lives(int(before["machine"])), "the old one to end")
        kata_cli.wait_for(lambda: len(self.members()) == 1 and not self.fillers(), "one of the new kind to stand by")
        self.assertNotEqual(self.members()[0]["key"], before["key"])

    def test_clean_up(self):
        """Killed while it fills the pool: nothing of that stays. An id that is in use takes no guest."""
        self.write_settings(1)
        filler = self.world.start("pool", "create", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kata_cli.wait_for(lambda: glob.glob(f"{self.directory}/*/v"), "a guest to begin")
        for pid in self.fillers():
            os.kill(pid, signal.SIGKILL)
        filler.wait()
        kata_cli.reap()
        half = glob.glob(f"{self.directory}/*")
        self.assertEqual(self.members(), [])
        self.fill(1)
        for directory in half:
            self.assertFalse(os.path.exists(directory))
        machine = int(self.members()[0]["machine"])
        self.ok("create", "--bundle", self.world.bundle("true"), "c1")
        self.assertEqual(self.machine("c1"), machine)
        self.fill(1)
        self.fails("already exists", "create", "--bundle", self.world.bundle("true"), "c1")
        self.assertEqual(len(self.members()), 1)
        self.ok("delete", "--force", "c1")

    def kill_claiming(self, victim):
        """Kills "owner" or "machine" of a start as soon as it has taken the guest that stands by."""
        member, = self.members()
        note = f"{self.directory}/{member['name']}/standby"
        start = self.world.start("run", "--bundle", self.world.bundle("echo", "runs"), "killed", stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        kata_cli.wait_for(lambda: not os.path.exists(note), "the guest to be taken")
        pid = int(member["machine"])
        if victim == "owner":
            path = f"{self.directory}/{member['name']}/owner.pid"
            kata_cli.wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "an owner")
            with open(path, encoding="ascii") as file:
                pid = int(file.read())
        os.kill(pid, signal.SIGKILL)
        output, errors = start.communicate(timeout=kata_cli.PATIENCE)
        return start.returncode, output, errors

    def test_bad_luck(self):
        """Half-written, on a full disk, killed in the middle of a claim: the start goes another way, or says that it
        failed; nothing is lost, and nothing left."""
        self.write_settings(1)
        member = self.fill(1)[0]
        with open(f"{self.directory}/{member['name']}/standby", "r+", encoding="utf-8") as file:
            file.truncate(20)
        self.assertEqual(self.members(), [])
        self.assertEqual(self.world.run("run", "--bundle", self.world.bundle("echo", "other"), "c1").stdout, "other\n")
        kata_cli.wait_for(lambda: len(self.members()) == 1 and not self.fillers(), "another in its place")
        self.assertFalse(lives(int(member["machine"])))

        self.assertEqual(self.kill_claiming("machine")[:2], (0, "runs\n"))
        kata_cli.wait_for(lambda: len(self.members()) == 1 and not self.fillers(), "another in its place")
        member = self.members()[0]
        status, output, errors = self.kill_claiming("owner")
        self.assertNotEqual((status, errors.strip()), (0, ""))
        self.assertEqual(output, "")
        self.world.assert_nothing_left(40)
        kata_cli.wait_for(lambda: not lives(int(member["machine"])), "its machine to end", 40)

        self.ok("pool", "remove")
        os.makedirs(self.directory, mode=0o711, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=711", "kata-test", self.directory], check=True)
        try:
            self.assertEqual(self.world.run("pool", "create").returncode, 1)
            self.assertEqual(os.listdir(self.directory), [])
            self.assertEqual(self.world.run("run", "--bundle", self.world.bundle("echo", "full"), "c2").stdout, "full\n")
            kata_cli.wait_for(lambda: not self.fillers(), "the filler to give up")
        finally:
            subprocess.run(["umount", self.directory], check=True)

    def test_refusals(self):
        """No pool without a number, none that takes the host's last memory."""
        self.write_settings(0)
        self.fails("the setting factory.vm_cache_number", "pool", "create")
        self.assertEqual(self.ok("pool", "list"), "")
        with open("/proc/meminfo", encoding="ascii") as file:
            total = int(file.readline().split()[1]) >> 10
        self.write_settings(1, default_memory=total)
        self.fails(f"no guest of {total} MiB can stand by: only", "pool", "create")

    def test_caps(self):
        """As many as vm_cache_number says, but no more than vm_cache_memory has room for; fewer once these say so. As
        systemd's unit has it: start, reload, stop."""
        self.write_settings(3, memory=600)
        self.assertEqual(self.of_unit("ExecStart"), "2 guests made, 2 stand by\n")
        self.assertEqual(len(self.members()), 2)
        self.write_settings(1)
        self.assertEqual(self.of_unit("ExecReload"), "0 guests made, 1 stand by\n")
        self.assertEqual(len(self.members()), 1)
        self.assertEqual(self.of_unit("ExecStop"), "1 guests removed\n")
        self.assertEqual(self.members(), [])
        self.of_unit("ExecReload")
        self.write_settings(3, memory=255)
        self.fails("no guest of 256 MiB can stand by: the setting factory.vm_cache_memory allows 255 MiB for all of them",
                   "pool", "create")
        self.assertEqual(self.members(), [])


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests, network.require_ip)
