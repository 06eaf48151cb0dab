# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of engines share: a world of katactl's with a wrapper that engines take for a runtime, images made of
what this machine has, and the check that nothing is left."""
import glob
import hashlib
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
import kata_cli  # pylint: disable=wrong-import-position
from kata_cli import PATIENCE, skip, wait_for  # pylint: disable=wrong-import-position,unused-import

# With ENGINE_RUNTIME=runc the tests run the host's runtime instead: so they are tested themselves.
OTHER_RUNTIME = os.environ.get("ENGINE_RUNTIME")
# Engines raise limits to values of their own, which a machine may forbid.
LIMITS = ["nofile=1024:1024", "nproc=4096:4096"]
IMAGE = "localhost/box:1"


def require(*programs):
    kata_cli.require_guests()
    for program in programs:
        if shutil.which(program) is None:
            skip(f"'{program}' is not installed")


def version(*command):
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout.strip().splitlines()[0]


def sandboxes_below(root):
    """What is left of sandboxes and containers below a root directory, and where katactl puts them instead."""
    key = hashlib.sha256(root.encode()).hexdigest()[:16]
    return glob.glob(f"{root}/[sc]/*") + glob.glob(f"/run/kata/o/{key}/*")


class EngineWorld(kata_cli.World):
    def __init__(self, settings=None):
        super().__init__(settings)
        self.temporary = self.path("t")
        os.mkdir(self.temporary)
        os.mkdir(self.path("runtimes"))
        self.image_tar = self.path("rootfs.tar")
        self.make_rootfs(self.path("rootfs"))
        self.engine_env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.base, "TMPDIR": self.temporary,
                           "XDG_RUNTIME_DIR": self.temporary, "LC_ALL": "C.UTF-8", "KATA_TEST_WORLD": self.base}

    def runtime(self, name):
        """The path of a program that is katactl of this build in this world, whatever environment it gets."""
        path = self.path(f"runtimes/{name}")
        if not os.path.exists(path):
            program = shutil.which(OTHER_RUNTIME) if OTHER_RUNTIME else kata_cli.KATACTL
            names = ("KATA_CONFIG", "KATA_OWNER", "KATA_ROOT", "LD_LIBRARY_PATH")
            with open(path, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n" + "".join(f"export {each}='{self.env[each]}'\n" for each in names) +
                           f"exec '{program}' {self.other_root()} \"$@\"\n")
            os.chmod(path, 0o755)
        return path

    def other_root(self):
        return f"--root {self.path('other')}" if OTHER_RUNTIME else ""

    def make_rootfs(self, path):
        """busybox and what engines look up in an image."""
        for folder in ("sys", "root", "var", "home", "run", "srv"):
            os.makedirs(os.path.join(path, folder))
        kata_cli.fill_rootfs(path)
        for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n"),
                           ("group", "root:x:0:\nuser:x:1000:\nstaff:x:50:user\n"), ("not-executable", "text\n")):
            with open(os.path.join(path, "etc", name), "w", encoding="utf-8") as file:
                file.write(text)
        os.chmod(os.path.join(path, "tmp"), 0o1777)
        subprocess.run(["tar", "-C", path, "-cf", self.image_tar, "."], check=True)

    def engine(self, *command, timeout=PATIENCE, **options):
        """A command of an engine to its end, in an environment of its own."""
        options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
        options.setdefault("text", True)
        return subprocess.run(command, env=self.engine_env, timeout=timeout, capture_output=True, check=False, **options)

    def unmount_storage(self):
        """Engines leave the mount of their own storage directory in place."""
        with open("/proc/self/mounts", encoding="utf-8") as file:
            places = [line.split()[1] for line in file if self.base in line.split()[1]]
        for place in reversed(places):
            if os.path.basename(place) in ("overlay", "vfs"):
                subprocess.run(["umount", place], check=False)

    def left_overs(self):
        self.unmount_storage()
        return super().left_overs()

    def close(self):
        super().close()
        with open("/proc/self/mounts", encoding="utf-8") as file:
            places = [line.split()[1] for line in file if self.base in line.split()[1]]
        for place in reversed(places):
            print(f"unmounting what is left: {place}", file=sys.stderr)
            subprocess.run(["umount", "-l", place], check=False)
        shutil.rmtree(self.base, ignore_errors=True)


class EngineTest(kata_cli.CliTest):
    """A world of its own for each test; a test that succeeds leaves nothing."""

    def make_world(self):
        return EngineWorld()


class Terminal:
    """A command on a terminal of its own, to talk with."""

    def __init__(self, world, *command):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(command, env=world.engine_env, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True)
        os.close(slave)
        self.text = ""

    def send(self, text):
        os.write(self.master, text.encode())

    def read_until(self, wanted, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while wanted not in self.text:
            left = end - time.monotonic()
            assert left > 0, f"no '{wanted}' on the terminal, but:\n{self.text}"
            if not select.select([self.master], [], [], left)[0]:
                continue
            try:
                self.text += os.read(self.master, 4096).decode(errors="replace")
            except OSError:
                assert wanted in self.text, f"no '{wanted}' on the terminal, but:\n{self.text}"
        return self.text

    def wait(self, seconds=PATIENCE):
        status = self.process.wait(seconds)
        os.close(self.master)
        return status


def documented(name, path, document="docs/engines.md"):
    """The configuration that users copy from a document, with path in the place of katactl."""
    with open(os.path.join(kata_cli.SOURCE, document), encoding="utf-8") as file:
        text = file.read()
    block = text[text.index(f"{name}`:\n\n```"):].split("```")[1]
    block = block[block.index("\n") + 1:]
    if path is None:
        return block
    assert "/usr/local/bin/katactl" in block, name
    return block.replace("/usr/local/bin/katactl", path)


# Before and after the documented section [engine]: what a test needs beyond it.
CONTAINERS_CONF = """\
[containers]
default_ulimits = [{limits}]
log_driver = "k8s-file"
[network]
network_config_dir = "{base}/networks"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
"""

STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{base}/p/root"
runroot = "{base}/p/run"
"""


class Podman:
    """Podman (and Buildah) with storage, settings and state in a world's directory. "kata" is a name it takes for a
    runtime of virtual machines, "other" none that it knows."""

    def __init__(self, world, network=None):
        """network: the name of a network namespace (ip-netns(8)) that stands for the host's."""
        self.world = world
        self.enter = ["nsenter", f"--net=/run/netns/{network}"] if network else []
        settings = CONTAINERS_CONF.format(limits=", ".join(f'"{limit}"' for limit in LIMITS), base=world.base)
        settings += documented("containers.conf", world.runtime("kata")).replace("[engine]\n", "")
        self.write("containers.conf", f'{settings}other = ["{world.runtime("other")}"]\n')
        self.write("storage.conf", STORAGE_CONF.format(base=world.base))
        world.engine_env.update(CONTAINERS_CONF=world.path("containers.conf"),
                                CONTAINERS_STORAGE_CONF=world.path("storage.conf"))
        imported = self.run("import", world.image_tar, IMAGE)
        assert imported.returncode == 0, imported.stderr

    def write(self, name, text):
        with open(self.world.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def command(self, *args):
        return [*self.enter, "podman", "--tmpdir", self.world.path("p/tmp"), *args]

    def run(self, *args, **options):
        return self.world.engine(*self.command(*args), **options)

    def ok(self, *args, **options):
        result = self.run(*args, **options)
        assert result.returncode == 0, f"podman {' '.join(args)}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout.strip() if isinstance(result.stdout, str) else result.stdout
