# SPDX-License-Identifier: LGPL-2.1-or-later
"""crun and runc on the host and katactl behind one interface, and the bundles all of them get."""
import copy
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time

import kata_cli

PATIENCE = kata_cli.PATIENCE
# As engines give it to containers.
CAPABILITIES = [f"CAP_{name}" for name in (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT")]
# What crun cannot be given on every host: it needs cgroup v2 alone, and limits need rights a test may not have.
BASE = {
    "ociVersion": "1.0.2",
    "root": {"path": "rootfs", "readonly": False},
    "hostname": "box",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["PATH=/bin:/usr/bin", "TERM=dumb"],
        "cwd": "/",
        "capabilities": {part: CAPABILITIES for part in ("bounding", "effective", "permitted")},
    },
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    ],
    "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
                             {"type": "network"}]},
}


class Result:
    def __init__(self, status, stdout, stderr=""):
        self.status, self.stdout, self.stderr = status, stdout, stderr


class Engine:
    """A command line as runc's."""

    def command(self, *args):
        raise NotImplementedError

    def prepare(self, document, path):
        """What this engine needs in config.json beyond the case."""

    def call(self, *args, stdin=b"", cwd=None):
        """To its end; the container's streams are files, so that nothing waits for what is left running."""
        with open(os.devnull, "rb") as null, self.scratch() as out, self.scratch() as err:
            source = subprocess.PIPE if stdin else null
            process = subprocess.Popen(self.command(*args), stdin=source, stdout=out, stderr=err, env=self.env, cwd=cwd)
            process.communicate(stdin or None, timeout=PATIENCE)
            out.seek(0)
            err.seek(0)
            return Result(process.returncode, out.read().decode(errors="replace"), err.read().decode(errors="replace"))

    def call_on_terminal(self, *args, keys=(), size=(24, 80)):
        """On a terminal of its own; keys: what is typed, each once its text has been seen: (text, bytes)."""
        pid, master = pty.fork()
        if pid == 0:
            try:
                os.execvpe(self.command(*args)[0], self.command(*args), self.env)
            finally:
                os._exit(127)
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        keys, seen, end = list(keys), b"", time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if keys and keys[0][0].encode() in seen:
                os.write(master, keys.pop(0)[1])
            if not select.select([master], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        else:
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(master)
        return Result(status, seen.decode(errors="replace"))

    def scratch(self):
        return tempfile.TemporaryFile(dir=self.base)


class OnHost(Engine):
    """In a mount namespace where the cgroup tree is pure v2, which is what crun 1.8 takes."""
    NAME, OPTIONS = "", ()

    def __init__(self, base):
        self.base = base
        self.root = os.path.join(base, self.NAME)
        self.env = dict(os.environ)
        self.cgroup = f"/kata-oci-{self.NAME}-{os.getpid()}"
        place = ("{ mountpoint -q /sys/fs/cgroup && umount -R -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }"
                 " >&2 && echo ready && exec sleep 100000")
        self.holder = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", place],
                                       stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            kata_cli.skip(f"no mount namespace with cgroup v2 for {self.NAME}")

    def command(self, *args):
        return ["nsenter", "-t", str(self.holder.pid), "-m", f"--wd={self.base}", self.NAME, *self.OPTIONS, "--root",
                self.root, *args]

    def prepare(self, document, path):
        document["linux"]["cgroupsPath"] = f"{self.cgroup}/{os.path.relpath(path, self.base).replace('/', '-')}"

    def close(self):
        subprocess.run(["nsenter", "-t", str(self.holder.pid), "-m", "find", f"/sys/fs/cgroup{self.cgroup}", "-depth",
                        "-type", "d", "-exec", "rmdir", "{}", "+"], stderr=subprocess.DEVNULL, check=False)
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class Crun(OnHost):
    NAME, OPTIONS = "crun", ("--cgroup-manager=cgroupfs",)

    def call_on_terminal(self, *args, **options):
        result = super().call_on_terminal(*args, **options)
        # Now and then crun 1.8 takes the last output for words of its own.
        result.stdout = re.sub(r"\x1b\[1;31m\S+Z: |\x1b\[0m\n", "", result.stdout)
        return result


class Runc(OnHost):
    NAME = "runc"


class Katactl(Engine):
    def __init__(self, base):
        self.base = base
        self.world = kata_cli.World()
        self.env = self.world.env

    def command(self, *args):
        return [kata_cli.KATACTL, *args]

    def close(self):
        self.world.close()


def merge(document, change):
    """Members of change replace those of the document, objects member by member; None removes one."""
    for key, value in change.items():
        if value is None:
            document.pop(key, None)
        elif isinstance(value, dict) and isinstance(document.get(key), dict):
            merge(document[key], value)
        else:
            document[key] = copy.deepcopy(value)
    return document


def make_bundle(engine, directory, name, change, files=None):
    """change: an object to merge() or a function of the document and the bundle's path."""
    path = os.path.join(directory, name)
    rootfs = os.path.join(path, "rootfs")
    os.makedirs(rootfs)
    kata_cli.fill_rootfs(rootfs)
    for folder in ("sys", "run", "out", "mnt"):
        os.makedirs(os.path.join(rootfs, folder), exist_ok=True)
    os.chmod(os.path.join(rootfs, "tmp"), 0o1777)
    with open(os.path.join(rootfs, "etc/passwd"), "w", encoding="ascii") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n")
    with open(os.path.join(rootfs, "etc/group"), "w", encoding="ascii") as file:
        file.write("root:x:0:\ntty:x:5:\nuser:x:1000:\nextra:x:2000:user\n")
    for at, text in (files or {}).items():
        target = os.path.join(path, at)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(target, 0o755)
    document = copy.deepcopy(BASE)
    if callable(change):
        change(document, path)
    else:
        merge(document, change or {})
    if isinstance(document.get("linux"), dict):
        engine.prepare(document, path)
    with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as file:
        json.dump(document, file)
    return path
