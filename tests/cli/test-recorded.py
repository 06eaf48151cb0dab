#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command lines that Podman's conmon and containerd's runc shim gave their runtime, one after the other, with the
descriptors they had open: tests/data/runtime-calls.txt. All of them succeed, and do what their caller counts on."""
import array
import json
import os
import re
import socket
import subprocess

import kata_cli

CALLS = os.path.join(kata_cli.SOURCE, "tests/data/runtime-calls.txt")
# It tells of signals, and goes on.
LISTENER = ["sh", "-c", "for s in USR1 TERM; do trap \"echo $s >>/told\" $s; done; echo ready >>/told; while :; do sleep 0.1; done"]


def read_calls(caller):
    """[(descriptors, words)]"""
    with open(CALLS, encoding="utf-8") as file:
        part = file.read().split(f"[{caller}]\n")[1].split("\n[")[0]
    lines = [line.split(" ", 1) for line in part.splitlines() if line]
    return [([int(number) for number in numbers.split(",")], words.split()) for numbers, words in lines]


class Recorded(kata_cli.CliTest):
    def setUp(self):
        super().setUp()
        self.places = {}
        self.consoles = {}

    def prepare(self, caller, container, *args, terminal=False):
        """What the caller has laid out before its first call."""
        base = self.world.path(caller)
        os.makedirs(base, exist_ok=True)
        bundle = self.world.bundle(*args, terminal=terminal)
        self.places[container] = {"bundle": bundle, "base": base}
        process = {"args": ["sh", "-c", "tty >/exec; echo $A >>/exec; sleep 1000"], "cwd": "/", "env": ["PATH=/bin", "A=of the exec"],
                   "user": {"uid": 0, "gid": 0}}
        for path in (f"{bundle}/exec-process", f"{base}/process"):
            self.write(path, json.dumps(process))
        self.write(f"{base}/resources", json.dumps({"pids": {"limit": 99}}))
        return bundle

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def listen(self, path):
        """Where a terminal's master is to arrive."""
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        if os.path.exists(path):
            os.unlink(path)
        listener.bind(path)
        listener.listen()
        return listener

    def take_terminal(self, listener):
        connection = listener.accept()[0]
        with connection:
            _, ancillary, _, _ = connection.recvmsg(256, socket.CMSG_SPACE(4))
        master = array.array("i", ancillary[0][2])[0]
        self.addCleanup(os.close, master)
        self.assertTrue(os.isatty(master))
        return master

    def call(self, container, numbers, words):
        places = self.places[container]
        words = [word.replace("{base}/root", self.world.root).format(**places).replace("ID", container) for word in words]
        listener = self.listen(words[words.index("--console-socket") + 1]) if "--console-socket" in words else None
        if "--tty" in words:
            path = words[words.index("--process") + 1]
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
            self.write(path, json.dumps(dict(document, terminal=True)))
        extra = [number for number in numbers if number > 2]
        with open(os.devnull, "rb") as null, open(self.world.path("out"), "w+", encoding="utf-8") as out:
            def place():
                for number in extra:
                    os.dup2(null.fileno(), number)
            done = subprocess.run([kata_cli.KATACTL, *words], env=self.world.env, cwd=places["bundle"], preexec_fn=place,
                                  close_fds=False, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                  timeout=kata_cli.PATIENCE, check=False)
            out.seek(0)
            said = out.read()
        self.assertEqual(done.returncode, 0, f"{words}: {said}")
        if listener:
            self.take_terminal(listener)
        if "--pid-file" in words:
            with open(words[words.index("--pid-file") + 1], encoding="utf-8") as file:
                os.kill(int(file.read()), 0)  # its process is there
        return said

    def told(self, container, wanted):
        """What the container has written of the signals it got."""
        path = os.path.join(self.places[container]["bundle"], "rootfs/told")

        def read():
            if not os.path.exists(path):
                return None
            with open(path, encoding="utf-8") as file:
                return file.read()
        kata_cli.wait_for(lambda: read() == wanted, f"'{wanted}' in {path}")

    def status(self, container):
        return self.world.state(container)["status"]

    def exec_said(self, container, wanted):
        path = os.path.join(self.places[container]["bundle"], "rootfs/exec")

        def read():
            if not os.path.exists(path):
                return ""
            with open(path, encoding="utf-8") as file:
                return file.read()
        kata_cli.wait_for(lambda: re.fullmatch(wanted, read()), f"'{wanted}' in {path}")

    def test_podman(self):
        calls = read_calls("podman")
        first, second = calls[:11], calls[12:]
        self.prepare("podman", "box", *LISTENER)
        after = {"create": lambda: self.assertEqual(self.status("box"), "created"),
                 "start": lambda: self.told("box", "ready\n"),
                 "pause": lambda: self.assertEqual(self.status("box"), "paused"),
                 "resume": lambda: self.assertEqual(self.status("box"), "running"),
                 "update": lambda: self.assertEqual(self.ok("exec", "box", "cat", "/sys/fs/cgroup/pids.max"), "99\n"),
                 "kill ID 10": lambda: self.told("box", "ready\nUSR1\n"), "kill ID 15": lambda: self.told("box", "ready\nUSR1\nTERM\n"),
                 "kill ID 9": lambda: self.world.wait_status("box", "stopped"),
                 "exec": lambda: self.exec_said("box", "not a tty\nof the exec\n"),
                 "exec --tty": lambda: self.exec_said("box", "/dev/pts/[0-9]+\nof the exec\n")}
        self.show_cgroup("box")
        for numbers, words in first:
            said = self.call("box", numbers, words)
            key = " ".join(words) if words[0] == "kill" else "exec --tty" if "--tty" in words else words[0]
            after.get(key, lambda: None)()
            self.assertEqual(said, "")
        self.assertNotEqual(self.world.run("state", "box").returncode, 0)
        self.assertRegex(self.call("box", *calls[11]), r"(?m)^katactl version |^runc version |^spec: 1\.")
        self.prepare("podman", "terminal", "sh", terminal=True)
        for numbers, words in second:
            self.call("terminal", numbers, words)
        self.assertEqual(self.ok("list", "-q"), "")

    def show_cgroup(self, container):
        path = os.path.join(self.places[container]["bundle"], "config.json")
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        document["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"})
        self.write(path, json.dumps(document))

    def test_containerds_runc_shim(self):
        """It looks for words in log.json only when a call fails, and deletes once more what it has deleted."""
        for container, args, terminal in (("l1", ["true"], False), ("l3", ["tty"], True), ("l2", LISTENER, False)):
            self.prepare("runc-shim", container, *args, terminal=terminal)
        for numbers, words in read_calls("containerd-shim-runc-v2"):
            container, command = words[-1], words[6]
            if command == "kill":
                container = words[-2]
            if command == "delete" and "--force" not in words:
                self.world.wait_status(container, "stopped")
            said = self.call(container, numbers, words)
            if command == "exec":
                self.exec_said(container, "not a tty\nof the exec\n")
            if command == "ps":
                pids = json.loads(said)
                self.assertTrue(len(pids) > 1 and all(isinstance(pid, int) for pid in pids), said)
            elif command in ("pause", "resume"):
                self.assertEqual((self.status(container), said), ({"pause": "paused", "resume": "running"}[command], ""))
            else:
                self.assertEqual(said, "")
        self.assertEqual(self.ok("list", "-q"), "")


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
