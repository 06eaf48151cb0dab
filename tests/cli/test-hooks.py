#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hooks of config.json: each at its time, with the right state, in the right place; and what a failing one does."""
import json
import os

import kata_cli

HOST_POINTS = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]


class HookTest(kata_cli.CliTest):
    def setUp(self):
        super().setUp()
        self.log = self.world.path("log")

    def script(self, point, rest=""):
        """Appends its name to the log and keeps what it is told."""
        return (f"echo {point} >> {self.log}; cat > {self.log}.{point}; pwd > {self.log}.{point}.cwd; "
                f"/usr/bin/readlink /proc/self/ns/net /proc/self/ns/mnt > {self.log}.{point}.ns; {rest}")

    def hook(self, point, rest="", **members):
        return dict(path="/bin/sh", args=["sh", "-c", self.script(point, rest)], env=["ONLY=this"], **members)

    def logged(self, point=None, what=""):
        path = self.log if point is None else f"{self.log}.{point}{what}"
        try:
            with open(path, encoding="utf-8") as file:
                return file.read().split("\n")[:-1] if point is None or what else json.load(file)
        except FileNotFoundError:
            return []

    def namespaces(self, pid="self"):
        return [os.readlink(f"/proc/{pid}/ns/{name}") for name in ("net", "mnt")]


class InTurn(HookTest):
    def test_a_whole_life(self):
        """All six, and what the first ones make in the root file system is there in the guest."""
        hooks = {point: [self.hook(point)] for point in HOST_POINTS}
        hooks["startContainer"] = [{"path": "/bin/sh", "args": ["sh", "-c", "cat > /tmp/told; hostname > /tmp/host"]}]
        bundle = self.world.bundle("sh", "-c", "cat /tmp/made; sleep 1000", change=lambda d: d.update(
            hooks=hooks, annotations={"k": "v"}))
        made = os.path.join(bundle, "rootfs/tmp/made")
        hooks["prestart"].append({"path": "/bin/sh", "args": ["sh", "-c", f"echo made > {made}"]})
        with open(os.path.join(bundle, "config.json"), "r+", encoding="utf-8") as file:
            document = dict(json.load(file), hooks=hooks)
            file.seek(0)
            json.dump(document, file)

        self.ok("create", "--bundle", bundle, "c1")
        pid = self.world.state("c1")["pid"]
        self.assertEqual(self.logged(), ["prestart", "createRuntime", "createContainer"])
        told = {"ociVersion": "1.0.2", "id": "c1", "status": "creating", "pid": pid, "bundle": bundle,
                "annotations": {"k": "v"}}
        for point in self.logged():
            self.assertEqual(self.logged(point), told)
            self.assertEqual(self.logged(point, ".cwd"), [bundle])
        for point in ("prestart", "createRuntime"):
            self.assertEqual(self.logged(point, ".ns"), self.namespaces())
        self.assertEqual(self.logged("createContainer", ".ns"), [self.namespaces(pid)[0], self.namespaces()[1]])

        self.ok("start", "c1")
        self.assertEqual(self.logged()[3:], ["poststart"])
        self.assertEqual(self.logged("poststart"), dict(told, status="running"))
        self.assertEqual(self.logged("poststart", ".ns"), self.namespaces())
        # The container's own hook runs after "start" has returned.
        host = os.path.join(bundle, "rootfs/tmp/host")
        kata_cli.wait_for(lambda: os.path.exists(host) and os.path.getsize(host) > 0, "the startContainer hook")
        self.assertEqual(self.ok("exec", "c1", "cat", "/tmp/made", "/tmp/host"), "made\nbox\n")
        inside = json.loads(self.ok("exec", "c1", "cat", "/tmp/told"))
        self.assertEqual(inside["id"], "c1")

        self.ok("delete", "--force", "c1")
        self.assertEqual(self.logged()[4:], ["poststop"])
        told.pop("pid")
        self.assertEqual(self.logged("poststop"), dict(told, status="stopped"))
        self.assertEqual(self.logged("poststop", ".ns"), self.namespaces())

    def test_failing_at_the_end(self):
        """A poststart hook that fails takes the container along; poststop hooks cannot change anything any more."""
        bundle = self.world.bundle("sleep", "1000", change=lambda d: d.update(hooks={
            "poststart": [self.hook("poststart", "exit 4")],
            "poststop": [self.hook("poststop", "exit 5"), self.hook("second")]}))
        self.ok("create", "--bundle", bundle, "c1")
        self.fails("error running poststart hook #0: exit status 4, stdout: , stderr: ", "start", "c1")
        self.world.wait_status("c1", "stopped")
        self.ok("delete", "c1")
        self.assertEqual(self.logged(), ["poststart", "poststop", "second"])


class Failing(HookTest):
    """Before the guest is started: no boot."""

    def refuse(self, text, hooks, expected):
        bundle = self.world.bundle("true", change=lambda d: d.update(hooks=hooks))
        for command in ("create", "run"):
            if os.path.exists(self.log):
                os.remove(self.log)
            pid_file = self.world.path("pid")
            self.fails(f"katactl {command} failed: {text}", command, "--bundle", bundle, "--pid-file", pid_file, "c1")
            self.assertEqual(self.logged(), expected)
            self.assertFalse(os.path.exists(pid_file))
            self.world.assert_nothing_left()

    def test_status(self):
        for point in HOST_POINTS[:3]:
            self.refuse(f"error running {point} hook #1: exit status 7, stdout: said, stderr: why",
                        {point: [self.hook("one"), self.hook("two", "echo said; echo why >&2; exit 7"),
                                 self.hook("three")], "poststop": [self.hook("last")]}, ["one", "two", "last"])

    def test_timeout(self):
        self.refuse("error running prestart hook #0: hook ran past specified timeout of 1.0s",
                    {"prestart": [self.hook("slow", "exec /bin/sleep 600", timeout=1)]}, ["slow"])

    def test_missing_program(self):
        self.refuse("error running createRuntime hook #0: cannot start '/none/hook'",
                    {"createRuntime": [{"path": "/none/hook"}], "poststop": [self.hook("last")]}, ["last"])


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
