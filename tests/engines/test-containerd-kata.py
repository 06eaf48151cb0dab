#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""containerd with the runtime io.containerd.kata.v2: its own shim protocol, no katactl."""
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import threading
import time
import unittest

import engines
import documents
import kata_cli
import ttrpc
from storage import tool
from containerd import KATA, Containerd, Events
from engines import EngineWorld, Terminal, wait_for

PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process"
# prctl(2)
PR_SCHED_CORE, PR_SCHED_CORE_GET = 62, 0
RESOURCES = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"


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

    def test_what_the_document_types(self):
        os.mkdir(self.world.path("bin"))
        program = self.world.path("bin/ctr")
        with open(program, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nexec {shutil.which('ctr')} {' '.join(self.daemon.command()[1:])} \"$@\"\n")
        os.chmod(program, 0o755)
        env = dict(self.world.engine_env, PATH=f"{self.world.path('bin')}:{os.environ['PATH']}")
        with documents.Terminals(self.world.base, env) as terminals:
            for block in documents.of_place("containerd"):
                terminals.type_block(block)

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
        self.assertEqual(self.ok("task", "exec", "--exec-id", "e2", "k", "/bin/sh", "-c", "sleep 1000 & echo in"), "in\n")
        events = Events(self.daemon)
        self.addCleanup(events.close)
        self.assertEqual(self.ctr("task", "exec", "--exec-id", "e3", "k", "/bin/tail", "/dev/zero").returncode, 137)
        wait_for(lambda: "/tasks/oom" in [line.split()[0] for line in events.topics("k")], "the kernel's kill to be told")
        events.close()
        self.assertEqual(self.ok("run", "--rm", "--runtime", "io.containerd.runc.v2", engines.IMAGE, "beside",
                                 "/bin/echo", "runc"), "runc\n")
        self.ok("task", "pause", "k")
        self.assertIn("PAUSED", self.ok("task", "ls"))
        self.ok("task", "resume", "k")
        self.assertIn("RUNNING", self.ok("task", "ls"))
        refused = self.ctr("task", "rm", "k")
        self.assertNotEqual(refused.returncode, 0)
        self.ok("task", "kill", "k")
        wait_for(lambda: "STOPPED" in self.ok("task", "ls"), "the container's end")
        self.remove("k", 7)

    @contextlib.contextmanager
    def layers(self):
        """An overlay of three: busybox; one that changes a file of it and takes one away; one that adds another."""
        names = {name: self.world.path(f"layers/{name}") for name in ("top", "changes", "written", "work", "joined")}
        for path in names.values():
            os.makedirs(path)
        os.mkdir(f"{names['changes']}/etc")
        os.mknod(f"{names['changes']}/etc/passwd", stat.S_IFCHR, os.makedev(0, 0))
        for name, text in (("top/top", "added\n"), ("changes/etc/group", "changed\n")):
            with open(self.world.path(f"layers/{name}"), "w", encoding="utf-8") as file:
                file.write(text)
        lower = ":".join([names["top"], names["changes"], self.world.path("rootfs")])
        there = ["nsenter", f"--mount=/proc/{self.daemon.process.pid}/ns/mnt"]
        subprocess.run([*there, "mount", "-t", "overlay", "overlay", "-o", f"index=off,lowerdir={lower},"
                        f"upperdir={names['written']},workdir={names['work']}", names["joined"]], check=True)
        try:
            yield names["joined"]
        finally:
            subprocess.run([*there, "umount", names["joined"]], check=True)

    def test_what_a_container_is_made_of(self):
        """Another snapshotter, directories as root, one of layers joined by their user; files and a program that take
        output."""
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
        with self.layers() as root:
            self.assertEqual(self.ok("run", "--rm", "--runtime", KATA, "--rootfs", root, "l", "/bin/sh", "-c",
                                     "cat /top /etc/group; ls /etc/passwd 2>&1 | grep -c 'No such'; echo kept >/written"),
                             "added\nchanged\n1\n")
        with open(self.world.path("layers/written/written"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "kept\n")
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

    def test_direct_volume(self):
        """By the type of mount that upstream's newer runtime has, in its words; of a volume nobody knows and others' types."""
        disk, volume = self.world.path("disk"), self.world.path("no/such/place")
        subprocess.run(["truncate", "-s", "16M", disk], check=True)
        subprocess.run([tool("mkfs.ext4"), "-q", disk], check=True)

        def direct(command, *more):
            result = self.world.run("direct-volume", command, "--volume-path", volume, *more)
            self.assertEqual(result.returncode, 0, result.stderr)

        def run(kind):
            return self.ctr(*self.box("--rm", "--mount", f"type={kind},src={volume},dst=/disk,options=rbind:rw"), "v", "/bin/sh",
                            "-c", "grep -c ' /disk ext4 rw' /proc/mounts; echo kept >/disk/file")
        unknown = run("directvol")
        self.assertNotEqual(unknown.returncode, 0)
        self.assertIn(f"direct-assigned volume '{volume}': nobody has told of it", unknown.stderr)
        direct("add", "--mount-info", json.dumps({"device": disk, "volume_type": "directvol", "fs_type": "ext4", "metadata": {},
                                                  "options": []}))
        self.addCleanup(direct, "remove")
        self.assertIn("no volumes of type 'spdkvol'", run("spdkvol").stderr)
        self.assertEqual(run("directvol").stdout, "1\n")
        found = subprocess.run([tool("debugfs"), "-R", "cat /file", disk], check=True, capture_output=True, text=True)
        self.assertEqual(found.stdout, "kept\n")

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

    def test_another_owner(self):
        """One that takes over while containerd is away goes on telling it what happens."""
        self.ok(*self.box("-d"), "k", "/bin/sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done")
        self.daemon.kill()
        os.kill(self.daemon.pids_of("k")["owner"], signal.SIGKILL)
        inside = self.world.run("--root", self.daemon.root, "exec", "k", "/bin/echo", "in")
        self.assertEqual(inside.stdout, "in\n", inside.stderr)
        self.daemon.start()
        events = Events(self.daemon)
        self.addCleanup(events.close)
        self.assertEqual(self.ok("task", "exec", "--exec-id", "e1", "k", "/bin/echo", "in"), "in\n")
        self.ok("task", "kill", "k")
        wait_for(lambda: "/tasks/exit" in [line.split()[0] for line in events.topics("k") if '"id":"k"' in line], "its end")
        events.close()
        self.remove("k", 7)

    def test_killed_parts(self):
        """Whatever is killed, containerd learns of the end, cleans up, and nothing is left."""
        # The other states: test-cri-killed.py.
        for part, state in (("owner", "RUNNING"), ("owner", "PAUSED"), ("owner", "STOPPED"), ("qemu", "RUNNING"),
                            ("qemu", "PAUSED"), ("virtiofsd", "PAUSED")):
            with self.subTest(part=part, state=state):
                self.ok(*self.box("-d"), part, "/bin/sleep", "1000")
                pids = self.daemon.pids_of(part)
                if state == "PAUSED":
                    self.ok("task", "pause", part)
                elif state == "STOPPED":
                    self.ok("task", "kill", "--signal", "KILL", part)
                wait_for(lambda: state in self.ok("task", "ls"), state)
                os.kill(pids[part], signal.SIGKILL)
                # Of one whose owner has gone containerd forgets the task at once.
                wait_for(lambda: not re.search(f"{part} .*(RUNNING|PAUSED)", self.ok("task", "ls")), f"the end by {part}")
                self.ctr("task", "rm", part)
                self.ok("containers", "rm", part)
                self.daemon.assert_nothing_left()
        # What the owners said of it, whichever end they saw first, is among containerd's own words.
        with open(self.daemon.log, encoding="utf-8", errors="replace") as file:
            self.assertRegex(file.read(), r'level=\w+ msg="sandbox \'(qemu|virtiofsd)\': the (guest has|connection to)')

    def test_answers(self):
        """What the owner says to wrong calls, as containerd's own shim does."""
        self.ok(*self.box("-d"), "w", "/bin/sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done")
        with open(os.path.join(self.daemon.bundle("w"), "address"), encoding="utf-8") as file:
            client = ttrpc.Client(file.read())
        self.addCleanup(client.close)

        def task(method, message, version=2):
            return client.call(f"containerd.task.v{version}.Task", method, message)
        process = {1: PROCESS, 2: json.dumps({"args": ["/bin/sh", "-c", "exit 4"], "cwd": "/", "env": [],
                                              "user": {"uid": 0, "gid": 0}})}
        wrong = [("State", {1: "none"}, "NOT_FOUND"), ("State", {1: "w", 2: "none"}, "NOT_FOUND"),
                 ("Start", {1: "none"}, "NOT_FOUND"), ("Start", {1: "w"}, "FAILED_PRECONDITION"),
                 ("Delete", {1: "w"}, "FAILED_PRECONDITION"), ("Create", {1: "w", 2: self.daemon.bundle("w")},
                                                               "ALREADY_EXISTS"),
                 ("Create", {1: "../x", 2: "/tmp"}, "INVALID_ARGUMENT"),
                 ("Create", {1: "x", 2: "/no/such/bundle"}, "NOT_FOUND"),
                 ("Create", {1: "x", 2: self.world.bundle("true"), 10: {1: "some.Options", 2: b""}}, "INVALID_ARGUMENT"),
                 ("Create", {1: "x", 2: self.world.bundle("true"), 10: {1: "runtimeoptions.v1.Options", 2: b"\x0a\xff"}},
                  "INVALID_ARGUMENT"),
                 ("Exec", {1: "w", 2: "e", 7: {1: "of/no/type", 2: "x"}}, "INVALID_ARGUMENT"),
                 ("Exec", {1: "w", 2: "e"}, "INVALID_ARGUMENT"),
                 ("Exec", {1: "w", 2: "e", 7: {1: PROCESS, 2: "no json"}}, "INVALID_ARGUMENT"),
                 ("Exec", {1: "w", 2: "e", 6: "relative", 7: process}, "UNIMPLEMENTED"),
                 ("Resume", {1: "w"}, "FAILED_PRECONDITION"), ("Pause", {1: "none"}, "NOT_FOUND"),
                 ("Kill", {1: "w", 2: "none", 3: 9}, "NOT_FOUND"), ("Wait", {1: "none"}, "NOT_FOUND"),
                 ("Update", {1: "w", 2: {1: RESOURCES, 2: "no json"}}, "INVALID_ARGUMENT"),
                 ("Update", {1: "w", 2: {1: "of/no/type", 2: "{}"}}, "INVALID_ARGUMENT"), ("Update", {1: "w"}, "INVALID_ARGUMENT"),
                 ("Checkpoint", {1: "w", 2: "/tmp/x", 3: {1: "some.Options"}}, "INVALID_ARGUMENT"),
                 ("Checkpoint", {1: "w", 2: "/tmp/x"}, "UNIMPLEMENTED"), ("Stats", {1: "none"}, "NOT_FOUND"),
                 ("NoSuchMethod", {}, "UNIMPLEMENTED")]
        for version in (2, 3):
            for method, message, status in wrong:
                with self.subTest(f"{method} {message} v{version}"):
                    self.assertEqual(task(method, message, version)[0], status)
        self.assertNotEqual(client.call("containerd.task.v2.Task", "State", b"\x0a\xff")[0], "OK")
        self.assertEqual(client.call("no.such.Service", "State", {})[0], "UNIMPLEMENTED")
        self.assertEqual(task("Exec", {1: "w", 2: "e", 7: process})[0], "OK")
        self.assertEqual(task("Exec", {1: "w", 2: "e", 7: process})[0], "ALREADY_EXISTS")
        self.assertEqual(task("Kill", {1: "w", 2: "e", 3: 15})[0], "FAILED_PRECONDITION")
        self.assertEqual(task("Start", {1: "w", 2: "e"})[0], "OK")
        status, ended = task("Wait", {1: "w", 2: "e"})
        self.assertEqual((status, ended[1]), ("OK", [4]))
        self.assertEqual(task("Kill", {1: "w", 2: "e", 3: 15})[0], "NOT_FOUND")
        status, deleted = task("Delete", {1: "w", 2: "e"})
        self.assertEqual((status, deleted[2], deleted[3]), ("OK", [4], ended[2]))
        self.assertEqual(task("Delete", {1: "w", 2: "e"})[0], "NOT_FOUND")
        status, state = task("State", {1: "w"})
        self.assertEqual((status, state[4]), ("OK", [2]))
        self.assertEqual(ttrpc.decode(state[10][0])[1], [2**64 - 62135596800])
        status, connected = task("Connect", {1: "none"})
        self.assertEqual((status, connected.get(2)), ("OK", None))
        self.assertEqual(connected[1], [self.daemon.pids_of("w")["owner"]])
        self.assertEqual(task("Shutdown", {1: "w"})[0], "OK")  # there is a container, so nothing happens
        self.assertEqual(task("CloseIO", {1: "w", 3: 1})[0], "OK")
        self.assertEqual(task("ResizePty", {1: "w", 3: 80, 4: 25})[0], "OK")
        self.use_streams(task, process)
        # Two with one id: no second one in a namespace, another one in another.
        again = self.shim("-id", "w", "start", input=b"", cwd=self.daemon.bundle("w"))
        self.assertEqual((again.returncode, again.stdout), (1, b""))
        self.assertIn(b"sandbox 'w' already exists", again.stderr)
        other = self.daemon.namespace + "-other"
        started = self.shim("-namespace", other, "-id", "w", "start", input=b"", cwd=self.world.bundle("true"))
        self.assertEqual(started.returncode, 0, started.stderr)
        second = ttrpc.Client(started.stdout.decode().strip())
        self.assertEqual(second.call("containerd.task.v2.Task", "State", {1: "w"})[0], "NOT_FOUND")
        self.assertEqual(second.call("containerd.task.v2.Task", "Shutdown", {1: "w"})[0], "OK")
        second.close()
        self.addCleanup(shutil.rmtree, f"/run/kata/{other}", ignore_errors=True)
        sandbox = "containerd.runtime.sandbox.v1.Sandbox"
        self.assertEqual(client.call(sandbox, "PingSandbox", {1: "w"})[0], "OK")
        self.assertEqual(client.call(sandbox, "PingSandbox", {1: "other"})[0], "NOT_FOUND")
        self.assertEqual(client.call(sandbox, "ShutdownSandbox", {1: "w"})[0], "FAILED_PRECONDITION")
        status, answer = client.call(sandbox, "SandboxMetrics", {1: "w"})
        self.assertEqual(status, "OK")
        self.assertIn(b"io.containerd.cgroups.v", answer[1][0])
        self.ok("task", "kill", "w")
        wait_for(lambda: "STOPPED" in self.ok("task", "ls"), "the container's end")
        self.assertGreaterEqual(len(task("Pids", {1: "w"})[1][1]), 1)
        self.assertEqual(task("Start", {1: "w"})[0], "FAILED_PRECONDITION")
        self.remove("w", 7)

    def use_streams(self, task, process):
        """What takes an exec's output: a program that says a word when it is ready, one that does not, what nobody knows."""
        program, caught = self.world.path("logger-2"), self.world.path("caught-2")
        process = {1: PROCESS, 2: process[2].replace("exit 4", "echo out")}
        for start, wanted, words in (("", "INTERNAL|UNKNOWN", "without a word"), ("printf x >&5", "OK", None)):
            with open(program, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\n{start}\nexec 5>&-\ncat <&3 >{caught}\n")
            os.chmod(program, 0o755)
            status, answer = task("Exec", {1: "w", 2: "s", 5: f"binary-v2://{program}", 7: process})
            self.assertRegex(status, f"^({wanted})$", answer)
            if words:
                self.assertIn(words, answer)
        self.assertEqual(task("Start", {1: "w", 2: "s"})[0], "OK")
        task("Wait", {1: "w", 2: "s"})
        self.assertEqual(task("Delete", {1: "w", 2: "s"})[0], "OK")
        wait_for(lambda: os.path.exists(caught) and os.path.getsize(caught), "the program to catch it")
        with open(caught, encoding="utf-8") as file:
            self.assertEqual(file.read(), "out\n")
        self.write_to_nobody(task, process)
        for uri in ("streaming+unix:///run/x.sock?streaming_id=y", "npipe:////./pipe/x", "http://x/y"):
            status, answer = task("Exec", {1: "w", 2: "s", 5: uri, 7: process})
            self.assertEqual(status, "UNIMPLEMENTED")
            self.assertIn(f"cannot open the stream '{uri}': only ", answer)

    def write_to_nobody(self, task, process):
        """Into a pipe without a reader: the writer waits, nobody else does; what comes later reads all of it."""
        fifo = self.world.path("pipe")
        os.mkfifo(fifo)
        process = {1: PROCESS, 2: process[2].replace("echo out", "head -c 4000000 /dev/zero; echo end; exit 3")}
        for is_read in (True, False):
            self.assertEqual(task("Exec", {1: "w", 2: "f", 5: fifo, 7: process})[0], "OK")
            self.assertEqual(task("Start", {1: "w", 2: "f"})[0], "OK")
            time.sleep(1)
            self.assertEqual(task("State", {1: "w"})[1][4], [2])
            self.assertEqual(task("State", {1: "w", 2: "f"})[1][4], [2])  # it cannot have ended
            if is_read:
                with open(fifo, "rb") as file:
                    text = file.read(4000004)
                self.assertEqual((len(text), text[-5:]), (4000004, b"\0end\n"))
            else:
                self.assertEqual(task("Kill", {1: "w", 2: "f", 3: 9})[0], "OK")
            self.assertEqual(task("Wait", {1: "w", 2: "f"})[1][1], [3 if is_read else 137])
            self.assertEqual(task("Delete", {1: "w", 2: "f"})[0], "OK")

    def shim(self, *args, **options):
        """The program as containerd calls it."""
        return subprocess.run([kata_cli.OWNER, "-namespace", self.daemon.namespace, "-address",
                               self.world.path("containerd.sock"), *args], env=options.pop("env", self.daemon.env),
                              capture_output=True, check=False, **options)

    def test_slow_end(self):
        """A guest that does not answer when its container has ended: the end was told before, and keeps its code."""
        events = Events(self.daemon)
        self.addCleanup(events.close)
        log = self.world.path("slow.log")
        self.ok(*self.box("-d", "--log-uri", f"file://{log}"), "slow", "/bin/sh", "-c",
                "trap 'exit 42' TERM; echo ready; while :; do sleep 0.1; done")
        wait_for(lambda: os.path.getsize(log), "the container to be ready")
        machine = self.daemon.pids_of("slow")["qemu"]
        self.ok("task", "kill", "slow")
        wait_for(lambda: any("/tasks/exit" in line for line in events.topics("slow")), "the end to be told")
        os.kill(machine, signal.SIGSTOP)
        try:
            with subprocess.Popen(self.daemon.command("task", "rm", "slow"), env=self.world.engine_env, text=True,
                                  stderr=subprocess.PIPE) as remover:
                try:
                    with self.assertRaises(subprocess.TimeoutExpired):
                        remover.wait(2)
                    # Others are answered meanwhile, and nobody has thought the owner dead.
                    self.assertRegex(self.ok("task", "ls"), "slow .*STOPPED")
                    self.assertEqual(len(events.topics("slow")), 3)
                finally:
                    os.kill(machine, signal.SIGCONT)
                self.assertIn("task slow exit with non-zero exit code 42", remover.communicate()[1])
        finally:
            self.ctr("containers", "rm", "slow")
        wait_for(lambda: len(events.topics("slow")) == 4, "its removal to be told")
        events.close()
        topics = [line.split(None, 1) for line in events.topics("slow")]
        self.assertEqual([topic for topic, _ in topics], ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"])
        self.assertEqual([json.loads(document)["exit_status"] for _, document in topics[2:]], [42, 42])

    def test_slow_calls(self):
        """While a container is made, and while one is removed, by hooks that do not end: each other call is answered."""
        marks = {name: self.world.path(name) for name in ("made", "gone")}

        def group(document):
            document["annotations"] = {"io.containerd.runc.v2.group": "pod"}

        def hooked(document):
            group(document)
            wait = {name: {"path": "/bin/sh", "env": ["PATH=/bin:/usr/bin"], "args": [
                "sh", "-c", f"touch {path}.began; until [ -e {path} ]; do sleep 0.1; done"]} for name, path in marks.items()}
            document["hooks"] = {"createRuntime": [wait["made"]], "poststop": [wait["gone"]]}
        bundles = {each: self.world.bundle("/bin/sleep", "1000", change=hooked if each == "slow" else group)
                   for each in ("pod", "slow", "beside")}
        for each, bundle in bundles.items():
            started = self.shim("-id", each, "start", input=b"", cwd=bundle)
            self.assertEqual(started.returncode, 0, started.stderr)
        address = started.stdout.decode().strip()
        client, other = ttrpc.Client(address), ttrpc.Client(address)
        self.addCleanup(client.close)
        self.addCleanup(other.close)

        def ok(method, message, through=client, service="containerd.task.v2.Task"):
            status, answer = through.call(service, method, message)
            self.assertEqual(status, "OK", f"{method} {message}: {answer}")
            return answer

        def all_calls():
            process = {1: PROCESS, 2: json.dumps({"args": ["/bin/sh", "-c", "exit 4"], "cwd": "/", "env": [],
                                                  "user": {"uid": 0, "gid": 0}})}
            for method in ("State", "Pids", "Stats", "Connect", "Pause", "Resume"):
                ok(method, {1: "pod"})
            for method in ("PingSandbox", "SandboxStatus", "Platform", "SandboxMetrics"):
                ok(method, {1: "pod"}, service="containerd.runtime.sandbox.v1.Sandbox")
            ok("Update", {1: "pod", 2: {1: RESOURCES, 2: '{"pids": {"limit": 50}}'}})
            ok("Exec", {1: "pod", 2: "e", 7: process})
            ok("Start", {1: "pod", 2: "e"})
            ok("ResizePty", {1: "pod", 2: "e", 3: 80, 4: 25})
            self.assertEqual(ok("Wait", {1: "pod", 2: "e"})[1], [4])
            ok("Delete", {1: "pod", 2: "e"})
            ok("Create", {1: "beside", 2: bundles["beside"]})
            ok("Start", {1: "beside"})
            ok("Kill", {1: "beside", 3: 9})
            ok("Wait", {1: "beside"})
            ok("Delete", {1: "beside"})

        def beside(mark, method, message):
            """All calls, while this one waits for its hook."""
            answers = []
            thread = threading.Thread(target=lambda: answers.append(other.call("containerd.task.v2.Task", method, message)))
            thread.start()
            try:
                wait_for(lambda: os.path.exists(f"{marks[mark]}.began"), "the hook")
                all_calls()
                self.assertEqual(answers, [])
            finally:
                with open(marks[mark], "w", encoding="utf-8"):
                    pass
                thread.join()
            self.assertEqual(answers[0][0], "OK", answers)
        ok("Create", {1: "pod", 2: bundles["pod"]})
        ok("Start", {1: "pod"})
        beside("made", "Create", {1: "slow", 2: bundles["slow"]})
        ok("Start", {1: "slow"})
        ok("Kill", {1: "slow", 3: 9})
        ok("Wait", {1: "slow"})
        beside("gone", "Delete", {1: "slow"})
        ok("Kill", {1: "pod", 3: 9})
        ok("Wait", {1: "pod"})
        ok("Delete", {1: "pod"})
        ok("Shutdown", {1: "pod"})

    def test_many_layers(self):
        """More of them than mount(2) takes in one call; a mount that fails leaves no other behind."""
        layers = [self.world.path(f"layers/{'deep' * 20}/{number}/fs") for number in range(60)]
        for number, layer in enumerate(layers):
            os.makedirs(layer)
            with open(os.path.join(layer, f"file{number}"), "w", encoding="utf-8") as file:
                file.write("x")
        subprocess.run(["cp", "-a", self.world.path("rootfs/."), layers[-1]], check=True)
        lower = "lowerdir=" + ":".join(layers)
        self.assertGreater(len(lower), 4096)
        bundle = self.world.bundle("/bin/sh", "-c", "[ -e /file0 ] && [ -e /file59 ] && exit 5", rootfs=False)
        started = self.shim("-id", "l", "start", input=b"", cwd=bundle)
        self.assertEqual(started.returncode, 0, started.stderr)
        client = ttrpc.Client(started.stdout.decode().strip())
        overlay = {1: "overlay", 2: "overlay", 4: ["index=off", lower]}
        wrong = client.call("containerd.task.v2.Task", "Create", {1: "l", 2: bundle, 3: [overlay, {1: "nofs", 2: "x"}]})
        self.assertNotEqual(wrong[0], "OK")
        self.assertIn("nofs", wrong[1])
        for method, message, wanted in (("Create", {1: "l", 2: bundle, 3: [overlay]}, "OK"), ("Start", {1: "l"}, "OK")):
            status, answer = client.call("containerd.task.v2.Task", method, message)
            self.assertEqual(status, wanted, answer)
        self.assertEqual(client.call("containerd.task.v2.Task", "Wait", {1: "l"})[1][1], [5])
        self.assertEqual(client.call("containerd.task.v2.Task", "Delete", {1: "l"})[0], "OK")
        self.assertEqual(client.call("containerd.task.v2.Task", "Shutdown", {1: "l"})[0], "OK")
        client.close()

    def test_delete_with_an_owner_that_does_not_answer(self):
        """A pod loses nothing as long as its owner lives, not even if a container has the pod's name."""
        def group(document):
            document["annotations"] = {"io.containerd.runc.v2.group": "pod"}
        bundles = {each: self.world.bundle("/bin/sleep", "1000", change=group) for each in ("pod", "one", "two")}
        started = [self.shim("-id", each, "start", input=b"", cwd=bundles[each]) for each in bundles]
        with open(os.path.join(bundles["pod"], "shim.pid"), encoding="utf-8") as file:
            owner = os.pidfd_open(int(file.read()))
        try:
            self.assertEqual([each.returncode for each in started], [0, 0, 0], started)
            client = ttrpc.Client(started[0].stdout.decode().strip())
            self.delete_from_pod(owner, client, bundles)
            client.close()
        finally:
            # What tearDown() must not find, if the above has failed: without its owner all of the pod goes.
            try:
                signal.pidfd_send_signal(owner, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.close(owner)
            for each in bundles:
                self.shim("-id", each, "delete", stdin=subprocess.DEVNULL)

    def delete_from_pod(self, owner, client, bundles):
        def task(method, message):
            status, answer = client.call("containerd.task.v2.Task", method, message)
            self.assertEqual(status, "OK", f"{method} {message}: {answer}")
            return answer

        def delete(container):
            return self.shim("-id", container, "delete", stdin=subprocess.DEVNULL)
        for each, bundle in bundles.items():
            task("Create", {1: each, 2: bundle})
            task("Start", {1: each})
        signal.pidfd_send_signal(owner, signal.SIGSTOP)
        for each in ("one", "pod"):
            begin = time.monotonic()
            refused = delete(each)
            self.assertLess(time.monotonic() - begin, 5)  # as long as containerd waits
            self.assertEqual((refused.returncode, refused.stdout), (1, b""))
            self.assertRegex(refused.stderr.decode(), rf"^cannot delete container '{each}': the owner of its sandbox "
                             r"\(process \d+\) lives, and did not delete it: .* not answered within \d+ ms")
        signal.pidfd_send_signal(owner, signal.SIGCONT)
        for each in ("one", "pod"):
            tries = []  # on a busy machine the owner may miss its time, and may be asked again
            kata_cli.wait_for(lambda each=each, tries=tries: tries.append(delete(each)) or tries[-1].returncode == 0,
                              f"{each} to be deleted")
            deleted = tries[-1]
            self.assertEqual((deleted.returncode, deleted.stderr), (0, b""))
            self.assertEqual(ttrpc.decode(deleted.stdout)[2], [137])
            self.assertEqual(client.call("containerd.task.v2.Task", "State", {1: each})[0], "NOT_FOUND")
        self.assertEqual(task("State", {1: "two"})[4], [2])
        task("Kill", {1: "two", 2: "", 3: 9})
        self.assertEqual(task("Wait", {1: "two"})[1], [137])
        task("Delete", {1: "two"})
        task("Shutdown", {1: "two"})

    def test_command_line(self):
        """What the program prints, and what it does with ids that are not there."""
        shim = self.shim
        for _ in range(2):
            deleted = shim("-id", "none", "-bundle", "/nowhere", "delete", stdin=subprocess.DEVNULL)
            self.assertEqual((deleted.returncode, deleted.stderr), (0, b""))
            self.assertEqual(ttrpc.decode(deleted.stdout)[2], [137])
        info = shim("-info", input=b"")
        self.assertEqual(ttrpc.decode(info.stdout)[1], [b"io.containerd.kata.v2"])
        allowed = ttrpc.decode(ttrpc.decode(info.stdout)[5][0])
        self.assertEqual(allowed[1], [b"containerd.io/runtime-allow-mounts"])
        self.assertIn(b"erofs", allowed[2][0].split(b","))
        # Where they may not be plugged in, containerd is to mount them itself.
        without = self.world.path("no-disks.conf")
        with open(without, "w", encoding="utf-8") as file:
            file.write("[hypervisor.qemu]\ndisable_block_device_use = true\n")
        options = ttrpc.encode({1: "runtimeoptions.v1.Options", 2: ttrpc.encode({2: without})})
        self.assertNotIn(5, ttrpc.decode(shim("-info", input=options).stdout))
        self.assertRegex(shim("-v", stdin=subprocess.DEVNULL).stdout.decode(), "containerd-shim-kata-v2:\n  Version:  .*\n  Rev")
        bundle = self.world.bundle("true")
        unknown = shim("-id", "x", "start", input=ttrpc.encode({1: "some.Options", 2: b"x"}), cwd=bundle)
        self.assertEqual((unknown.returncode, unknown.stdout), (1, b""))
        self.assertIn(b"'some.Options'", unknown.stderr)
        self.assertNotIn(b"code=", unknown.stderr)  # libkata's, not its user's
        options = ttrpc.encode({1: "runtimeoptions.v1.Options", 2: ttrpc.encode({2: "/no/such.conf"})})
        missing = shim("-id", "x", "start", input=options, cwd=bundle)
        self.assertIn(b"/no/such.conf", missing.stderr)

        def annotate(document):
            document["annotations"] = {"io.katacontainers.config.hypervisor.path": "/bin/sh"}
        refused = shim("-id", "x", "start", input=b"", cwd=self.world.bundle("true", change=annotate))
        self.assertEqual((refused.returncode, refused.stdout), (1, b""))
        self.assertIn(b"'io.katacontainers.config.hypervisor.path': a pod may not set", refused.stderr)

        def join(document):
            document["annotations"] = {"io.kubernetes.cri.container-type": "container",
                                       "io.kubernetes.cri.sandbox-id": "nosuchpod"}
        missing = shim("-id", "x", "start", input=b"", cwd=self.world.bundle("true", change=join))
        self.assertIn(b"sandbox 'nosuchpod' does not exist", missing.stderr)

        def group(document):
            document["annotations"] = {"io.containerd.runc.v2.group": "g"}
        bundle = self.world.bundle("true", change=group)
        first = shim("-id", "x", "start", input=ttrpc.encode({1: "x", 2: self.daemon.namespace, 4: "2.3.0"}), cwd=bundle,
                     env=dict(self.daemon.env, SCHED_CORE="1"))
        second = shim("-id", "y", "start", input=b"", cwd=self.world.bundle("true", change=group))
        self.assertEqual((first.returncode, second.returncode), (0, 0), first.stderr + second.stderr)
        self.assertRegex(first.stdout, b"^unix:///run/kata/.*\n$")
        self.assertEqual(first.stdout, second.stdout)
        address = first.stdout.decode().strip()
        self.check_core_scheduling(bundle, os.path.dirname(address.replace("unix://", "")))
        client = ttrpc.Client(address)
        self.assertEqual(client.call("containerd.task.v2.Task", "Shutdown", {1: "x"})[0], "OK")
        client.close()

    def check_core_scheduling(self, bundle, directory):
        """A cookie of its own, or why there is none."""
        with open(os.path.join(bundle, "shim.pid"), encoding="utf-8") as file:
            pid = int(file.read())
        cookie = ctypes.c_ulonglong()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, pid, 0, ctypes.byref(cookie)) == 0 and cookie.value:
            return
        with open(os.path.join(directory, "owner.log"), encoding="utf-8") as file:
            self.assertIn("cannot set core scheduling up, as SCHED_CORE asks", file.read())


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("containerd", "ctr", "umoci"))
