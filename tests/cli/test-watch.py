#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ps, events and update on a running guest."""
import json
import os
import re
import select
import socket
import subprocess
import time

import kata_cli


class Watch(kata_cli.OneContainerTest):
    def start_sleeper(self, seconds):
        """An exec that stays; the pid of the process on the host that stands for it."""
        pid_file = self.world.path("exec.pid")
        self.ok("exec", "--detach", "--pid-file", pid_file, "c1", "sleep", seconds)
        with open(pid_file, encoding="utf-8") as file:
            return int(file.read())

    def test_ps_table(self):
        sleeper = self.start_sleeper("54321")
        lines = self.ok("ps", "c1").splitlines()
        self.assertRegex(lines[0], r"^UID +PID +PPID +C +STIME +TTY +TIME +CMD$")
        commands = [re.split(r" +", line, maxsplit=7)[7] for line in lines[1:]]
        self.assertEqual(sorted(commands), ["sleep 100000", "sleep 54321"])
        self.assertTrue(all(re.match(r"root +\d+ +\d+ +\d+ +\d\d:\d\d +\? +00:00:\d\d ", line) for line in lines[1:]))
        self.assertIn("sleep 54321", self.ok("ps", "c1", "aux"))
        chosen = self.ok("ps", "--format", "table", "c1", "-o", "cpid,comm,stat").splitlines()
        self.assertEqual(chosen[0], "CPID COMMAND STAT")
        self.assertIn("   1 sleep   S", chosen)
        self.fails("ps: unknown column 'bogus'", "ps", "c1", "-o", "bogus")
        self.fails("invalid format option", "ps", "--format", "xml", "c1")
        os.kill(sleeper, 9)
        kata_cli.wait_for(lambda: "54321" not in self.ok("ps", "c1"), "the exec to go")

    def test_ps_json(self):
        """The processes of the host that stand for them: callers look these up in /proc and signal them."""
        pid = self.start_sleeper("54322")
        self.assertEqual(json.loads(self.ok("ps", "--format", "json", "c1")), sorted([pid, self.world.state("c1")["pid"]]))
        os.kill(pid, 9)
        kata_cli.wait_for(lambda: pid not in json.loads(self.ok("ps", "-f=json", "c1")), "the exec to go")

    def test_ps_of_a_paused_container(self):
        self.ok("pause", "c1")
        try:
            self.assertIn("sleep 100000", self.ok("ps", "c1"))
        finally:
            self.ok("resume", "c1")

    def test_statistics(self):
        lines = self.ok("events", "--stats", "c1").splitlines()
        self.assertEqual(len(lines), 1)
        event = json.loads(lines[0])
        self.assertEqual((event["type"], event["id"]), ("stats", "c1"))
        data = event["data"]
        self.assertGreater(data["cpu"]["usage"]["total"], 0)
        self.assertGreater(data["memory"]["usage"]["usage"], 4096)
        self.assertEqual(data["memory"]["usage"]["limit"], 2 ** 64 - 1)
        self.assertIn("anon", data["memory"]["raw"])
        self.assertGreaterEqual(data["pids"]["current"], 1)
        self.assertEqual(data["intel_rdt"], {})
        self.fails("invalid duration", "events", "--interval", "5", "c1")
        self.fails("duration interval must be greater than 0", "events", "--interval", "0s", "c1")

    def test_statistics_again_and_again(self):
        watcher = self.world.start("events", "--interval=200ms", "c1", stdout=subprocess.PIPE, text=True)
        for _ in range(3):
            self.assertEqual(json.loads(watcher.stdout.readline())["type"], "stats")
        self.assertIsNone(watcher.poll())
        watcher.terminate()
        watcher.communicate(timeout=kata_cli.PATIENCE)

    def test_overhead(self):
        """Numbers that can be: a guest that sleeps costs less than a processor, and its memory is on the host."""
        lines = dict(line.split("=") for line in self.ok("kata-overhead", "c1").splitlines())
        self.assertEqual(list(lines), ["cpu_overhead", "memory_overhead_bytes"])
        self.assertLess(abs(float(lines["cpu_overhead"])), 1)
        self.assertGreater(int(lines["memory_overhead_bytes"]), 32 << 20)
        self.assertLess(int(lines["memory_overhead_bytes"]), 2 << 30)
        self.fails("does not exist", "kata-overhead", "nobody")

    def test_what_guests_run_on(self):
        plain = self.ok("list").splitlines()[0].split()
        title, line = [line.split() for line in self.ok("list", "--kata-all").splitlines()]
        self.assertEqual(title, plain + ["HYPERVISOR", "KERNEL", "IMAGE", "LATEST-KERNEL", "LATEST-IMAGE"])
        self.assertEqual(line[title.index("KERNEL")], kata_cli.KERNEL)
        self.assertEqual(line[title.index("IMAGE")], kata_cli.INITRD)
        newer = self.world.path("newer.conf")
        with open(self.world.config, encoding="utf-8") as old, open(newer, "w", encoding="utf-8") as file:
            file.write(old.read().replace(kata_cli.KERNEL, "/newer/vmlinuz"))
        state = json.loads(self.ok("--kata-config", newer, "list", "--kata-all", "--format", "json"))[0]
        self.assertEqual((state["kernel"], state["latest_kernel"]), (kata_cli.KERNEL, "/newer/vmlinuz"))
        self.assertEqual((state["image"], state["latest_image"]), (kata_cli.INITRD, kata_cli.INITRD))
        self.assertEqual(state["stale_assets"], ["kernel"])
        self.assertTrue(os.path.exists(state["hypervisor"]))

    def cgroup(self):
        return json.loads(self.ok("events", "--stats", "c1"))["data"]

    def test_update(self):
        self.ok("update", "--memory", "100m", "--memory-swap", "100M", "--pids-limit", "77", "c1")
        data = self.cgroup()
        self.assertEqual((data["memory"]["usage"]["limit"], data["pids"]["limit"]), (100 << 20, 77))
        self.assertEqual(self.world.run("update", "--resources=-", "c1",
                                        input='{"pids": {"limit": 78}, "cpu": {"cpus": "0", "shares": 512}}',
                                        stdin=None).returncode, 0)
        self.assertEqual(self.cgroup()["pids"]["limit"], 78)
        path = self.world.path("resources.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"memory": {"limit": 90 << 20, "swap": 90 << 20}, "blockIO": {"weight": 100}, "unified": {}}, file)
        self.ok("update", "-r", path, "--memory", "nonsense that is ignored", "c1")
        self.assertEqual(self.cgroup()["memory"]["usage"]["limit"], 90 << 20)
        self.ok("update", "--cpu-quota", "50000", "--cpu-period=100000", "--cpu-share", "100", "c1")
        result = self.world.run("update", "--kernel-memory", "1m", "--cpuset-cpus", "0", "c1")
        self.assertEqual(result.returncode, 0)
        self.assertIn("level=warning", result.stderr)
        self.assertIn("Kernel memory settings are ignored", result.stderr)

    def test_wrong_updates(self):
        for option in ("memory", "memory-swap", "memory-reservation", "pids-limit", "cpu-quota", "cpu-period", "cpu-share",
                       "blkio-weight", "cpu-burst", "cpu-idle", "cpu-rt-period", "cpu-rt-runtime", "kernel-memory"):
            self.fails(f"invalid value for {option}: ", "update", f"--{option}", "1x2", "c1")
        self.fails("Intel RDT", "update", "--l3-cache-schema", "L3:0=f", "c1")
        self.fails("Intel RDT", "update", "--mem-bw-schema", "MB:0=f", "c1")
        for text in ("", "nonsense", "[]", '{"memory": {"limit": "x"}}', '{"memory": 5}', "{" * 1000):
            result = self.world.run("update", "-r", "-", "c1", input=text, stdin=None)
            self.assertEqual(result.returncode, 1, text)
            self.assertIn("level=error", result.stderr)
        self.fails("No such file or directory", "update", "-r", self.world.path("none"), "c1")


    def test_garbage_for_a_running_container(self):
        """What is read only once the container is there: in every option of the commands that work on it."""
        for command, operands in (("update", ["c1"]), ("exec", ["c1", "true"]), ("events", ["c1"]), ("ps", ["c1"]),
                                  ("kill", ["c1", "0"])):
            names = re.findall(r"(?m)^   --([a-z0-9-]+)(?:, -\w)? [A-Z0-9]", self.ok(command, "--help"))
            for name in names:
                for word in ("\udcff%n{", "-9" * 12):
                    result = self.world.run(command, f"--{name}={word}", *operands, cwd=self.world.base)
                    # Taken is what is any text, or not looked at.
                    self.assertIn(result.returncode, (0, 1, 255), (command, name, result.stderr))
                    self.assertEqual(result.returncode == 0, "level=error" not in result.stderr, (command, name, result.stderr))
        self.assertEqual(self.ok("exec", "c1", "echo", "alive"), "alive\n")

    def test_checkpoint_says_why_not(self):
        self.fails("QEMU cannot save a machine that has a virtio-fs device", "checkpoint", "--image-path", "/i", "c1")
        self.fails("container with given ID already exists", "restore", "c1")

    def test_exec_waits_for_a_resume(self):
        self.ok("pause", "c1")
        waiting = self.world.start("exec", "--ignore-paused", "c1", "echo", "thawed", stdout=subprocess.PIPE, text=True)
        time.sleep(0.2)  # the status is right either way; this makes it likely that it waits
        self.assertIsNone(waiting.poll())
        self.ok("resume", "c1")
        self.assertEqual(waiting.communicate(timeout=kata_cli.PATIENCE)[0], "thawed\n")
        self.assertEqual(waiting.returncode, 0)
        self.fails("exec failed: cannot pass 1 descriptors into the container", "exec", "--preserve-fds", "1", "c1", "true",
                   status=255)


class Ends(kata_cli.CliTest):
    def check_processes(self, limit):
        """More than it may have: the guest's kernel refuses them, and the container stays at hand."""
        bomb = self.world.run("exec", "c1", "sh", "-c", "i=0; while [ $i -lt 100 ]; do sleep 11111 & i=$((i+1)); done")
        self.assertNotEqual(bomb.returncode, 0)
        self.assertIn("can't fork", bomb.stderr)
        # The shell itself and what served it have gone meanwhile.
        self.assertIn(self.ok("ps", "c1").count("sleep 11111"), range(limit - 5, limit))
        counted = json.loads(self.ok("events", "--stats", "c1"))["data"]["pids"]
        self.assertEqual(counted["limit"], limit)
        self.assertIn(counted["current"], range(limit - 5, limit + 1))
        self.ok("update", "--pids-limit", "-1", "c1")
        self.assertEqual(self.ok("exec", "c1", "echo", "alive"), "alive\n")

    def test_out_of_memory(self):
        bundle = self.world.bundle("sleep", "1000", change=lambda d: d["linux"].update(
            resources={"memory": {"limit": 48 << 20, "swap": 48 << 20}, "pids": {"limit": 20}}))
        self.ok("run", "-d", "--bundle", bundle, "c1")
        self.check_processes(20)
        watcher = self.world.start("events", "--interval", "1h", "c1", stdout=subprocess.PIPE, text=True)

        def is_told():
            """Events from before the watcher has begun to wait are not told."""
            self.assertEqual(self.world.run("exec", "c1", "tail", "/dev/zero").returncode, 137)
            return select.select([watcher.stdout], [], [], 1)[0]

        kata_cli.wait_for(is_told, "the event")
        self.assertEqual(watcher.stdout.readline(), '{"type":"oom","id":"c1"}\n')
        # One whose interval is shorter than it takes to ask sees the end as well.
        hasty = self.world.start("events", "--interval", "1us", "c1", stdout=subprocess.PIPE, text=True)
        self.assertEqual(json.loads(hasty.stdout.readline())["type"], "stats")
        self.ok("delete", "--force", "c1")
        self.assertEqual(watcher.wait(kata_cli.PATIENCE), 0)
        watcher.stdout.close()
        hasty.communicate(timeout=kata_cli.PATIENCE)
        self.assertEqual(hasty.returncode, 0)

    def test_a_service_manager_is_told(self):
        path = self.world.path("notify.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(path)
            listener.settimeout(kata_cli.PATIENCE)
            self.ok("create", "--bundle", self.world.bundle("sleep", "1000"), "c1")
            self.world.env["NOTIFY_SOCKET"] = path
            self.ok("start", "c1")
            self.assertEqual(listener.recv(200).decode(), f"MAINPID={self.world.state('c1')['pid']}\nREADY=1")
            del self.world.env["NOTIFY_SOCKET"]
        self.ok("delete", "--force", "c1")

    def test_events_end_with_the_container(self):
        self.ok("run", "-d", "--bundle", self.world.bundle("sleep", "1000"), "c1")
        watcher = self.world.start("events", "--interval", "1h", "c1", stdout=subprocess.PIPE, text=True)
        time.sleep(0.2)  # either way of the race is right; this makes it the one with a watcher that waits
        self.ok("kill", "c1", "KILL")
        output, _ = watcher.communicate(timeout=kata_cli.PATIENCE)
        self.assertEqual((watcher.returncode, output), (0, ""))
        self.world.wait_status("c1", "stopped")
        self.fails("container with id c1 is not running", "events", "c1")
        self.fails("container with id c1 is not running", "events", "--stats", "c1")
        self.assertEqual(self.ok("ps", "--format", "json", "c1"), "null\n")
        self.ok("delete", "c1")


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
