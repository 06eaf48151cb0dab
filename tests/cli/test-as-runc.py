#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same commands under the host's runc and under katactl, in each state of a container: exit status, output and error
texts are the same."""
import json
import os
import re
import shutil
import subprocess
import unittest

import kata_cli

NOBODY = [["state"], ["start"], ["kill"], ["kill", "ID", "0"], ["kill", "--all", "ID", "9"], ["delete"],
          ["delete", "--force"], ["exec", "ID", "true"], ["pause"], ["resume"], ["ps"], ["events"], ["events", "--stats"],
          ["update"], ["update", "--memory", "1m"], ["checkpoint"]]
USAGE = [["--log-format", "xml", "list"], ["list", "--format", "xml"]]
# State -> commands that leave it as it is.
IN_STATE = {
    "created": [["create"], ["run"], ["resume"], ["exec", "ID", "echo", "early"], ["kill", "ID", "0"],
                ["exec", "--cwd", "relative", "ID", "true"], ["exec", "--tty", "--detach", "ID", "true"],
                ["exec", "--console-socket", "/s", "ID", "true"], ["list", "--quiet"]],
    "running": [["create"], ["run"], ["start"], ["delete"], ["resume"], ["kill", "ID", "0"], ["kill", "ID", "USR1"],
                ["exec", "ID", "sh", "-c", "echo out; echo err >&2; exit 5"], ["exec", "--env", "A=B C", "ID", "sh", "-c", "echo $A"],
                ["exec", "--user", "5:6", "--additional-gids", "7", "ID", "id"], ["exec", "--cwd", "/tmp", "ID", "pwd"],
                ["exec", "--no-new-privs", "ID", "grep", "NoNewPrivs", "/proc/self/status"], ["exec", "--user", "5", "ID", "id"],
                ["exec", "--cap", "CAP_CHOWN", "--cap", "CAP_SYS_PTRACE", "ID", "grep", "-E", "^Cap(Prm|Eff|Bnd)", "/proc/self/status"],
                ["exec", "--process-label", "", "--apparmor", "", "ID", "echo", "unlabelled"],
                ["exec", "--ignore-paused", "ID", "echo", "not paused"],
                ["update", "--cpu-share", "512"], ["list", "--quiet"]],
    "paused": [["create"], ["run"], ["start"], ["delete"], ["pause"], ["exec", "ID", "true"], ["kill", "ID", "0"]],
    "stopped": [["create"], ["run"], ["start"], ["kill"], ["kill", "ID", "9"], ["kill", "--all", "ID", "9"], ["pause"],
                ["resume"], ["exec", "ID", "true"], ["events"], ["events", "--stats"], ["update", "--pids-limit", "5"],
                ["checkpoint"], ["list", "--quiet"], ["ps", "--format", "json"]],
}
# What is not the host's, or the moment's.
VARIES = [(r'time="[^"]*"', "time"), (r"\bkatactl\b", "runc"), (r" *20\d\d-\d\d-\d\dT[0-9:.]+Z *", " WHEN ")]


def form(value):
    """A document's keys in their order, and the kinds of its values."""
    if isinstance(value, dict):
        return [(key, form(one)) for key, one in value.items()]
    return [form(one) for one in value[:1]] if isinstance(value, list) else type(value).__name__


@unittest.skipIf(shutil.which("runc") is None, "no runc is installed")
class AsRunc(kata_cli.CliTest):
    def setUp(self):
        super().setUp()
        # One that ends at TERM is ended by it in either.
        # runc's "exec --cap" needs some that it adds to.
        capabilities = {part: ["CAP_KILL"] for part in ("bounding", "effective", "permitted")}
        self.bundles = {name: self.world.bundle("sh", "-c", "trap : USR1; trap 'exit 3' TERM; while :; do sleep 0.1; done",
                                                change=lambda d: d["process"].update(capabilities=capabilities))
                        for name in ("runc", "katactl")}
        self.addCleanup(self.call, "runc", "delete", "--force", "c1")

    def call(self, name, command, *args):
        program = [kata_cli.KATACTL] if name == "katactl" else ["runc", "--root", self.world.path("runc")]
        flags = ["--bundle", self.bundles[name]] if command in ("create", "run") else []
        with open(self.world.path(f"{name}.out"), "w+", encoding="utf-8") as out, \
                open(self.world.path(f"{name}.err"), "w+", encoding="utf-8") as err:
            done = subprocess.run([*program, command, *flags, *args], env=self.world.env, stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=err, timeout=kata_cli.PATIENCE, check=False)
            out.seek(0)
            err.seek(0)
            return done.returncode, out.read(), err.read()

    def clean(self, text, name):
        text = text.replace(self.bundles[name], "BUNDLE")
        for pattern, word in VARIES:
            text = re.sub(pattern, word, text)
        return text.strip()

    def both(self, *args):
        results = {name: self.call(name, *args) for name in self.bundles}
        return {name: (status, self.clean(out, name), self.clean(err, name)) for name, (status, out, err) in results.items()}

    def same(self, *args):
        both = self.both(*args)
        with self.subTest(command=" ".join(args)):
            # katactl may say more behind runc's words.
            status, out, err = both["katactl"]
            expected = both["runc"]
            begin = expected[2].rstrip('"')
            self.assertEqual((status, out, err[:len(begin)]), (*expected[:2], begin), both)
        return both["runc"][0]

    def try_all(self, state):
        for command, *args in IN_STATE[state]:
            self.same(command, *([arg if arg != "ID" else "c1" for arg in args] if "ID" in args else
                                 [*args, *(["c1"] if command != "list" else [])]))
        self.documents(state)

    def documents(self, state):
        """Those with values that differ: the same keys, in the same order, of the same kinds."""
        documents = {}
        for name in self.bundles:
            text = self.call(name, "state", "c1")[1]
            documents[name] = json.loads(text)
            self.assertEqual(documents[name]["status"], state)
            self.assertEqual(documents[name]["pid"] == 0, state == "stopped")
            self.assertTrue(text.startswith('{\n  "ociVersion": "1.'))
            self.assertTrue(text.endswith('\n  "owner": ""\n}'))
        self.assertEqual(form(documents["runc"]), form(documents["katactl"]))
        lists = self.both("list", "--format", "json")
        self.assertEqual(form(json.loads(lists["runc"][1].replace(" WHEN ", "WHEN"))),
                         form(json.loads(lists["katactl"][1].replace(" WHEN ", "WHEN"))))
        tables = [re.sub(r"\bc1 +\d+ +", "c1 PID ", self.clean(self.both("list")[name][1], name)) for name in self.bundles]
        words = [[line.split() for line in table.splitlines()] for table in tables]
        self.assertEqual(words[0], words[1])
        self.assertEqual(len(words[0]), 2)

    def test_a_life(self):
        for command, *args in NOBODY:
            self.same(command, *([arg if arg != "ID" else "c1" for arg in args] if "ID" in args else [*args, "c1"]))
        for args in USAGE:
            both = [subprocess.run([program, *args], env=self.world.env, capture_output=True, text=True, check=False)
                    for program in ("runc", kata_cli.KATACTL)]
            self.assertEqual(*[(one.returncode, self.clean(one.stderr, "runc")) for one in both])
        self.assertEqual(self.same("create", "c1"), 0)
        self.try_all("created")
        self.assertEqual(self.same("start", "c1"), 0)
        self.try_all("running")
        events = [json.loads(self.call(name, "events", "--stats", "c1")[1]) for name in self.bundles]
        self.assertEqual(list(events[0]), list(events[1]))
        self.assertLessEqual({"cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"}, set(events[1]["data"]))
        data = [event["data"] for event in events]
        self.assertLessEqual(set(data[0]), set(data[1]))
        # But for what only version 1 of cgroups has.
        for part in ("cpu", "cpuset", "memory", "pids"):
            self.assertLessEqual(set(data[0][part]) - {"cpus", "mems"}, set(data[1][part]), part)
        self.assertLessEqual({"total", "kernel", "user"}, set(data[1]["cpu"]["usage"]))
        for part in ("usage", "swap", "kernel", "kernelTCP"):
            self.assertLessEqual(set(data[0]["memory"][part]), set(data[1]["memory"][part]), part)
        for name in self.bundles:
            status, out, _ = self.call(name, "ps", "--format", "json", "c1")
            self.assertEqual((status, json.loads(out)[0]), (0, json.loads(self.call(name, "state", "c1")[1])["pid"]))
            status, out, _ = self.call(name, "ps", "c1")
            self.assertEqual((status, out.splitlines()[0].split()), (0, "UID PID PPID C STIME TTY TIME CMD".split()))
            self.assertIn("trap : USR1", out)
        self.assertEqual(self.same("pause", "c1"), 0)
        self.try_all("paused")
        self.assertEqual(self.same("resume", "c1"), 0)
        self.assertEqual(self.same("kill", "c1"), 0)
        for name in self.bundles:
            kata_cli.wait_for(lambda: json.loads(self.call(name, "state", "c1")[1])["status"] == "stopped", "the end")
        self.try_all("stopped")
        self.assertEqual(self.same("delete", "c1"), 0)
        self.assertNotEqual(self.same("delete", "c1"), 0)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
