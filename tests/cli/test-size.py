#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine's size follows the limits of its containers."""
import glob
import json
import os
import xml.etree.ElementTree

import kata_cli
import storage

PRINT = "nproc; sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"


def limits(quota, memory):
    return lambda d: d["linux"].update(resources={"cpu": {"quota": quota, "period": 100000},
                                                  "memory": {"limit": memory}})


def show_cgroup(document):
    document["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"})


class Static(kata_cli.CliTest):
    settings = [("hypervisor.qemu", "default_memory", "128"),
                ("hypervisor.qemu", "enable_annotations", '["default_mem.*", "kernel_params"]')]

    def test_at_the_start(self):
        """What the container may use comes on top of what a guest has anyway, which annotations may say."""
        def change(document):
            limits(50000, 192 << 20)(document)
            document["annotations"] = {"io.katacontainers.config.hypervisor.default_memory": "256",
                                       "io.katacontainers.config.hypervisor.kernel_params": "of_the_pod=1"}
        bundle = self.world.bundle("sh", "-c", "grep -o of_the_pod=1 /proc/cmdline >&2; " + PRINT, change=change)
        result = self.world.run("run", "--bundle", bundle, "c1")
        self.assertEqual((result.returncode, result.stderr), (0, "of_the_pod=1\n"))
        cpus, memory = map(int, result.stdout.split())
        self.assertEqual(cpus, min(2, os.cpu_count()))
        # Of 448 MiB the kernel keeps some for itself.
        self.assertGreater(memory, 380 << 10)
        self.assertLess(memory, 448 << 10)


class Dynamic(kata_cli.CliTest):
    settings = [("runtime", "static_sandbox_resource_mgmt", "false")]

    def sizes(self):
        return tuple(map(int, self.ok("exec", "c1", "sh", "-c", PRINT).split()))

    def assert_half_of_it(self):
        """As the kernel counts, which keeps some for itself."""
        half = self.sizes()[1] / 2
        size = int(self.ok("exec", "c1", "sh", "-c", "df -k /dev/shm | awk 'NR > 1 {print $2}'"))
        self.assertTrue(half * 0.9 < size < half * 1.2, (size, half))

    def saved(self):
        """What a later owner would read."""
        with open(glob.glob(os.path.join(self.world.root, "s/*/state.json"))[0], encoding="utf-8") as file:
            return json.load(file)

    def take_over(self):
        """A new owner knows how large the machine is."""
        for pid, line in self.world.processes():
            if "containerd-shim-kata-v2" in line:
                os.kill(pid, 9)
        self.ok("update", "--memory", "150m", "--memory-swap", "150m", "c1")

    def in_cgroup(self, *files):
        return self.ok("exec", "c1", "cat", *[f"/sys/fs/cgroup/{file}" for file in files]).splitlines()

    def update_guest_cgroup(self):
        """What does not change the size, but what the guest's kernel does with the container."""
        self.ok("update", "--cpu-burst", "20000", "--cpuset-mems", "0", "--blkio-weight", "500", "c1")
        self.assertEqual(self.in_cgroup("cpu.max.burst", "io.weight"), ["20000", "default 4950"])
        self.ok("update", "--cpu-idle", "1", "c1")
        self.assertEqual(self.in_cgroup("cpu.idle"), ["1"])
        self.ok("update", "--cpu-idle", "0", "c1")
        self.ok("update", "--cpu-share", "2048", "c1")
        self.assertEqual(self.in_cgroup("cpu.idle", "cpu.weight"), ["0", "79"])
        if os.cpu_count() > 1:
            # One of the host's CPUs is one of the guest's, two are two.
            self.ok("update", "--cpuset-cpus", "1", "c1")
            self.assertEqual(self.in_cgroup("cpuset.cpus.effective"), ["1"])
            self.ok("update", "--cpuset-cpus", "0-1", "c1")
            self.assertEqual(self.in_cgroup("cpuset.cpus.effective"), ["0-1"])
        self.fails("cpu.idle is 2: it can be 0 or 1", "update", "--cpu-idle", "2", "c1")
        self.fails("blockIO.weight is 5000: it can be from 10 to 1000", "update", "--blkio-weight", "5000", "c1")
        self.fails("'x'", "update", "--cpuset-cpus", "x", "c1")
        told = self.world.run_attached("update", "--cpu-rt-runtime", "1000", "c1")
        self.assertEqual(told.returncode, 0)
        self.assertIn("--cpu-rt-runtime is ignored: cgroup version 2, the guest's, has no such limit", told.stderr)

    def test_growing(self):
        """The host's /dev/shm, of which the guest has only the place, is half of its memory at any time."""
        bundle = self.world.bundle("sleep", "1000", change=show_cgroup)
        storage.add_mount(bundle, "/dev/shm", "/dev/shm")
        self.ok("run", "-d", "--bundle", bundle, "c1")
        self.assert_half_of_it()
        cpus, memory = self.sizes()
        self.assertEqual(cpus, 1)
        self.assertLess(memory, 256 << 10)
        domain = xml.etree.ElementTree.fromstring(self.ok("xml", "c1"))
        self.assertEqual(domain.find("vcpu").get("current"), "1" if os.cpu_count() > 1 else None)
        self.ok("update", "--memory", "200m", "--memory-swap", "200m", "c1")
        kata_cli.wait_for(lambda: self.sizes()[1] - memory > 190 << 10, "the guest to find its new memory")
        grown = self.sizes()[1] - memory
        self.assert_half_of_it()
        self.ok("update", "--cpu-quota", "50000", "--cpu-period", "100000", "c1")
        self.assertEqual(self.sizes()[0], min(2, os.cpu_count()))
        self.update_guest_cgroup()
        self.take_over()
        self.ok("update", "--memory", "400m", "--memory-swap", "400m", "c1")
        self.assertGreater(self.sizes()[1] - memory, grown + (100 << 10))
        grown = self.sizes()[1] - memory
        self.assert_half_of_it()
        # A lower limit leaves the machine as it is.
        self.ok("update", "--memory", "64m", "--memory-swap", "64m", "c1")
        self.assertEqual(self.sizes()[1] - memory, grown)
        self.assertEqual(self.saved()["containers"][0]["memory_mib"], 64)
        # A later owner does not count on what was refused.
        self.fails("'x'", "update", "--memory", "80m", "--memory-swap", "80m", "--cpuset-cpus", "x", "c1")
        self.assertEqual(self.saved()["containers"][0]["memory_mib"], 64)
        self.ok("delete", "--force", "c1")

    def test_pod(self):
        """What a pod asks for is there for its containers, not on top of what they ask for."""
        def member(role, **more):
            return lambda d: d.update(annotations={"io.kubernetes.cri.container-type": role,
                                                   "io.kubernetes.cri.sandbox-id": "c1", **more})

        def limited(memory):
            return lambda d: (member("container")(d), limits(0, memory)(d))

        self.ok("run", "-d", "--bundle", self.world.bundle("sleep", "1000", change=member(
            "sandbox", **{"io.kubernetes.cri.sandbox-memory": str(256 << 20)})), "c1")
        size = int(self.saved()["memory_mib"])
        self.assertEqual(size - int(self.saved()["base_memory_mib"]), 256)
        self.ok("run", "-d", "--bundle", self.world.bundle("sleep", "1000", change=limited(192 << 20)), "c2")
        self.assertEqual(int(self.saved()["memory_mib"]), size)
        self.assertEqual(int(self.saved()["vcpus"]), 1)

        def change(document):
            limited(128 << 20)(document)
            document["linux"]["resources"]["hugepageLimits"] = [{"pageSize": "2MB", "limit": 96 << 20}]
            document["linux"]["resources"]["cpu"] = {"cpus": "0"}
        # Together they ask for 416 MiB, huge pages among them; memory comes in blocks of 128. Nobody has a quota: the
        # CPUs that are named count.
        self.ok("run", "-d", "--bundle", self.world.bundle("sleep", "1000", change=change), "c3")
        self.assertEqual(int(self.saved()["memory_mib"]), size + 256)
        self.assertEqual(int(self.saved()["vcpus"]), min(2, os.cpu_count()))
        for name in ("c3", "c2", "c1"):
            self.ok("delete", "--force", name)


class RefusingGuest(kata_cli.CliTest):
    """A kernel that takes nothing in while it runs."""
    settings = [("runtime", "static_sandbox_resource_mgmt", "false"),
                ("hypervisor.qemu", "kernel_params", '"acpi_no_memhotplug possible_cpus=1"')]

    def test_refusal(self):
        """The call fails and says so, each time; the container has what it had, and goes on; a smaller change works."""
        self.ok("run", "-d", "--bundle", self.world.bundle("sleep", "1000", change=show_cgroup), "c1")
        before = self.ok("exec", "c1", "sh", "-c", PRINT + "; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max")
        self.fails("the guest does not take the memory that was plugged in: after 5000 ms its kernel has", "update",
                   "--memory", "200m", "--memory-swap", "200m", "c1")
        if os.cpu_count() > 1:
            self.fails("the guest does not take what was plugged in: only 1 of 2 CPUs are online", "update", "--cpu-quota",
                       "150000", "--cpu-period", "100000", "c1")
        self.assertEqual(self.ok("exec", "c1", "sh", "-c", PRINT + "; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max"),
                         before)
        self.ok("update", "--pids-limit", "77", "c1")
        self.assertEqual(self.ok("exec", "c1", "cat", "/sys/fs/cgroup/pids.max"), "77\n")
        bundle = self.world.bundle("true", change=lambda document: (limits(0, 192 << 20)(document), document.update(annotations={
            "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "c1"})))
        self.fails("does not take the memory", "create", "--bundle", bundle, "c2")
        self.assertEqual(self.world.state("c1")["status"], "running")
        self.ok("delete", "--force", "c1")


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
