#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Podman with katactl as its runtime: containers without a network."""
import json
import os
import re
import subprocess

import engines
from engines import IMAGE, EngineTest, EngineWorld, Podman, Terminal, wait_for


class PodmanTest(EngineTest):
    """Tests that need a container of their own share one world, whose image is made once."""

    @classmethod
    def setUpClass(cls):
        cls.shared = EngineWorld()
        cls.addClassCleanup(cls.shared.close)
        cls.podman = Podman(cls.shared)

    def make_world(self):
        return self.shared

    def setUp(self):
        self.faults_before = self.count_faults()
        self.world = self.shared

    def tearDown(self):
        for container in self.podman.run("ps", "-aq").stdout.split():
            self.podman.run("rm", "-ft", "0", container)
        super().tearDown()

    def run_box(self, *args, options=(), **popen):
        return self.podman.run("run", "--rm", "--network", "none", *options, IMAGE, *args, **popen)

    def check(self, wanted, *args, options=()):
        result = self.run_box("sh", "-c", *args, options=options)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        self.assertEqual(result.stdout.split(), wanted.split())


class FreshContainers(PodmanTest):
    def test_streams_and_status(self):
        text = "".join(f"{number:06d}\n" for number in range(150000))  # one megabyte
        result = self.run_box("sh", "-c", "cat; echo err >&2; exit 42", options=["-i"], input=text)
        self.assertEqual((result.returncode, result.stderr), (42, "err\n"))
        self.assertEqual(len(result.stdout), len(text))
        self.assertEqual(result.stdout, text)

    def test_not_found_and_not_executable(self):
        for program, status in (("/nowhere", 127), ("/etc/not-executable", 126)):
            result = self.run_box(program)
            self.assertEqual(result.returncode, status, result.stderr)

    def test_terminal(self):
        terminal = Terminal(self.world, *self.podman.command("run", "--rm", "-it", "--network", "none", IMAGE, "sh"))
        terminal.send("tty; stty -echo; stty size\n")
        terminal.read_until("/dev/pts/0")
        terminal.send("echo $((40+2)); exit 5\n")
        terminal.read_until("42")
        self.assertEqual(terminal.wait(), 5)

    def test_settings_of_the_process_and_limits(self):
        self.check("1000 1000 0000000000000000 200 /tmp value 512",
                   "id -u; id -g; grep CapEff /proc/self/status | cut -f2; cat /sys/fs/cgroup/pids.max; pwd; echo $NAME;"
                   "ulimit -n", options=["--user", "1000:1000", "--pids-limit", "200", "--workdir", "/tmp",
                                         "--env", "NAME=value", "--ulimit", "nofile=512:512",
                                         "--ulimit", "nproc=4096:4096"])

    def test_read_only_with_places_to_write(self):
        self.check("read-only 67108864 tmpfs 1024 private",
                   "touch /x 2>/dev/null || echo read-only; cat /sys/fs/cgroup/memory.max; echo y >/run/y; echo z >/t/z;"
                   "awk '$2==\"/t\"{print $3}' /proc/mounts; df -k /t | awk 'NR==2{print $2}';"
                   "[ -w /dev/shm ] && echo private",
                   options=["--read-only", "--memory", "64m", "--tmpfs", "/t:size=1m,mode=1777"])

    def test_privileged(self):
        with open("/proc/self/status", encoding="ascii") as file:
            ours = re.search("CapBnd:\t(.*)", file.read()).group(1)
        self.check(f"{ours} writable", "grep CapEff /proc/self/status | cut -f2; echo 7 >/proc/sys/kernel/panic && echo writable",
                   options=["--privileged"])

    def test_without_cgroups(self):
        self.check("alive", "echo alive", options=["--cgroups", "disabled"])

    def test_a_runtime_of_an_unknown_name(self):
        podman = self.podman
        podman.ok("--runtime", "other", "run", "-d", "--name", "o", "--network", "none", IMAGE, "sleep", "1000")
        self.assertEqual(podman.ok("--runtime", "other", "top", "o", "comm").split(), ["COMMAND", "kata-monitor"])
        stats = json.loads(podman.ok("--runtime", "other", "stats", "--no-stream", "--format", "json", "o"))
        self.assertNotIn(stats[0]["mem_usage"].split("/")[0].strip(), ("", "0B"))
        podman.ok("--runtime", "other", "rm", "-ft", "0", "o")

    def test_stop_restart_and_logs(self):
        podman = self.podman
        podman.ok("run", "-d", "--name", "r", "--network", "none", IMAGE, "sh", "-c",
                  "trap 'echo bye; exit 3' TERM; echo hello; while :; do sleep 0.1; done")
        wait_for(lambda: podman.ok("logs", "r") == "hello", "the container's word")
        podman.ok("stop", "r")
        self.assertEqual(podman.ok("wait", "r"), "3")
        self.assertEqual(podman.ok("logs", "r").split(), ["hello", "bye"])
        podman.ok("restart", "r")
        wait_for(lambda: podman.ok("logs", "r").split() == ["hello", "bye", "hello"], "the container's word again")
        podman.ok("kill", "--signal", "KILL", "r")
        self.assertEqual(podman.ok("wait", "r"), "137")

    def test_killed_from_outside(self):
        podman = self.podman
        podman.ok("run", "-d", "--name", "k", "--network", "none", IMAGE, "sleep", "1000")
        os.kill(int(podman.ok("inspect", "--format", "{{.State.Pid}}", "k")), 9)
        self.assertEqual(podman.ok("wait", "k"), "137")


class OneContainer(PodmanTest):
    """What can be tried on one and the same running container."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.mkdir(cls.shared.path("v"))
        cls.podman.ok("run", "-d", "--name", "c", "--network", "none", "--memory", "128m", "--pids-limit", "100",
                      "--hostname", "a-name", "--health-cmd", "test -e /healthy", "--health-interval", "disable",
                      "--sysctl", "kernel.msgmax=1234", "--device", "/dev/zero:/dev/zero2", "--cap-drop", "CHOWN",
                      "--cap-add", "SYS_PTRACE", "-i", "-v", f"{cls.shared.path('v')}:/v", IMAGE, "sh", "-c",
                      "echo first; trap 'echo usr1' USR1; (while :; do sleep 1000; done) &"
                      "while read line; do echo got $line; done; while :; do wait; done")

    @classmethod
    def tearDownClass(cls):
        cls.podman.ok("rm", "-ft", "0", "c")
        cls.shared.assert_nothing_left()

    def tearDown(self):
        if self.count_faults() > self.faults_before:
            print(self.world.owner_log())

    def inside(self, *command, options=()):
        return self.podman.ok("exec", *options, "c", *command)

    def test_exec(self):
        podman = self.podman
        self.assertEqual(self.inside("echo", "word"), "word")
        self.assertEqual(podman.run("exec", "c", "sh", "-c", "exit 42").returncode, 42)
        self.assertEqual(podman.run("exec", "-i", "c", "cat", input="in" * 100000).stdout, "in" * 100000)
        self.assertEqual(self.inside("sh", "-c", "id -u; pwd; echo $A", options=["-u", "user", "-w", "/tmp", "-e", "A=b"]),
                         "1000\n/tmp\nb")
        self.assertEqual(podman.run("exec", "c", "/nowhere").returncode, 127)
        self.assertEqual(podman.run("exec", "c", "/etc/not-executable").returncode, 126)
        podman.ok("exec", "-d", "c", "sh", "-c", "echo detached >/tmp/detached")
        wait_for(lambda: "detached" in podman.run("exec", "c", "cat", "/tmp/detached").stdout, "the detached process")
        self.assertRegex(self.inside("cat", "/proc/self/status", options=["--privileged"]), "CapEff:\t000001f")

    def test_exec_on_a_terminal(self):
        terminal = Terminal(self.world, *self.podman.command("exec", "-it", "c", "sh", "-c", "tty; read x; echo \"<$x>\"; exit 6"))
        terminal.read_until("/dev/pts/")
        terminal.send("line\n")
        terminal.read_until("<line>")
        self.assertEqual(terminal.wait(), 6)

    def test_device_sysctl_and_capabilities(self):
        self.assertEqual(self.inside("sh", "-c", "head -c 3 /dev/zero2 | wc -c; cat /proc/sys/kernel/msgmax"), "3\n1234")
        effective = int(re.search("CapEff:\t(.*)", self.inside("cat", "/proc/self/status")).group(1), 16)
        self.assertEqual((effective & 1, effective >> 19 & 1), (0, 1))

    def test_hostname_and_no_network(self):
        self.assertEqual(self.inside("hostname"), "a-name")
        self.assertEqual(re.findall(r"^\d+: (\w+)", self.inside("ip", "-o", "link"), re.M), ["lo"])

    def test_volume(self):
        self.inside("sh", "-c", "echo from the guest >/v/file")
        with open(self.world.path("v/file"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "from the guest\n")

    def test_top_and_stats(self):
        # Podman itself looks at the host's process that stands for the container; for options of ps it runs ps in there.
        self.assertRegex(self.podman.ok("top", "c"), "^USER[^\n]*\nroot [^\n]* create --bundle [^\n]*$")
        self.assertRegex(self.podman.ok("top", "c", "-o", "pid,args"), "\n *[0-9]+ sleep 1000(\n|$)")
        stats = json.loads(self.podman.ok("stats", "--no-stream", "--format", "json", "c"))
        self.assertNotIn(stats[0]["mem_usage"].split("/")[0].strip(), ("", "0B"))

    def test_pause(self):
        podman = self.podman
        podman.ok("pause", "c")
        self.assertEqual(podman.ok("inspect", "--format", "{{.State.Status}}", "c"), "paused")
        self.assertNotEqual(podman.run("exec", "c", "true").returncode, 0)
        podman.ok("unpause", "c")
        self.inside("true")

    def test_update(self):
        self.podman.ok("update", "--memory", "100m", "--cpus", "0.5", "c")
        self.assertEqual(self.inside("cat", "/sys/fs/cgroup/memory.max"), str(100 << 20))
        self.assertEqual(self.inside("cat", "/sys/fs/cgroup/cpu.max"), "50000 100000")

    def test_limits(self):
        self.assertEqual(self.inside("cat", "/sys/fs/cgroup/pids.max"), "100")

    def test_copy_and_diff(self):
        source = self.world.path("copied")
        with open(source, "w", encoding="utf-8") as file:
            file.write("copied text\n")
        self.podman.ok("cp", source, "c:/srv/copied")
        self.assertEqual(self.inside("cat", "/srv/copied"), "copied text")
        self.inside("sh", "-c", "echo back >/srv/back; rm /etc/not-executable")
        self.podman.ok("cp", "c:/srv/back", self.world.path("back"))
        with open(self.world.path("back"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "back\n")
        changes = self.podman.ok("diff", "c").splitlines()
        for change in ("A /srv/copied", "A /srv/back", "D /etc/not-executable"):
            self.assertIn(change, changes)
        self.podman.ok("cp", source, "c:/etc/not-executable")

    def test_healthcheck(self):
        self.assertEqual(self.podman.run("healthcheck", "run", "c").returncode, 1)
        self.inside("touch", "/healthy")
        self.podman.ok("healthcheck", "run", "c")

    def test_commit(self):
        self.inside("sh", "-c", "echo kept >/srv/kept")
        self.podman.ok("commit", "-q", "c", "localhost/committed:1")
        layers = self.podman.ok("run", "--rm", "--network", "none", "localhost/committed:1", "cat", "/srv/kept")
        self.assertEqual(layers, "kept")

    def test_attach_and_signals(self):
        wait_for(lambda: "first" in self.podman.ok("logs", "c"), "the container's first word")
        attached = subprocess.Popen(self.podman.command("attach", "--sig-proxy=false", "c"), env=self.world.engine_env,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(attached.stdout.close)
        attached.stdin.write("a line\n")
        attached.stdin.flush()
        self.assertEqual(attached.stdout.readline(), "got a line\n")
        attached.kill()
        attached.wait()
        attached.stdin.close()
        self.podman.ok("kill", "--signal", "USR1", "c")
        wait_for(lambda: "usr1" in self.podman.ok("logs", "c"), "the signal's word")
        self.assertEqual(self.podman.ok("logs", "c").split("\n")[0], "first")


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("podman", "conmon"))
