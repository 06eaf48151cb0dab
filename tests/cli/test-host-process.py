#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The processes a container has on the host: their cgroups, descriptors, memory and sessions."""
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

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

    def start(self, path, *command, resources=None):
        bundle = self.world.bundle("sleep", "1000", change=lambda d: d["linux"].update(cgroupsPath=path,
                                                                                       resources=resources or {}))
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
            # What has ended between the one look and the other is in no cgroup any more.
            left = {pid for pid, _ in self.world.processes()}
            self.assertEqual((set(members) - set(inside)) & left, set(), directory)

    def limit_of(self, path, controller, old, new):
        """A file's content in the hierarchy of a controller, as a number if it is one; None: no such controller."""
        for name in (f"/sys/fs/cgroup/{controller}/{path}/{old}", f"/sys/fs/cgroup/{path}/{new}"):
            if os.path.exists(name):
                with open(name, encoding="utf-8") as file:
                    text = file.read().strip()
                return int(text) if text.isdigit() else 1 << 60 if text == "max" else text
        return None

    def assert_limits(self, path, pid, quota, memory_mib, shares, cpus):
        quotas = (int(quota), f"{quota} 100000", None)
        self.assertIn(self.limit_of(path, "cpu", "cpu.cfs_quota_us", "cpu.max"), quotas)
        weight = 1 + (int(shares) - 2) * 9999 // 262142
        self.assertIn(self.limit_of(path, "cpu", "cpu.shares", "cpu.weight"), (int(shares), weight, None))
        self.assertIn(self.limit_of(path, "memory", "memory.limit_in_bytes", "memory.max"), (memory_mib << 20, None))
        self.assertIn(str(self.limit_of(path, "cpuset", "cpuset.cpus", "cpuset.cpus")), (cpus, "None"))
        # A container's limit of processes is not QEMU's.
        self.assertIn(self.limit_of(path, "pids", "pids.max", "pids.max"), (1 << 60, None))
        self.assertTrue(os.path.exists(f"/proc/{pid}"))

    def test_cgroupfs(self):
        path = f"{self.name}/{self.name}-c1"
        pid = self.start(f"/{path}", resources={"memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "cpu": {
            "quota": 50000, "period": 100000, "shares": 512, "cpus": "0"}})
        # The machine's memory, its own and the container's, with 1280 MiB beside it; its CPU with the container's half.
        self.assert_limits(path, pid, "150000", 256 + 64 + 1280, "512", "0")
        self.ok("start", "c1")
        pid_file = self.world.path("pid")
        self.ok("exec", "-d", "--pid-file", pid_file, "c1", "sleep", "1000")
        with open(pid_file, encoding="utf-8") as file:
            self.assertIn(f"/{path}", cgroups_of(int(file.read())).values())
        self.assert_all_in(path)
        self.assertEqual(self.ok("exec", "c1", "echo", "fine"), "fine\n")
        self.ok("update", "--cpu-quota", "100000", "--cpu-share", "2048", "--cpuset-cpus", "0-1" if os.cpu_count() > 1
                else "0", "c1")
        self.assert_limits(path, pid, "200000", 256 + 64 + 1280, "2048", "0-1" if os.cpu_count() > 1 else "0")
        if self.limit_of(path, "cpuset", "cpuset.cpus", "cpuset.cpus") is not None:
            self.fails("cannot set cpuset.cpus to '1234' for the host's cgroup", "update", "--cpuset-cpus", "1234", "c1")
        for pid, line in self.world.processes():
            if "containerd-shim-kata" in line:
                os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.world.state("c1")["status"], "running")
        self.assert_all_in(path)  # the new owner too
        self.ok("update", "--memory", "-1", "--memory-swap", "-1", "c1")
        limit = self.limit_of(path, "memory", "memory.limit_in_bytes", "memory.max")
        self.assertTrue(limit is None or limit > 1 << 50, limit)
        self.ok("delete", "--force", "c1")
        kata_cli.wait_for(lambda: not directories(f"{self.name}-c1"), "the cgroup to go", 15)

    @unittest.skipIf(os.path.exists("/sys/fs/cgroup/cgroup.controllers"), "the host's cgroups are those of version 2")
    def test_version_2_alone(self):
        """The same where nothing but version 2 is mounted; it has those controllers that version 1 leaves it."""
        place = "umount -R -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\""
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", place, "sh", sys.executable,
                               os.path.abspath(__file__), "Cgroups.test_cgroupfs"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Ran 1 test", done.stderr)
        self.assertNotIn("skipped", done.stdout + done.stderr)

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


@unittest.skipIf(shutil.which("dbus-daemon") is None, "no dbus-daemon is installed")
class Systemd(kata_cli.CliTest):
    """A bus of its own with what answers as systemd, and writes down what it was asked."""

    def setUp(self):
        super().setUp()
        if not os.access("/sys/fs/cgroup", os.W_OK):
            self.skipTest("the host's cgroups cannot be written to")
        self.slice = f"katatest{os.getpid()}.slice"
        self.scope = f"{self.slice}/kata-c1.scope"
        self.calls = self.world.path("calls")
        self.addCleanup(self.remove_slice)

    def remove_slice(self):
        for path in directories("kata-c1.scope") + directories(self.slice):
            os.rmdir(path)

    def run_bus(self, *mode):
        address = f"unix:path={self.world.path('bus')}"
        self.world.env["DBUS_SYSTEM_BUS_ADDRESS"] = address
        with open(self.world.path("bus.conf"), "w", encoding="utf-8") as file:
            file.write(f"<busconfig><type>session</type><listen>{address}</listen><policy context='default'>"
                       "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/></policy></busconfig>")
        bus = subprocess.Popen(["dbus-daemon", f"--config-file={self.world.path('bus.conf')}", "--nofork",
                                "--print-address=1"], stdout=subprocess.PIPE)
        self.addCleanup(self.end, bus)
        bus.stdout.readline()
        with open(self.calls, "w", encoding="utf-8") as file:
            systemd = subprocess.Popen([os.path.join(kata_cli.BUILD, "tests/cli/fake-systemd"), *mode], stdout=file,
                                       env=dict(self.world.env))
        self.addCleanup(self.end, systemd)
        kata_cli.wait_for(lambda: "ready" in self.read_calls(), "the fake systemd")
        return [bus, systemd]

    def end(self, process):
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()

    def read_calls(self):
        with open(self.calls, encoding="utf-8") as file:
            return file.read()

    def bundle(self):
        return self.world.bundle("sleep", "1000", change=lambda d: d["linux"].update(
            cgroupsPath=f"{self.slice}:kata:c1", resources={"memory": {"limit": 64 << 20}, "cpu": {"shares": 512}}))

    def test_a_scope(self):
        processes = self.run_bus()
        self.ok("--systemd-cgroup", "create", "--bundle", self.bundle(), "c1")
        calls = self.read_calls()
        pid = self.world.state("c1")["pid"]
        owners = [each for each, line in self.world.processes() if "containerd-shim-kata" in line]
        self.assertRegex(calls, r"StartTransientUnit\('kata-c1.scope', 'replace', .*'Slice', <'%s'>" % self.slice)
        self.assertRegex(calls, r"'Delegate', <true>.*'PIDs', <\[uint32 %d, %d\]>" % (owners[0], pid))
        self.assertRegex(calls, r"SetUnitProperties\('kata-c1.scope', true, .*'(CPUShares', <uint64 512|CPUWeight', <uint64 20)>")
        self.assertRegex(calls, r"'Memory(Limit|Max)', <uint64 %d>" % (256 + 64 + 1280 << 20))
        for path in cgroups_of(pid).values():
            if "katatest" in path:
                self.assertEqual(path, f"/{self.scope}")
        self.assertIn(f"/{self.scope}", cgroups_of(pid).values())
        self.ok("update", "--memory", "-1", "--memory-swap", "-1", "c1")
        self.assertRegex(self.read_calls().splitlines()[-1], r"'Memory(Limit|Max)', <uint64 18446744073709551615>")
        self.ok("delete", "--force", "c1")
        kata_cli.wait_for(lambda: not directories("kata-c1.scope"), "the scope's directories to go", 15)
        for process in processes:
            self.end(process)

    def test_a_scope_that_fails(self):
        processes = self.run_bus("fail")
        self.fails("systemd did not make the scope 'kata-c1.scope': its job ended with 'failed'", "--systemd-cgroup",
                   "create", "--bundle", self.bundle(), "c1")
        for process in processes:
            self.end(process)
        self.world.assert_nothing_left(60)


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
