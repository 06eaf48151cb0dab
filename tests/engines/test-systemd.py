#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Scopes of a real systemd: katactl's own, and Podman's with its systemd cgroup manager. The tests themselves run in
the namespaces of that systemd, in a scope."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import engines
from engines import IMAGE, EngineTest, Podman, wait_for
from systemd import Systemd, require_systemd

INSIDE = "--inside"
MIB = 1 << 20


def show(unit, *properties):
    """Of systemd's properties."""
    output = subprocess.run(["systemctl", "show", f"--property={','.join(properties)}", unit], check=True,
                            capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in output.splitlines())


def is_gone(unit):
    return show(unit, "ActiveState")["ActiveState"] == "inactive"


def units_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
        return {line.rstrip("\n").split(":", 2)[2] for line in file}


class Scopes(EngineTest):
    def bundle(self, name):
        return self.world.bundle("sleep", "1000", change=lambda d: d["linux"].update(
            cgroupsPath=f"katatest.slice:kata:{name}", resources={"memory": {"limit": 64 * MIB}, "cpu": {"shares": 512}}))

    def create(self, name):
        self.ok("--systemd-cgroup", "create", "--bundle", self.bundle(name), name)
        return self.world.state(name)["pid"]

    def test_life(self):
        pid = self.create("c1")
        unit = "kata-c1.scope"
        known = show(unit, "ActiveState", "Slice", "Delegate", "ControlGroup", "MemoryLimit", "MemoryMax", "CPUShares",
                     "CPUWeight")
        self.assertEqual([known[name] for name in ("ActiveState", "Slice", "Delegate", "ControlGroup")],
                         ["active", "katatest.slice", "yes", "/katatest.slice/kata-c1.scope"])
        self.assertIn(str((256 + 64 + 1280) * MIB), (known["MemoryLimit"], known["MemoryMax"]))
        self.assertTrue(known["CPUShares"] == "512" or known["CPUWeight"] == "20", known)
        # The container's process, its machine and what serves that, all of them.
        members = {os.path.basename(line.split()[0]): process for process, line in self.world.processes()}
        self.assertLessEqual({"containerd-shim-kata-v2", "virtiofsd", "qemu-system-x86_64"}, members.keys())
        for process in (pid, *members.values()):
            self.assertIn("/katatest.slice/kata-c1.scope", units_of(process))
        self.ok("start", "c1")
        self.ok("update", "--memory", "-1", "--memory-swap", "-1", "c1")
        known = show(unit, "MemoryLimit", "MemoryMax")
        self.assertEqual(set(known.values()), {"infinity"})
        self.ok("delete", "--force", "c1")
        wait_for(lambda: is_gone(unit), "the scope to go", 15)

    def test_name_that_is_taken(self):
        other = subprocess.Popen(["systemd-run", "--scope", "--quiet", "--unit=kata-c2.scope", "sleep", "1000"])
        wait_for(lambda: not is_gone("kata-c2.scope"), "the other scope", 15)
        text = self.fails("cannot make the scope 'kata-c2.scope' in 'katatest.slice'", "--systemd-cgroup", "create", "--bundle",
                          self.bundle("c2"), "c2")
        self.assertIn("already", text)
        self.assertIsNone(other.poll())
        other.kill()
        other.wait()

    def test_stopped_by_systemd(self):
        self.create("c3")
        self.ok("start", "c3")
        begin = time.monotonic()
        subprocess.run(["systemctl", "stop", "kata-c3.scope"], check=True)
        self.assertLess(time.monotonic() - begin, 30)  # without the SIGKILL that comes after 90 s
        wait_for(lambda: is_gone("kata-c3.scope"), "the scope to go", 15)
        self.assertEqual(self.world.processes(), [])
        # As with runc: it is known until somebody deletes it.
        for _ in range(2):
            self.assertEqual([self.world.state("c3")[name] for name in ("status", "pid")], ["stopped", 0])
        self.assertIn("stopped", self.ok("list"))
        self.fails("cannot exec in a stopped container", "exec", "c3", "true", status=255)
        self.ok("delete", "c3")
        self.assertIn("does not exist", self.fails("", "state", "c3"))
        self.world.assert_nothing_left()


class PodmansScopes(EngineTest):
    def test_podman(self):
        podman = Podman(self.world)
        scoped = ["--cgroup-manager", "systemd"]
        self.assertEqual(podman.ok(*scoped, "run", "--rm", "--network", "none", IMAGE, "echo", "hello"), "hello")
        podman.ok(*scoped, "run", "-d", "-m", "64m", "--name", "p", "--network", "none", IMAGE, "sleep", "1000")
        identity, pid = podman.ok("inspect", "--format", "{{.Id}} {{.State.Pid}}", "p").split()
        unit = f"libpod-{identity}.scope"
        self.assertIn(f"/machine.slice/{unit}", units_of(pid))
        self.assertEqual(show(unit, "ActiveState", "Slice"), {"ActiveState": "active", "Slice": "machine.slice"})
        self.assertEqual(podman.ok("exec", "p", "echo", "again"), "again")
        podman.ok(*scoped, "rm", "-ft", "0", "p")
        wait_for(lambda: is_gone(unit), "the scope to go", 15)


def main():
    engines.require("podman")
    require_systemd()
    if sys.argv[1:2] == [INSIDE]:
        del sys.argv[1]
        engines.kata_cli.main()
    base = tempfile.mkdtemp(prefix="kata-systemd-")
    systemd = Systemd(base)
    try:
        sys.exit(systemd.run(sys.executable, os.path.abspath(__file__), INSIDE, *sys.argv[1:]).returncode)
    finally:
        systemd.close()
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
