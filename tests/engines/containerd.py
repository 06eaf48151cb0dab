# SPDX-License-Identifier: LGPL-2.1-or-later
"""containerd by hand, with directories, socket and settings of its own; it can be killed and started again."""
import glob
import json
import os
import shutil
import subprocess
import threading

import kata_cli
from engines import wait_for

CONFIG = """\
version = 2
root = "{base}/containerd/root"
state = "{base}/containerd/state"
{more}
[grpc]
  address = "{base}/containerd.sock"
[ttrpc]
  address = "{base}/containerd.ttrpc"
[debug]
  level = "debug"
"""
NO_CRI = 'disabled_plugins = ["io.containerd.grpc.v1.cri"]'
KATA = "io.containerd.kata.v2"


class Containerd:
    """world: an EngineWorld, whose settings file the kata runtime gets by the environment of containerd."""

    def __init__(self, world, more=NO_CRI):
        self.world = world
        # The owners' directories are below /run/kata/NAMESPACE.
        self.namespace = os.path.basename(world.base).replace("_", "Z")  # no two "_" in a row, none at its end
        self.state = world.path("containerd/state")
        self.config = world.path("containerd.toml")
        self.log = world.path("containerd.log")
        self.process = None
        self.env = dict(world.engine_env, KATA_CONF_FILE=world.config,
                        PATH=os.path.dirname(kata_cli.OWNER) + ":" + world.engine_env["PATH"])
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(base=world.base, more=more))
        self.start()

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([*self.launcher(), "containerd", "--config", self.config], env=self.env,
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(lambda: self.ctr("version").returncode == 0, "containerd to answer")

    def launcher(self):
        return ["unshare", "--mount", "--propagation", "shared"]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)
        # Wherever containerd's own state is, its runc shim has a directory here.
        shutil.rmtree(f"/run/containerd/runc/{self.namespace}", ignore_errors=True)

    @property
    def root(self):
        """Where the kata runtime has its sandboxes."""
        return f"/run/kata/{self.namespace}"

    def command(self, *args):
        return ["ctr", "--address", self.world.path("containerd.sock"), "--namespace", self.namespace, *args]

    def ctr(self, *args, **options):
        return self.world.engine(*self.command(*args), **options)

    def ok(self, *args, **options):
        result = self.ctr(*args, **options)
        assert result.returncode == 0, f"ctr {' '.join(args)}: {result.returncode}\n{result.stdout}{result.stderr}" + \
            self.last_words()
        return result.stdout

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "--- containerd's log:\n" + "".join(file.readlines()[-40:])

    def import_image(self):
        """localhost/box:1, with busybox. It does for a pod's own container too."""
        world = self.world
        layout, unpacked = world.path("layout"), world.path("unpacked")
        for command in (["umoci", "init", "--layout", layout], ["umoci", "new", "--image", f"{layout}:1"],
                        ["umoci", "unpack", "--image", f"{layout}:1", unpacked],
                        ["cp", "-a", world.path("rootfs/."), os.path.join(unpacked, "rootfs")],
                        ["umoci", "repack", "--image", f"{layout}:1", unpacked],
                        ["umoci", "config", "--image", f"{layout}:1", "--config.cmd=/bin/sleep", "--config.cmd=1000000"],
                        ["tar", "-C", layout, "-cf", world.path("image.tar"), "."]):
            subprocess.run(command, check=True, env=world.engine_env, capture_output=True)
        self.ok("images", "import", "--base-name", "localhost/box", world.path("image.tar"))

    def bundle(self, container):
        return os.path.join(self.state, "io.containerd.runtime.v2.task", self.namespace, container)

    def pids_of(self, container):
        """Of what serves a container: the owner, QEMU, and virtiofsd (its parent first)."""
        with open(os.path.join(self.bundle(container), "shim.pid"), encoding="utf-8") as file:
            found = {"owner": int(file.read())}
        with open(os.path.join(self.bundle(container), "address"), encoding="utf-8") as file:
            directory = os.path.dirname(file.read().replace("unix://", ""))
        with open(os.path.join(directory, "state.json"), encoding="utf-8") as file:
            state = json.load(file)
        return dict(found, qemu=state["qemu_pid"], virtiofsd=state["virtiofsd_pid"])

    def remove_all(self):
        for container in self.ctr("containers", "ls", "-q").stdout.split():
            self.ctr("task", "kill", "--signal", "KILL", container)
            self.ctr("task", "rm", "--force", container)
            self.ctr("containers", "rm", container)

    def left(self):
        """What is there of sandboxes; containerd itself does not count."""
        left = [line for line in self.world.left_overs() if "containerd --config" not in line]
        return left + self.sandboxes_left() + glob.glob(self.bundle("*"))

    def sandboxes_left(self):
        return glob.glob(f"{self.root}/[sc]/*")

    def assert_nothing_left(self, seconds=20):
        try:
            wait_for(lambda: not self.left(), "everything of the containers to go", seconds)
        except AssertionError:
            raise AssertionError("left over: " + "\n".join(self.left()) + "\n" + self.last_words()) from None


class Events:
    """What `ctr events` says from now on."""

    def __init__(self, daemon):
        self.lines = []
        self.process = subprocess.Popen(daemon.command("events"), env=daemon.world.engine_env, text=True,
                                        stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        # It says nothing when it has subscribed, so something is made until it is seen.
        number = [0]

        def seen():
            number[0] += 1
            daemon.ctr("namespaces", "label", daemon.namespace, f"test={number[0]}")
            return any("/namespaces/update" in line for line in self.lines)
        wait_for(seen, "ctr events to listen")

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def topics(self, container):
        """Topics of tasks, in their order, and what follows them."""
        return [line.split(None, 5)[5].strip() for line in list(self.lines)
                if "/tasks/" in line and f'"{container}"' in line]

    def close(self):
        if self.process.stdout.closed:
            return
        self.process.terminate()
        self.thread.join()
        self.process.wait()
        self.process.stdout.close()
