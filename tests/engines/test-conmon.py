#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""conmon alone, as Podman and CRI-O call it."""
import glob
import json
import os
import socket
import subprocess
import uuid

import engines
from engines import EngineTest, wait_for


class ConmonTest(EngineTest):
    def setUp(self):
        super().setUp()
        self.runtime = self.world.runtime("kata")

    def conmon(self, container, bundle, *options, process=None):
        """Starts conmon for a container, or for process in it; returns its directory and what it tells its caller."""
        place = self.world.path(f"conmon-{uuid.uuid4().hex[:8]}")
        for folder in ("exits", "persist"):
            os.makedirs(os.path.join(place, folder))
        told, tell = os.pipe()
        environment = dict(self.world.engine_env, _OCI_SYNCPIPE=str(tell))
        command = ["conmon", "--api-version", "1", "-c", container, "-u", uuid.uuid4().hex, "-r", self.runtime,
                   "-b", place if process else bundle, "-p", f"{place}/pidfile", "-n", "name", "--exit-dir", f"{place}/exits",
                   "--persist-dir", f"{place}/persist", "--full-attach", "-l", f"k8s-file:{place}/log",
                   "--log-level", "error", "--socket-dir-path", place, *options]
        if process is not None:
            with open(f"{place}/process.json", "w", encoding="utf-8") as file:
                json.dump(process, file)
            command += ["-e", "--exec-process-spec", f"{place}/process.json"]
        conmon = subprocess.Popen(command, env=environment, pass_fds=[tell], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL)
        os.close(tell)
        with os.fdopen(told, encoding="utf-8") as file:
            lines = [json.loads(line) for line in [file.readline()] if line]
        self.assertTrue(lines, "conmon told nothing")
        conmon.wait()  # the one that stays is its child, and now ours
        return place, lines[-1]

    def read(self, path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def exit_status(self, place):
        # conmon writes NAME.XXXXXX and renames it.
        found = lambda: [path for path in glob.glob(f"{place}/exits/*") if "." not in os.path.basename(path)]
        wait_for(found, "conmon's exit file")
        return int(self.read(found()[0]))

    def lines(self, place, stream):
        return [line.split(" ", 3)[3] for line in self.read(f"{place}/log").splitlines() if line.split(" ")[1] == stream]

    def kata(self, *args):
        return self.world.engine(self.runtime, *args)

    def test_life_of_a_container_with_an_exec(self):
        bundle = self.world.bundle("sh", "-c", "echo out; echo err >&2; read line; echo \"got $line\"; exit 42")
        place, told = self.conmon("c1", bundle, "-i")
        self.assertGreater(told.get("data", -1), 0, told)
        self.assertEqual(self.read(f"{place}/pidfile"), str(told["data"]))
        # It stands for the container: a child of conmon's, not of katactl's.
        self.assertEqual(self.read(f"/proc/{told['data']}/stat").rsplit(")", 1)[1].split()[1], str(self.find_conmon()))
        started = self.kata("start", "c1")
        self.assertEqual((started.returncode, started.stderr), (0, ""))
        wait_for(lambda: self.lines(place, "stderr") == ["err"], "the container's words in the log")

        process = {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["sh", "-c", "echo inside; exit 7"],
                   "env": ["PATH=/bin"], "cwd": "/"}
        inside, told_exec = self.conmon("c1", bundle, process=process)
        self.assertGreater(told_exec.get("data", -1), 0, told_exec)
        self.assertEqual(self.exit_status(inside), 7)
        self.assertEqual(self.lines(inside, "stdout"), ["inside"])

        process["args"] = ["/nowhere/to/be/found"]
        nowhere, told_nowhere = self.conmon("c1", bundle, process=process)
        self.assertEqual(told_nowhere.get("data"), -1, told_nowhere)
        self.assertRegex(told_nowhere["message"], "(?i)no such file or directory|executable file not found")
        self.assertFalse(os.path.exists(f"{nowhere}/pidfile"))

        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as attach:
            attach.connect(f"{bundle}/attach")
            attach.send(b"hello\n")
            self.assertEqual(self.exit_status(place), 42)
        self.assertEqual(self.lines(place, "stdout"), ["out", "got hello"])
        self.assertEqual(self.kata("delete", "c1").returncode, 0)

    def find_conmon(self):
        found = [line for line in self.world.processes() if line[1].startswith("conmon")]
        self.assertEqual(len(found), 1, found)
        return found[0][0]

    def test_create_that_fails_tells_why(self):
        bundle = self.world.bundle("/nowhere/to/be/found")
        _, told = self.conmon("c2", bundle)
        self.assertEqual(told.get("data"), -1, told)
        self.assertRegex(told["message"], "(?i)no such file or directory|executable file not found")
        self.assertEqual(self.kata("delete", "--force", "c2").returncode, 0)

    def test_terminal_and_signal_through_conmon(self):
        bundle = self.world.bundle("sh", "-c", "trap 'exit 9' TERM; tty; while :; do sleep 0.1; done", terminal=True)
        place, told = self.conmon("c3", bundle, "-t")
        self.assertGreater(told.get("data", -1), 0, told)
        pid = self.find_conmon()
        self.assertEqual(self.kata("start", "c3").returncode, 0)
        wait_for(lambda: any("/dev/pts/0" in line for line in self.lines(place, "stdout")), "a terminal in the container")
        os.kill(pid, 15)
        self.assertEqual(self.exit_status(place), 9)
        self.assertEqual(self.kata("delete", "c3").returncode, 0)


if __name__ == "__main__":
    engines.kata_cli.become_subreaper()
    engines.kata_cli.main(lambda: engines.require("conmon"))
