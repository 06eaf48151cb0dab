#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Docker Engine with katactl as a runtime of its daemon."""
import json
import os
import random
import subprocess
import time
import unittest

import engines
from engines import IMAGE, EngineWorld, Terminal, wait_for


class DockerTest(unittest.TestCase):
    """One running container "box" for most; the daemon and all of its files are the test's."""

    @classmethod
    def setUpClass(cls):
        cls.world = world = EngineWorld()
        cls.addClassCleanup(world.close)
        settings = json.loads(engines.documented("daemon.json", world.runtime("kata")))
        settings.update({"bridge": "none", "iptables": False, "ip6tables": False, "data-root": world.path("d/data"),
                         "exec-root": world.path("d/exec"),
                         "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 1024}}})
        os.mkdir(world.path("d"))
        with open(world.path("daemon.json"), "w", encoding="utf-8") as file:
            json.dump(settings, file)
        cls.start_daemon()
        cls.addClassCleanup(cls.stop_daemon)
        cls.ok("import", world.image_tar, IMAGE)
        os.mkdir(world.path("v"))
        cls.ok("run", "-d", "--runtime", "kata", "--name", "box", "--network", "none", "--memory", "64m",
               "--pids-limit", "100", "--hostname", "a-name", "-v", f"{world.path('v')}:/v", "--tmpfs", "/t", IMAGE,
               "sh", "-c", "echo hello; trap 'echo bye; exit 3' TERM; trap 'echo usr1' USR1; while :; do sleep 0.1; done")

    @classmethod
    def start_daemon(cls):
        world = cls.world
        with open(world.path("dockerd.log"), "a", encoding="utf-8") as log:
            cls.daemon = subprocess.Popen(["dockerd", "--config-file", world.path("daemon.json"), "--host",
                                           f"unix://{world.path('d/sock')}", "--pidfile", world.path("d/pid")],
                                          env=world.engine_env, stdout=log, stderr=log)
        wait_for(lambda: cls.docker("version").returncode == 0, "dockerd to answer")

    @classmethod
    def stop_daemon(cls):
        cls.docker("rm", "-f", "box")
        left = cls.left()
        cls.daemon.terminate()
        cls.daemon.wait()
        assert not left, left

    @classmethod
    def left(cls):
        root = cls.world.path("d/exec/runtime-runc/moby")
        try:
            wait_for(lambda: not engines.sandboxes_below(root), "the sandboxes to go", 15)
        except AssertionError:
            return engines.sandboxes_below(root)
        return [line for _, line in cls.world.processes() if "qemu" in line or "kata-v2" in line]

    @classmethod
    def command(cls, *args):
        return ["/usr/bin/docker", "--host", f"unix://{cls.world.path('d/sock')}", *args]

    @classmethod
    def docker(cls, *args, **options):
        return cls.world.engine(*cls.command(*args), **options)

    @classmethod
    def ok(cls, *args, **options):
        result = cls.docker(*args, **options)
        assert result.returncode == 0, f"docker {' '.join(args)}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout.strip()

    def run_box(self, *args, options=(), **popen):
        return self.docker("run", "--rm", "--runtime", "kata", "--network", "none", *options, IMAGE, *args, **popen)

    def inside(self, *command, options=()):
        return self.ok("exec", *options, "box", *command)

    def test_run(self):
        result = self.run_box("sh", "-c", "cat; echo err >&2; exit 42", options=["-i"], input="text\n" * 200000)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (42, "text\n" * 200000, "err\n"))
        result = self.run_box("/nowhere")
        self.assertEqual(result.returncode, 127, result.stderr)
        result = self.run_box("/etc/not-executable")
        self.assertEqual(result.returncode, 126, result.stderr)

    def test_terminal(self):
        terminal = Terminal(self.world, *self.command("run", "--rm", "-it", "--runtime", "kata", "--network", "none",
                                                      IMAGE, "sh"))
        terminal.send("tty; stty -echo\n")
        terminal.read_until("/dev/pts/0")
        terminal.send("echo $((40+2)); exit 5\n")
        terminal.read_until("42")
        self.assertEqual(terminal.wait(), 5)

    def test_exec(self):
        result = self.docker("exec", "-i", "box", "sh", "-c", "cat; exit 7", input="in" * 1000)
        self.assertEqual((result.returncode, result.stdout), (7, "in" * 1000))
        self.assertEqual(self.inside("sh", "-c", "id -u; pwd; echo $A", options=["-u", "user", "-w", "/t", "-e", "A=b"]),
                         "1000\n/t\nb")
        self.assertEqual(self.inside("hostname"), "a-name")
        self.assertNotEqual(self.docker("exec", "box", "/nowhere").returncode, 0)

    def test_volume_and_limits(self):
        with open(self.world.path("v/in"), "w", encoding="utf-8") as file:
            file.write("from the host")
        self.assertEqual(self.inside("cat", "/v/in"), "from the host")
        self.assertEqual(self.inside("cat", "/sys/fs/cgroup/memory.max"), str(64 << 20))
        self.assertEqual(self.inside("cat", "/sys/fs/cgroup/pids.max"), "100")
        self.ok("update", "--memory", "48m", "--memory-swap", "48m", "box")
        self.assertEqual(self.inside("cat", "/sys/fs/cgroup/memory.max"), str(48 << 20))

    def test_top_and_stats(self):
        # Docker lists the host's processes whose ids the runtime names: the one that stands for the container.
        self.assertEqual(len(self.ok("top", "box").splitlines()), 2)
        stats = json.loads(self.ok("stats", "--no-stream", "--format", "{{json .}}", "box"))
        self.assertNotEqual(stats["MemUsage"].split("/")[0].strip(), "0B")

    def test_pause(self):
        self.ok("pause", "box")
        self.assertEqual(self.ok("inspect", "--format", "{{.State.Status}}", "box"), "paused")
        self.ok("unpause", "box")
        self.inside("true")

    def test_copy_and_commit(self):
        source = self.world.path("copied")
        with open(source, "w", encoding="utf-8") as file:
            file.write("copied text\n")
        self.ok("cp", source, "box:/srv/copied")
        self.assertEqual(self.inside("cat", "/srv/copied"), "copied text")
        self.ok("cp", "box:/srv/copied", self.world.path("back"))
        self.assertIn("A /srv/copied", self.ok("diff", "box"))
        self.ok("commit", "box", "localhost/committed:1")
        self.assertIn("localhost/committed", self.ok("images"))

    def test_signals_logs_and_restart(self):
        self.ok("kill", "--signal", "USR1", "box")
        wait_for(lambda: "usr1" in self.ok("logs", "box"), "the signal's word")
        self.ok("stop", "box")
        self.assertEqual(self.ok("wait", "box"), "3")
        self.assertEqual(self.ok("logs", "box").splitlines()[-1], "bye")
        self.ok("start", "box")
        wait_for(lambda: self.ok("logs", "box").splitlines().count("hello") == 2, "the container's word again")
        self.inside("true")

    def test_the_daemon_is_killed(self):
        """In the middle of a run, at a moment of its own each time; the next one cleans up."""
        seed = os.environ.get("KATA_TEST_SEED") or str(random.randrange(1 << 32))
        moment = random.Random(seed).uniform(0, 4)
        print(f"KATA_TEST_SEED={seed}: dockerd is killed after {moment:.2f} s")
        run = self.command("run", "-d", "--runtime", "kata", "--name", "k", "--network", "none", IMAGE, "sleep", "1000")
        with open(os.devnull, "wb") as null:
            process = subprocess.Popen(run, env=self.world.engine_env, stdout=null, stderr=null)
        time.sleep(moment)
        cls = type(self)
        engines.kata_cli.become_subreaper()
        with open(self.world.path("d/exec/containerd/containerd.pid"), encoding="utf-8") as file:
            containerd = int(file.read())
        cls.daemon.kill()
        cls.daemon.wait()
        process.wait(engines.PATIENCE)
        # Its containerd dies with it, but the next dockerd waits for it as long as nobody has taken note of that.
        os.waitpid(containerd, 0)
        cls.start_daemon()
        self.docker("rm", "-f", "k")
        self.docker("stop", "-t", "0", "box")
        wait_for(lambda: not [line for _, line in self.world.processes() if "qemu" in line], "the guests to go", 60)
        self.ok("start", "box")
        self.assertEqual(self.ok("exec", "box", "echo", "alive").strip(), "alive")


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("dockerd", "/usr/bin/docker"))
