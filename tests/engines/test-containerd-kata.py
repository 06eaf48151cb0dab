#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""containerd with the runtime io.containerd.kata.v2: its own shim protocol, no katactl."""
import json
import os
import re
import unittest

import engines
from containerd import KATA, Containerd, Events
from engines import EngineWorld, Terminal, wait_for


class ContainerdKataTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = EngineWorld()
        cls.addClassCleanup(cls.world.close)
        cls.daemon = Containerd(cls.world)
        cls.addClassCleanup(cls.daemon.stop)
        cls.daemon.import_image()

    def setUp(self):
        self.ctr, self.ok = self.daemon.ctr, self.daemon.ok
        self.addCleanup(self.daemon.remove_all)

    def tearDown(self):
        self.daemon.assert_nothing_left()

    def box(self, *options):
        return ["run", "--runtime", KATA, *options, engines.IMAGE]

    def remove(self, container, status):
        """The status of its end comes with its removal."""
        removed = self.ctr("task", "rm", container)
        self.assertEqual(removed.returncode, 0, removed.stderr)
        self.assertIn(f"task {container} exit with non-zero exit code {status}", removed.stderr)
        self.ok("containers", "rm", container)

    def test_run(self):
        """Streams, exit status, events in their order, and a terminal."""
        events = Events(self.daemon)
        result = self.ctr(*self.box("--rm"), "r1", "/bin/sh", "-c", "cat; echo err >&2; exit 42", input="text" * 100000)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (42, "text" * 100000, "err\n"))
        wait_for(lambda: len(events.topics("r1")) >= 4, "four events")
        topics = events.topics("r1")
        self.assertEqual([line.split()[0] for line in topics],
                         ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"])
        ended = json.loads(topics[2].split(None, 1)[1])
        self.assertEqual((ended["id"], ended["exit_status"]), ("r1", 42))
        events.close()
        created = json.loads(topics[0].split(None, 1)[1])
        self.assertEqual((created["pid"], created["rootfs"][0]["type"]), (ended["pid"], "overlay"))
        terminal = Terminal(self.world, *self.daemon.command(*self.box("--rm", "-t"), "r2", "/bin/sh", "-c",
                                                             "tty; read x; echo \"<$x>\"; exit 6"))
        terminal.read_until("/dev/pts/")
        terminal.send("line\n")
        terminal.read_until("<line>")
        self.assertEqual(terminal.wait(), 6)

    def test_life_of_a_task(self):
        self.ok(*self.box("-d", "--memory-limit", "67108864"), "k", "/bin/sh", "-c",
                "trap 'exit 7' TERM; while :; do sleep 0.1; done")
        self.assertRegex(self.ok("task", "ls"), r"k +[1-9][0-9]* +RUNNING")
        inside = self.ctr("task", "exec", "--exec-id", "e1", "k", "/bin/sh", "-c", "cat; echo in; exit 5", input="x" * 9)
        self.assertEqual((inside.returncode, inside.stdout), (5, "x" * 9 + "in\n"))
        self.assertRegex(self.ok("task", "ps", "k"), "PID +INFO\n[0-9]+ ")
        numbers = dict(line.split()[:2] for line in self.ok("task", "metrics", "k").splitlines() if len(line.split()) > 1)
        used = [int(numbers[name]) for name in ("memory.usage_in_bytes", "memory.usage") if name in numbers]
        self.assertTrue(used and 4096 <= used[0] <= 67108864, numbers)
        limits = [int(numbers[name]) for name in ("memory.limit_in_bytes", "memory.usage_limit") if name in numbers]
        self.assertTrue(not limits or limits[0] == 67108864, numbers)
        self.ok("task", "pause", "k")
        self.assertIn("PAUSED", self.ok("task", "ls"))
        self.ok("task", "resume", "k")
        self.assertIn("RUNNING", self.ok("task", "ls"))
        refused = self.ctr("task", "rm", "k")
        self.assertNotEqual(refused.returncode, 0)
        self.ok("task", "kill", "k")
        wait_for(lambda: "STOPPED" in self.ok("task", "ls"), "the container's end")
        self.remove("k", 7)

    def test_what_a_container_is_made_of(self):
        """Another snapshotter, a directory as root, files and a program that take output."""
        self.assertEqual(self.ok(*self.box("--rm", "--snapshotter", "native"), "n", "/bin/cat", "/etc/group"),
                         "root:x:0:\nuser:x:1000:\nstaff:x:50:user\n")
        log = self.world.path("logs/deep/out.log")
        self.ok("run", "--runtime", KATA, "-d", "--log-uri", f"file://{log}", "--rootfs", self.world.path("rootfs"), "f",
                "/bin/sh", "-c", "echo line; touch /made; exit 3")
        wait_for(lambda: "STOPPED" in self.ok("task", "ls"), "the container's end")
        with open(log, encoding="utf-8") as file:
            self.assertEqual(file.read(), "line\n")
        self.assertTrue(os.path.exists(self.world.path("rootfs/made")))
        self.remove("f", 3)
        program, caught = self.world.path("logger"), self.world.path("caught")
        with open(program, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nexec 5>&-\necho \"$1=$2 $CONTAINER_ID $CONTAINER_NAMESPACE\" >{caught}\n"
                       f"cat <&3 >>{caught}; cat <&4 >>{caught}\n")
        os.chmod(program, 0o755)
        self.ok(*self.box("-d", "--log-uri", f"binary://{program}?tag=t%201"), "b", "/bin/sh", "-c", "echo out; echo err >&2")
        wait_for(lambda: "STOPPED" in self.ok("task", "ls"), "the container's end")
        self.ok("task", "rm", "b")
        self.ok("containers", "rm", "b")
        with open(caught, encoding="utf-8") as file:
            self.assertEqual(file.read(), f"tag=t 1 b {self.daemon.namespace}\nout\nerr\n")

    def test_containerd_killed(self):
        """It comes back to a container that runs, and to one that has ended meanwhile."""
        self.ok(*self.box("-d"), "k", "/bin/sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done")
        self.ok(*self.box("-d"), "short", "/bin/sh", "-c", "until [ -e /end ]; do sleep 0.1; done; exit 9")
        self.daemon.kill()
        self.daemon.start()
        self.assertRegex(self.ok("task", "ls"), r"k +[1-9][0-9]* +RUNNING")
        inside = self.ctr("task", "exec", "--exec-id", "e1", "short", "/bin/touch", "/end")
        self.assertEqual(inside.returncode, 0, inside.stderr)
        wait_for(lambda: re.search(r"short +\d+ +STOPPED", self.ok("task", "ls")), "the short container's end")
        self.daemon.kill()
        self.daemon.start()
        self.remove("short", 9)
        self.ok("task", "kill", "k")
        wait_for(lambda: re.search(r"k +\d+ +STOPPED", self.ok("task", "ls")), "the container's end")
        self.remove("k", 7)


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("containerd", "ctr", "umoci"))
