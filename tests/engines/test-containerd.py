#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""containerd with its runc shim, whose binary is katactl."""
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import time
import unittest

import engines
import ttrpc
from engines import EngineWorld, Terminal, wait_for

RESOURCES = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"

CONFIG = """\
version = 2
root = "{base}/containerd/root"
state = "{base}/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{base}/containerd.sock"
[ttrpc]
  address = "{base}/containerd.ttrpc"
"""


class ContainerdTest(unittest.TestCase):
    mounts = None

    @classmethod
    def setUpClass(cls):
        cls.world = EngineWorld()
        cls.addClassCleanup(cls.world.close)
        world = cls.world
        # containerd gives the runtime a directory of this name below /run/containerd/runc, wherever its own state is.
        cls.namespace = os.path.basename(world.base).replace("_", "Z")  # no two "_" in a row, none at its end
        cls.runtime = world.runtime("kata")
        with open(world.path("config.toml"), "w", encoding="utf-8") as file:
            file.write(CONFIG.format(base=world.base))
        cls.start_daemon()
        cls.addClassCleanup(cls.stop_daemon)
        cls.import_image()

    @classmethod
    def start_daemon(cls):
        """In a mount namespace of its own, which a second one enters: the first one's shims are in it."""
        enter = ["nsenter", f"--mount={cls.mounts}"] if cls.mounts else ["unshare", "--mount", "--propagation", "shared"]
        with open(cls.world.path("containerd.log"), "a", encoding="utf-8") as log:
            cls.daemon = subprocess.Popen([*enter, "containerd", "--config", cls.world.path("config.toml")],
                                          env=cls.world.engine_env, stdout=log, stderr=log)
        wait_for(lambda: cls.ctr("version").returncode == 0, "containerd to answer")

    @classmethod
    def stop_daemon(cls):
        cls.daemon.terminate()
        cls.daemon.wait()
        shutil.rmtree(f"/run/containerd/runc/{cls.namespace}", ignore_errors=True)
        # containerd puts containers into a cgroup of this name, which no runtime removes.
        for path in glob.glob(f"/sys/fs/cgroup/{cls.namespace}") + glob.glob(f"/sys/fs/cgroup/*/{cls.namespace}"):
            try:
                os.rmdir(path)
            except OSError as error:
                print(f"left: {path}: {error}")

    @classmethod
    def import_image(cls):
        world = cls.world
        layout, unpacked = world.path("layout"), world.path("unpacked")
        for command in (["umoci", "init", "--layout", layout], ["umoci", "new", "--image", f"{layout}:1"],
                        ["umoci", "unpack", "--image", f"{layout}:1", unpacked],
                        ["cp", "-a", world.path("rootfs/."), os.path.join(unpacked, "rootfs")],
                        ["umoci", "repack", "--image", f"{layout}:1", unpacked],
                        ["tar", "-C", layout, "-cf", world.path("image.tar"), "."]):
            subprocess.run(command, check=True, env=world.engine_env, capture_output=True)
        cls.ok("images", "import", "--base-name", "localhost/box", world.path("image.tar"))

    @classmethod
    def command(cls, *args):
        return ["ctr", "--address", cls.world.path("containerd.sock"), "--namespace", cls.namespace, *args]

    @classmethod
    def ctr(cls, *args, **options):
        return cls.world.engine(*cls.command(*args), **options)

    @classmethod
    def ok(cls, *args, **options):
        result = cls.ctr(*args, **options)
        assert result.returncode == 0, f"ctr {' '.join(args)}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout

    def box(self, *options):
        return ["run", *options, "--runc-binary", self.runtime, engines.IMAGE]

    def setUp(self):
        self.addCleanup(self.remove_all)

    def remove_all(self):
        for container in self.ctr("containers", "ls", "-q").stdout.split():
            self.ctr("task", "kill", "--signal", "KILL", container)
            self.ctr("task", "rm", "--force", container)
            self.ctr("containers", "rm", container)

    def tearDown(self):
        try:
            wait_for(lambda: not self.left(), "everything of the container to go", 15)
        except AssertionError:
            raise AssertionError("left over: " + "\n".join(self.left())) from None

    def left(self):
        left = [line for line in self.world.left_overs() if "containerd --config" not in line]
        return left + engines.sandboxes_below(f"/run/containerd/runc/{self.namespace}")

    def test_documented_configuration(self):
        path = self.world.path("documented.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("version = 2\n" + engines.documented("config.toml", self.runtime))
        dump = self.world.engine("containerd", "--config", path, "config", "dump")
        self.assertEqual(dump.returncode, 0, dump.stderr)
        self.assertIn(f'BinaryName = "{self.runtime}"', dump.stdout)

    def test_run(self):
        result = self.ctr(*self.box("--rm"), "r1", "/bin/sh", "-c", "cat; echo err >&2; exit 42", input="text" * 100000)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (42, "text" * 100000, "err\n"))
        terminal = Terminal(self.world, *self.command(*self.box("--rm", "-t"), "r2", "/bin/sh", "-c",
                                                      "tty; read x; echo \"<$x>\"; exit 6"))
        terminal.read_until("/dev/pts/")
        terminal.send("line\n")
        terminal.read_until("<line>")
        self.assertEqual(terminal.wait(), 6)
        result = self.ctr(*self.box("--rm"), "r3", "/nowhere")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, "OCI runtime create failed: (?i:.*no such file)")

    def test_life_of_a_task(self):
        os.mkdir(self.world.path("v"))
        mount = f"type=bind,src={self.world.path('v')},dst=/v,options=rbind:rw"
        cgroup = "type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro"
        self.ok(*self.box("-d", "--mount", mount, "--mount", cgroup), "k", "/bin/sh", "-c",
                "trap 'exit 7' TERM; echo up >/v/up; while :; do sleep 0.1; done")
        wait_for(lambda: os.path.exists(self.world.path("v/up")), "the container's file")
        inside = self.ctr("task", "exec", "--exec-id", "e1", "k", "/bin/sh", "-c", "echo in; exit 5")
        self.assertEqual((inside.returncode, inside.stdout), (5, "in\n"))
        self.assertRegex(self.ok("task", "ps", "k"), "PID +INFO\n[0-9]+ ")
        self.ok("task", "pause", "k")
        self.assertIn("PAUSED", self.ok("task", "ls"))
        self.ok("task", "resume", "k")
        self.assertIn("RUNNING", self.ok("task", "ls"))
        self.assertRegex(self.ok("task", "metrics", "k"), "memory.usage_in_bytes +[1-9]")
        self.check_update("k")
        self.ok("task", "kill", "k")
        wait_for(lambda: "STOPPED" in self.ok("task", "ls"), "the container's end")
        removed = self.ctr("task", "rm", "k")
        self.assertIn("non-zero exit code 7", removed.stdout + removed.stderr)
        self.ok("containers", "rm", "k")

    def check_update(self, container):
        """ctr has no command for it: what CRI sends the shim, which calls "update --resources=-"."""
        folder = f"containerd/state/io.containerd.runtime.v2.task/{self.namespace}/{container}"
        with open(self.world.path(f"{folder}/address"), encoding="utf-8") as file:
            client = ttrpc.Client(file.read())
        self.addCleanup(client.close)
        resources = {1: RESOURCES, 2: json.dumps({"pids": {"limit": 50}, "cpu": {"quota": 50000, "period": 100000}})}
        self.assertEqual(client.call("containerd.task.v2.Task", "Update", {1: container, 2: resources}), ("OK", {}))
        limits = self.ok("task", "exec", "--exec-id", "e2", container, "/bin/sh", "-c",
                         "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max")
        self.assertEqual(limits, "50\n50000 100000\n")

    def find_shims(self):
        """But not what cleans up behind one of them."""
        found = [(pid, line.split()) for pid, line in self.world.processes()]
        return [pid for pid, words in found if words[0].endswith("containerd-shim-runc-v2") and words[-1] != "delete"]

    def kill_shims(self):
        """Twice: a first one, which starts another and ends, may do so after it was found, and containerd forgets that."""
        for _ in range(2):
            for pid in self.find_shims():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def test_a_shim_is_killed(self):
        """containerd deletes what the shim has left; at once, and while the container is made."""
        self.ok(*self.box("-d"), "s", "/bin/sleep", "1000")
        self.kill_shims()
        wait_for(lambda: not self.left(), "everything of the container to go", 60)
        self.remove_all()
        seed = os.environ.get("KATA_TEST_SEED") or str(random.randrange(1 << 32))
        moment = random.Random(seed).uniform(0, 3)
        print(f"KATA_TEST_SEED={seed}: a shim is killed after {moment:.2f} s")
        with open(os.devnull, "wb") as null:
            process = subprocess.Popen(self.command(*self.box("-d"), "s", "/bin/sleep", "1000"), stdout=null, stderr=null,
                                       env=self.world.engine_env)
        time.sleep(moment)
        self.kill_shims()
        process.wait(engines.PATIENCE)
        self.remove_all()
        wait_for(lambda: not self.left(), "everything of the container to go", 60)

    def test_containerd_is_killed(self):
        """The container goes on, and the next containerd finds it."""
        self.ok(*self.box("-d"), "d", "/bin/sleep", "1000")
        cls = type(self)
        # Its namespace is kept by the container's shim.
        cls.mounts = f"/proc/{self.find_shims()[0]}/ns/mnt"
        cls.daemon.kill()
        cls.daemon.wait()
        cls.start_daemon()
        self.assertIn("RUNNING", self.ok("task", "ls"))
        self.assertEqual(self.ok("task", "exec", "--exec-id", "e", "d", "/bin/echo", "alive"), "alive\n")
        self.remove_all()


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("containerd", "ctr", "umoci"))
