#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pod by the calls that containerd 2 makes where its CRI plugin leaves sandboxes to the shim (sandboxer = "shim"): the
sandbox has a directory without config.json, no container of its own, and is described by CreateSandbox."""
import glob
import json
import os
import signal
import subprocess
import sys
import threading

import kata_cli
from kata_cli import OWNER, SOURCE

sys.path.insert(0, os.path.join(SOURCE, "tests/engines"))
import ttrpc  # noqa: E402  pylint: disable=wrong-import-position

CRI = "io.kubernetes.cri"
ANNOTATION = {1: "io.katacontainers.config.hypervisor.kernel_params", 2: "pod=api"}


class SandboxTest(kata_cli.CliTest):
    settings = [("hypervisor.qemu", "enable_annotations", '["kernel_params"]')]

    def setUp(self):
        super().setUp()
        self.netns = f"kata-api-{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        self.addCleanup(subprocess.run, ["ip", "netns", "del", self.netns], check=False)

    def start(self, container, directory):
        started = subprocess.run([OWNER, "-namespace", "k8s.io", "-address", "/run/none.sock", "-id", container, "-root",
                                  self.world.root, "start"], cwd=directory, input=b"", capture_output=True, check=False,
                                 env=dict(self.world.env, KATA_CONF_FILE=self.world.config, TTRPC_ADDRESS=""))
        self.assertEqual((started.returncode, started.stderr), (0, b""))
        return started.stdout.decode().strip()

    def connect(self, address):
        client = ttrpc.Client(address)
        self.addCleanup(client.close)

        def call(method, message, wanted="OK"):
            service = "containerd.runtime.sandbox.v1.Sandbox" if method.endswith("Sandbox") or method in (
                "Platform", "SandboxStatus") else "containerd.task.v2.Task"
            status, answer = client.call(service, method, message)
            self.assertEqual(status, wanted, f"{method}: {answer}")
            return answer
        return call

    def saved(self):
        with open(glob.glob(os.path.join(self.world.root, "s/*/state.json"))[0], encoding="utf-8") as file:
            return json.load(file)

    def remove_cgroup(self, name):
        for path in glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}"):
            os.rmdir(path)

    def test_a_pod(self):
        directory = self.world.path("sandbox")
        os.mkdir(directory)
        address = self.start("pod", directory)
        call = self.connect(address)
        parent = f"kata-api-{os.getpid()}"
        linux = {1: f"/{parent}", 3: [{1: "net.core.somaxconn", 2: "321"}, {1: "kernel.shm_rmid_forced", 2: "1"}],
                 4: {4: 999 << 20}, 5: {1: 100000, 2: 100000, 4: 64 << 20}}
        self.addCleanup(self.remove_cgroup, parent)
        pod = {2: "podname", 4: {1: ["10.9.8.7", "10.9.8.6"], 2: ["a.local", "b.local"], 3: ["ndots:5"]}, 8: linux}
        request = {1: "pod", 2: directory, 4: {1: "runtime.v1.PodSandboxConfig", 2: ttrpc.encode(pod)},
                   5: f"/run/netns/{self.netns}", 6: [ANNOTATION]}
        call("CreateSandbox", {**request, 4: {1: "runtime.v1.PodSandboxConfig", 2: b"\x12\xff"}}, "INVALID_ARGUMENT")
        refused = {1: "io.katacontainers.config.hypervisor.path", 2: "/bin/sh"}
        self.assertIn("a pod may not set", call("CreateSandbox", {**request, 6: [refused]}, "INVALID_ARGUMENT"))
        call("CreateSandbox", {**request, 1: "other"}, "NOT_FOUND")
        call("CreateSandbox", request)
        platform = ttrpc.decode(call("Platform", {1: "pod"})[1][0])
        self.assertEqual(platform[1], [b"linux"])
        self.assertEqual(call("SandboxStatus", {1: "pod"})[3], [b"SANDBOX_NOTREADY"])
        started = call("StartSandbox", {1: "pod"})
        status = call("SandboxStatus", {1: "pod"})
        self.assertEqual((status[3], status[2]), ([b"SANDBOX_READY"], started[1]))
        call("StartSandbox", {1: "pod"}, "FAILED_PRECONDITION")
        # As large as the pod's resources ask for, which do not have the overhead in them, and in the pod's cgroup.
        state = self.saved()
        self.assertEqual(int(state["memory_mib"]) - int(state["base_memory_mib"]), 64)
        self.assertEqual(state["vcpus"], min(state["base_vcpus"] + 1, os.cpu_count()))
        with open(f"/proc/{state['qemu_pid']}/cgroup", encoding="utf-8") as file:
            self.assertIn(f"/{parent}/pod\n", file.read())

        def change(document):
            document["annotations"] = {f"{CRI}.container-type": "container", f"{CRI}.sandbox-id": "pod"}
            del document["hostname"]
            for entry in document["linux"]["namespaces"]:
                short = {"network": "net", "ipc": "ipc", "uts": "uts"}.get(entry["type"])
                if short:
                    entry["path"] = f"/proc/{started[1][0]}/ns/{short}"
        bundle = self.world.bundle("/bin/sh", "-c", "hostname; grep -o pod=api /proc/cmdline; "
                                   "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shm_rmid_forced; exit 5", change=change)
        self.assertEqual(self.start("box", bundle), address)
        out = self.world.path("out")
        call("Create", {1: "box", 2: bundle, 6: f"file://{out}", 7: f"file://{out}"})
        call("Start", {1: "box"})
        self.assertEqual(call("Wait", {1: "box"})[1], [5])
        with open(out, encoding="utf-8") as file:
            self.assertEqual(file.read(), "podname\npod=api\n321\n1\n")
        # Another owner knows of it as well.
        os.kill(next(pid for pid, line in self.world.processes() if "containerd-shim-kata-v2" in line), signal.SIGKILL)
        self.assertEqual(self.world.state("box")["status"], "stopped")
        call = self.connect(address)
        self.assertEqual(call("SandboxStatus", {1: "pod"})[3], [b"SANDBOX_READY"])
        self.assertEqual(self.saved()["pod"], state["pod"])
        call("Delete", {1: "box"})
        # A pod stays without any container.
        self.assertEqual(call("SandboxStatus", {1: "pod"})[3], [b"SANDBOX_READY"])
        call("ShutdownSandbox", {1: "pod"}, "FAILED_PRECONDITION")
        ended = []
        waiter = threading.Thread(target=lambda: ended.append(self.connect(address)("WaitSandbox", {1: "pod"})))
        waiter.start()
        call("StopSandbox", {1: "pod", 2: 5})
        waiter.join()
        self.assertEqual(len(ended), 1)
        self.assertEqual(call("SandboxStatus", {1: "pod"})[3], [b"SANDBOX_NOTREADY"])
        call("ShutdownSandbox", {1: "pod"})


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
