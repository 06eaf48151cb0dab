#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The processes a container has on the host: their cgroups, descriptors, memory and sessions."""
import glob
import os
import re
import signal
import subprocess

import kata_cli

PSS_LIMIT_KIB = 1536
# Descriptors of these kinds would keep a caller's readers from their end of file.
CALLERS = r"pipe:|/dev/pts/|/dev/ptmx|/tmp/.*"


def cgroups_of(pid):
    """Controllers -> path."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":", 2)[1:] for line in file)


def directories(name):
    return glob.glob(f"/sys/fs/cgroup/**/{name}", recursive=True)


def pss_of(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        return int(re.search(r"(?m)^Pss: +(\d+) kB", file.read()).group(1))


def descriptors(pid):
    found = {}
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            found[int(os.path.basename(path))] = os.readlink(path)
        except FileNotFoundError:
            pass
    return found


class Cgroups(kata_cli.CliTest):
    def setUp(self):
        super().setUp()
        self.name = f"kata-test-{os.getpid()}"
        if not os.access("/sys/fs/cgroup", os.W_OK):
            self.skipTest("the host's cgroups cannot be written to")
        self.addCleanup(self.remove_parents)

    def remove_parents(self):
        for path in sorted(directories(f"{self.name}*"), reverse=True):
            try:
                os.rmdir(path)
            except OSError as error:
                print(f"left: {path}: {error}")

    def start(self, path, *command):
        bundle = self.world.bundle("sleep", "1000", change=lambda d: d["linux"].update(cgroupsPath=path))
        self.ok(*command, "create", "--bundle", bundle, "c1")
        return self.world.state("c1")["pid"]

    def assert_all_in(self, expected):
        """In every hierarchy that has the cgroup: the hypervisor, its helpers, the owner and the host processes."""
        members = [pid for pid, line in self.world.processes()]
        self.assertGreaterEqual(len(members), 5)
        made = glob.glob(f"/sys/fs/cgroup/*/{expected}") + glob.glob(f"/sys/fs/cgroup/{expected}")
        self.assertTrue(made)
        for directory in made:
            with open(os.path.join(directory, "cgroup.procs"), encoding="utf-8") as file:
                inside = [int(line) for line in file]
            self.assertEqual(set(members) - set(inside), set(), directory)

    def test_cgroupfs(self):
        path = f"{self.name}/{self.name}-c1"
        self.start(f"/{path}")
        self.ok("start", "c1")
        pid_file = self.world.path("pid")
        self.ok("exec", "-d", "--pid-file", pid_file, "c1", "sleep", "1000")
        with open(pid_file, encoding="utf-8") as file:
            self.assertIn(f"/{path}", cgroups_of(int(file.read())).values())
        self.assert_all_in(path)
        self.assertEqual(self.ok("exec", "c1", "echo", "fine"), "fine\n")
        for pid, line in self.world.processes():
            if "containerd-shim-kata" in line:
                os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.world.state("c1")["status"], "running")
        self.assert_all_in(path)  # the new owner too
        self.ok("delete", "--force", "c1")
        kata_cli.wait_for(lambda: not directories(f"{self.name}-c1"), "the cgroup to go", 15)

    def test_systemd_path(self):
        pid = self.start(f"{self.name}.slice:kata:{self.name}", "--systemd-cgroup")
        self.assertIn(f"/{self.name.split('-')[0]}.slice", cgroups_of(pid)["memory"] if "memory" in cgroups_of(pid)
                      else cgroups_of(pid)[""])
        self.assertTrue(cgroups_of(pid).get("memory", cgroups_of(pid).get("")).endswith(f"/kata-{self.name}.scope"))
        self.ok("delete", "c1")
        kata_cli.wait_for(lambda: not directories(f"kata-{self.name}.scope"), "the cgroup to go", 15)
        for level in ("kata.slice/kata-test.slice", "kata.slice"):
            for path in glob.glob(f"/sys/fs/cgroup/*/{level}/{self.name}.slice") + glob.glob(f"/sys/fs/cgroup/*/{level}"):
                try:
                    os.rmdir(path)
                except OSError:
                    pass

    def test_failures_leave_no_cgroup(self):
        path = f"/{self.name}/{self.name}-c1"
        self.fails("leads out of the cgroup tree", "create", "--bundle", self.world.bundle(
            "true", change=lambda d: d["linux"].update(cgroupsPath="/../x")), "c1")
        self.fails("error running prestart hook", "create", "--bundle", self.world.bundle("true", change=lambda d: d.update(
            linux=dict(d["linux"], cgroupsPath=path), hooks={"prestart": [{"path": "/bin/false"}]})), "c1")
        self.assertEqual(directories(f"{self.name}-c1"), [])
        result = self.world.run("run", "--bundle", self.world.bundle(
            "true", change=lambda d: d["linux"].update(cgroupsPath=path)), "c1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(directories(f"{self.name}-c1"), [])


class Processes(kata_cli.CliTest):
    def test_memory_descriptors_and_sessions(self):
        """Nobody but the host process holds what the caller's reader waits for."""
        reader, writer = os.pipe()
        spare, other = os.pipe()
        pid_file = self.world.path("pid")
        maker = self.world.start("create", "--bundle", self.world.bundle("sh", "-c", "echo out; exec sleep 1000"),
                                 "--pid-file", pid_file, "c1", stdin=subprocess.DEVNULL, stdout=writer, stderr=writer,
                                 pass_fds=[other])
        self.assertEqual(maker.wait(kata_cli.PATIENCE), 0)
        os.close(writer)
        os.close(other)
        with open(pid_file, encoding="utf-8") as file:
            pid = int(file.read())
        self.ok("start", "c1")
        self.ok("exec", "-d", "--pid-file", pid_file, "c1", "sleep", "1000")
        with open(pid_file, encoding="utf-8") as file:
            exec_pid = int(file.read())
        self.assertEqual(os.read(reader, 100), b"out\n")
        os.set_blocking(spare, False)
        self.assertEqual(os.read(spare, 1), b"")  # the end of file: nobody has kept the other end
        self.look_at_descriptors(pid, exec_pid, os.readlink(f"/proc/self/fd/{reader}"))
        for host_pid in (pid, exec_pid):
            self.assertEqual(os.getsid(host_pid), host_pid)
            self.assertEqual(os.getpgid(host_pid), host_pid)
            print(f"host process: {pss_of(host_pid)} KiB PSS")
            self.assertLessEqual(pss_of(host_pid), PSS_LIMIT_KIB)
        self.ok("delete", "--force", "c1")
        self.assertEqual(os.read(reader, 100), b"")
        os.close(reader)
        os.close(spare)

    def look_at_descriptors(self, pid, exec_pid, pipe):
        """The owner has its own copies of the container's streams; the machine and its helpers have none."""
        holders = []
        for other, line in self.world.processes():
            held = descriptors(other)
            if pipe in held.values():
                holders.append(other)
            if "qemu-system" in line or "virtiofsd" in line:
                callers = {fd: link for fd, link in held.items() if re.match(CALLERS, link) and self.world.root not in link}
                self.assertFalse([link for link in callers.values() if link == pipe], line)
                self.assertNotIn(pipe, held.values())
        names = [line for other, line in self.world.processes() if other in holders and other not in (pid, exec_pid)]
        self.assertIn(pid, holders)
        self.assertTrue(all("containerd-shim-kata-v2" in line for line in names), names)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
