#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of pods when a part of them, or containerd itself, is killed or taken away: the CRI plugin tells the end,
stops and removes the pod, nothing of it is left, and other pods go on."""
import glob
import json
import os
import signal
import subprocess
import threading
import unittest

import engines
from engines import EngineWorld, wait_for

try:
    import cri
    from cri import Cri, Failed
except ImportError as missing:
    engines.kata_cli.skip(f"{missing} (python3-grpcio)")

SLEEPER = ["/bin/sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"]
MIB = 1 << 20
NOT_READY = 1


class CriKilledTest(unittest.TestCase):
    """Beside a pod that nothing may happen to."""

    @classmethod
    def setUpClass(cls):
        cls.world = EngineWorld()
        cls.addClassCleanup(cls.world.close)
        cls.daemon = Cri(cls.world, engines.documented("Add to `config.toml", None, "docs/kubernetes.md"))
        cls.addClassCleanup(cls.end)
        cls.daemon.import_image()
        cls.beside = cls.daemon.run(cls.daemon.run_pod("beside"), "beside", *SLEEPER)
        cls.kept = set(cls.all_there_is())

    @classmethod
    def end(cls):
        try:
            cls.daemon.remove_all()
            cls.daemon.assert_nothing_left()
        finally:
            cls.daemon.stop()

    @classmethod
    def all_there_is(cls):
        """Command lines tell pods apart by their directories; containerd's own is another after each start."""
        left = [line for line in cls.world.left_overs() if "containerd --config" not in line]
        return left + cls.daemon.sandboxes_left() + glob.glob(cls.daemon.bundle("*"))

    def tearDown(self):
        wait_for(lambda: set(self.all_there_is()) <= self.kept, "all of the pod to go", 60)
        self.assertEqual(self.daemon.sh(self.beside, "echo here"), "here\n")

    def remove(self, pod):
        self.daemon.remove_pod(pod)
        with self.assertRaises(Failed):
            self.daemon.pod_status(pod)

    def is_down(self, pod):
        return cri.number(self.daemon.pod_status(pod), 3) == NOT_READY

    def pods_named(self, name):
        answer = self.daemon.call("ListPodSandbox", {})
        pods = [cri.ttrpc.decode(pod) for pod in answer.get(1, [])]
        return [cri.text(pod, 1) for pod in pods if cri.text(cri.ttrpc.decode(pod[2][0]), 1) == name]

    # ---- parts of a pod ----

    def test_parts(self):
        """Each part in another state of a container."""
        for part, state in (("owner", "running"), ("qemu", "created"), ("virtiofsd", "executing")):
            with self.subTest(part=part, state=state):
                pod = self.daemon.run_pod(f"{part}-killed")
                container = self.daemon.create(pod, "box", *SLEEPER)
                if state != "created":
                    self.daemon.call("StartContainer", {1: container})
                probe = None
                if state == "executing":
                    probe = Background(self.daemon.execute, container, "/bin/sleep", "1000")
                    wait_for(lambda container=container: "1000" in self.daemon.sh(container, "ps"), "the probe to run")
                os.kill(self.daemon.pids_of(pod)[part], signal.SIGKILL)
                wait_for(lambda pod=pod: self.is_down(pod), "the pod's end")
                if state == "created":
                    with self.assertRaises(Failed):
                        self.daemon.call("StartContainer", {1: container})
                self.daemon.wait_ended(container)
                if probe is not None:
                    # A failure, or a status that no program ends with by itself.
                    self.assertTrue(isinstance(probe.end(), Failed) or probe.end()[0] > 128, probe.end())
                with self.assertRaises(Failed):
                    self.daemon.execute(container, "/bin/true")
                self.remove(pod)

    def run_and_kill(self, name, find):
        """RunPodSandbox; what find() finds first is killed meanwhile."""
        started = Background(self.daemon.run_pod, name)
        found = []
        wait_for(lambda: found.extend(find()) or found, f"what is to be killed of {name}")
        os.kill(found[0], signal.SIGKILL)
        return started

    def machines(self):
        return set(self.world.machines())

    def owners(self):
        pids = set()
        for path in glob.glob(self.daemon.bundle("*/shim.pid")):
            with open(path, encoding="utf-8") as file:
                pids.add(int(file.read() or 0))
        return pids - {0}

    def test_while_a_pod_is_made(self):
        """RunPodSandbox fails, and has cleaned up after itself."""
        for part, list_them in (("owner", self.owners), ("qemu", self.machines)):
            with self.subTest(part):
                before = list_them()
                started = self.run_and_kill(part, lambda list_them=list_them, before=before: list_them() - before)
                self.assertIsInstance(started.end(), Failed)
                self.assertEqual(self.pods_named(part), [])

    # ---- containerd ----

    def test_containerd_while_a_pod_is_made(self):
        """As a kubelet does after that: what the plugin lists of the pod is stopped and removed."""
        before = self.machines()
        started = Background(self.daemon.run_pod, "half")
        wait_for(lambda: self.machines() - before, "its machine")
        self.daemon.kill()
        self.assertIsInstance(started.end(), Failed)
        self.daemon.start()
        for pod in self.pods_named("half"):
            self.remove(pod)

    def test_containerd_replaced(self):
        """As an upgrade does: it is told to end, another one takes its place; a pod's end meanwhile is found."""
        pod = self.daemon.run_pod("replaced")
        container = self.daemon.run(pod, "box", "/bin/sh", "-c", "until [ -e /end ]; do sleep 0.1; done; exit 5")
        self.daemon.process.terminate()
        self.daemon.process.wait()
        # Not by containerd, which shall find it ended.
        done = self.world.run("--root", self.daemon.root, "exec", container, "/bin/touch", "/end")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.daemon.start()
        self.assertEqual(self.daemon.wait_ended(container)[1], 5)
        self.assertFalse(self.is_down(pod))
        self.assertEqual(self.daemon.sh(self.daemon.run(pod, "again", *SLEEPER), "echo new"), "new\n")
        self.remove(pod)

    # ---- what a pod lives in ----

    def test_network_gone(self):
        """The mount that keeps the namespace is taken away: the pod goes on, gets containers, and is removed as any other."""
        pod = self.daemon.run_pod("network")
        container = self.daemon.run(pod, "box", *SLEEPER)
        with open(os.path.join(self.daemon.bundle(pod), "config.json"), encoding="utf-8") as file:
            namespaces = json.load(file)["linux"]["namespaces"]
        path = next(namespace["path"] for namespace in namespaces if namespace["type"] == "network")
        inside = ["nsenter", f"--mount=/proc/{self.daemon.process.pid}/ns/mnt"]
        subprocess.run([*inside, "umount", "--lazy", path], check=True)
        subprocess.run([*inside, "rm", path], check=True)
        self.assertIn("10.71.0.", self.daemon.sh(container, "ip -4 addr show eth0"))
        late = self.daemon.run(pod, "late", *SLEEPER)
        self.assertIn("10.71.0.", self.daemon.sh(late, "ip -4 addr show eth0"))
        self.remove(pod)

    def test_resized_in_place(self):
        """A machine that grows with its containers' limits."""
        pod = self.daemon.run_pod("grows", annotations={
            "io.katacontainers.config.runtime.static_sandbox_resource_mgmt": "false"})
        container = self.daemon.run(pod, "box", *SLEEPER, resources={4: 32 * MIB})
        size = "awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo; nproc"
        before = [int(word) for word in self.daemon.sh(container, size).split()]
        self.daemon.call("UpdateContainerResources", {1: container, 2: {1: 100000, 2: 200000, 4: 256 * MIB}})
        after = [int(word) for word in self.daemon.sh(container, size).split()]
        self.assertGreaterEqual(after[0], before[0] + 128)
        self.assertGreaterEqual(after[1], before[1] + 1)
        self.assertEqual(self.daemon.sh(container, "cat /sys/fs/cgroup/memory.max"), f"{256 * MIB}\n")
        self.remove(pod)


    def test_guest_that_does_not_grow(self):
        """What it refuses fails the call, and nothing but that."""
        pod = self.daemon.run_pod("refuses", annotations={
            "io.katacontainers.config.runtime.static_sandbox_resource_mgmt": "false",
            "io.katacontainers.config.hypervisor.kernel_params": "acpi_no_memhotplug"})
        container = self.daemon.run(pod, "box", *SLEEPER)
        with self.assertRaisesRegex(Failed, "the guest does not take the memory that was plugged in"):
            self.daemon.call("UpdateContainerResources", {1: container, 2: {4: 256 * MIB}})
        self.assertEqual(self.daemon.sh(container, "cat /sys/fs/cgroup/memory.max"), "max\n")
        self.assertEqual(self.daemon.status(container)[0], cri.RUNNING)
        self.assertFalse(self.is_down(pod))
        self.assertEqual(self.daemon.sh(self.daemon.run(pod, "later", *SLEEPER), "echo new"), "new\n")
        self.remove(pod)


class Background:
    """A call in a thread of its own; end() is what it returned, or its failure."""

    def __init__(self, function, *args):
        self.result = None
        self.thread = threading.Thread(target=self.run, args=(function, args))
        self.thread.start()

    def run(self, function, args):
        try:
            self.result = function(*args)
        except Failed as failed:
            self.result = failed

    def end(self):
        self.thread.join()
        return self.result


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("containerd", "ctr", "umoci", "ip", "iptables", "nsenter",
                                                  f"{cri.PLUGINS}/bridge"))
