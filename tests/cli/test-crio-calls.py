#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pod by the calls that CRI-O makes for a handler of runtime_type "vm": no address of containerd, no options on the
start's standard input, the settings file named by Create, and a connection made anew from the bundle's file "address"."""
import json
import os
import subprocess
import sys

import kata_cli
from kata_cli import OWNER, SOURCE, wait_for

sys.path.insert(0, os.path.join(SOURCE, "tests/engines"))
import ttrpc  # noqa: E402  pylint: disable=wrong-import-position

CRIO = "io.kubernetes.cri-o"
PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process"
RESOURCES = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
RUNNING, STOPPED = 2, 3


class CrioTest(kata_cli.CliTest):
    # The memory tells whose settings file was read.
    settings = [("hypervisor.qemu", "default_memory", "192"), ("hypervisor.qemu", "enable_annotations", '["kernel_params"]')]

    def setUp(self):
        super().setUp()
        self.netns = f"kata-crio-{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        self.addCleanup(subprocess.run, ["ip", "netns", "del", self.netns], check=False)

    def bundle(self, kind, *command, **resources):
        """As CRI-O writes it: the namespaces of a pod have paths."""
        def change(document):
            document["annotations"] = {f"{CRIO}.ContainerType": kind, f"{CRIO}.SandboxID": "pod", f"{CRIO}.Namespace": "default",
                                       "io.katacontainers.config.hypervisor.kernel_params": "pod=crio"}
            for entry in document["linux"]["namespaces"]:
                if entry["type"] in ("ipc", "uts"):
                    entry["path"] = f"/run/{entry['type']}ns/pod"
                if entry["type"] == "network":
                    entry["path"] = f"/run/netns/{self.netns}"
            document["linux"]["resources"] = resources
            document["mounts"] += [{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
                                   {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}]
        path = self.world.bundle(*command, change=change)
        os.mkfifo(os.path.join(path, "log"))
        return path

    def start(self, container, bundle):
        """The words of the program, which are an address."""
        log = os.open(os.path.join(bundle, "log"), os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, log)
        env = dict(self.world.env, TTRPC_ADDRESS="", GRPC_ADDRESS="", NAMESPACE="default", MAX_SHIM_VERSION="2")
        for name in ("KATA_CONFIG", "KATA_CONF_FILE"):
            env.pop(name, None)
        # -root alone is this test's.
        said = subprocess.run([OWNER, "-namespace", "default", "-address", "", "-publish-binary", "/usr/bin/crio", "-id",
                               container, "-root", self.world.root, "start"], cwd=bundle, env=env, text=True, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(said.returncode, 0, said.stdout)
        return said.stdout.strip()

    def connect(self, bundle):
        """As CRI-O does after a start of its own."""
        with open(os.path.join(bundle, "address"), encoding="utf-8") as file:
            client = ttrpc.Client(file.read().strip())
        self.addCleanup(client.close)

        def task(method, message, wanted="OK"):
            status, answer = client.call("containerd.task.v2.Task", method, message)
            self.assertEqual(status, wanted, f"{method}: {answer}")
            return answer
        return task

    def create(self, task, container, bundle, **streams):
        options = {1: "runtimeoptions.v1.Options", 2: ttrpc.encode({2: self.world.config})}
        task("Create", {1: container, 2: bundle, 6: streams.get("stdout", ""), 10: options})
        task("Start", {1: container})

    def execute(self, task, container, name, script):
        out = self.world.path(f"out-{name}")
        process = json.dumps({"args": ["/bin/sh", "-c", script], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}})
        task("Exec", {1: container, 2: name, 5: f"file://{out}", 7: {1: PROCESS, 2: process}})
        task("Start", {1: container, 2: name})
        self.assertEqual(task("Wait", {1: container, 2: name}).get(1, [0]), [0])
        task("Delete", {1: container, 2: name})
        with open(out, encoding="utf-8") as file:
            return file.read()

    def test_a_pod(self):
        infra = self.bundle("sandbox", "sleep", "1000000")
        address = self.start("pod", infra)
        task = self.connect(infra)
        self.create(task, "pod", infra)
        box = self.bundle("container", "/bin/sh", "-c", "trap 'exit 7' TERM; echo out; while :; do sleep 0.1; done")
        self.assertEqual(self.start("box", box), address)
        task = self.connect(box)
        fifo = self.world.path("stdout")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.create(task, "box", box, stdout=fifo)
        self.assertEqual(len(self.world.machines()), 1)
        said = self.execute(task, "box", "e1", "awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo; grep -o pod=crio "
                                               "/proc/cmdline; hostname")
        memory, annotation, hostname = said.split()
        self.assertTrue(128 < int(memory) <= 192, memory)
        self.assertEqual((annotation, hostname), ("pod=crio", "box"))

        # What a kubelet asks meanwhile: whether it is alive, its limits, its counters.
        task("Kill", {1: "box", 3: 0})
        task("Update", {1: "box", 2: {1: RESOURCES, 2: json.dumps({"memory": {"limit": 64 << 20}})}})
        self.assertEqual(self.execute(task, "box", "e2", "cat /sys/fs/cgroup/memory.max"), f"{64 << 20}\n")
        self.assertIn(b"io.containerd.cgroups.v", task("Stats", {1: "box"})[1][0])

        # A container that needs more than it may have leaves the file that CRI-O looks for.
        hungry = self.bundle("container", "/bin/tail", "/dev/zero", memory={"limit": 24 << 20})
        self.start("hungry", hungry)
        self.create(task, "hungry", hungry)
        self.assertEqual(task("Wait", {1: "hungry"})[1], [137])
        wait_for(lambda: os.path.exists(os.path.join(hungry, "oom")), "the file oom")
        self.assertFalse(os.path.exists(os.path.join(box, "oom")))
        task("Delete", {1: "hungry"})
        task("Shutdown", {1: "hungry"})

        # StopContainer, RemoveContainer; then those of the pod.
        task("Kill", {1: "box", 3: 15})
        self.assertEqual(task("Wait", {1: "box"})[1], [7])
        state = task("State", {1: "box"})
        self.assertEqual((state[4], state[9]), ([STOPPED], [7]))
        task("Kill", {1: "box", 3: 0}, "NOT_FOUND")
        task("Delete", {1: "box"})
        task("Shutdown", {1: "box"})
        self.assertEqual(os.read(reader, 100), b"out\n")
        self.assertEqual(task("State", {1: "pod"})[4], [RUNNING])
        task("Kill", {1: "pod", 3: 9})
        self.assertEqual(task("Wait", {1: "pod"})[1], [137])
        task("Delete", {1: "pod"})
        task("Shutdown", {1: "pod"})

    def test_wrong_settings(self):
        """Create fails with the file's name, and CRI-O takes the container back."""
        bundle = self.bundle("sandbox", "true")
        self.start("pod", bundle)
        task = self.connect(bundle)
        options = {1: "runtimeoptions.v1.Options", 2: ttrpc.encode({2: self.world.path("none.conf")})}
        self.assertIn("none.conf", task("Create", {1: "pod", 2: bundle, 10: options}, "NOT_FOUND"))
        task("Delete", {1: "pod"}, "NOT_FOUND")
        task("Shutdown", {1: "pod"})


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
