# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of katactl share: a world of their own (root directory, settings, bundles), and the check that
nothing of it is left."""
import array
import ctypes
import glob
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))
KERNEL = os.environ.get("KATA_TEST_KERNEL") or os.path.join(BUILD, "guest/vmlinuz")
INITRD = os.path.join(BUILD, "guest/initrd.img")
PR_SET_CHILD_SUBREAPER = 36
# Far above what a guest needs to start without KVM on a busy machine.
PATIENCE = 180


def built(room, name):
    """The program itself where libtool has put a script in its place."""
    hidden = os.path.join(BUILD, room, ".libs", name)
    return hidden if os.path.exists(hidden) else os.path.join(BUILD, room, name)


KATACTL = os.environ.get("KATACTL") or built("katactl", "katactl")
OWNER = os.environ.get("KATA_OWNER") or built("shim", "containerd-shim-kata-v2")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def require_katactl():
    if not os.access(KATACTL, os.X_OK):
        skip(f"'{KATACTL}' is not built")


def require_guests():
    require_katactl()
    if os.geteuid() != 0:
        skip("guests need root")
    for path in (OWNER, KERNEL, INITRD):
        if not os.path.exists(path):
            skip(f"'{path}' is not built (make guest)")
    for program in ("qemu-system-x86_64", "busybox"):
        if shutil.which(program) is None:
            skip(f"'{program}' is not installed")


def become_subreaper():
    """Orphans come to this process, as they come to conmon and containerd's shims."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for(condition, what, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


class DescriptorSocket:
    """What conmon and containerd's shims listen with for a terminal, and others for a pidfd."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(1)

    def receive(self):
        """The one descriptor that comes, and its name, in one message and then the end."""
        self.listener.settimeout(PATIENCE)
        peer, _ = self.listener.accept()
        descriptors = array.array("i")
        text, ancillary, flags, _ = peer.recvmsg(4095, socket.CMSG_SPACE(4))
        assert len(ancillary) == 1 and not flags & socket.MSG_CTRUNC
        descriptors.frombytes(ancillary[0][2])
        assert len(descriptors) == 1 and len(text) > 0
        assert peer.recv(1) == b""
        peer.close()
        self.listener.close()
        return descriptors[0], text.decode()


def pid_of(pidfd):
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="utf-8") as file:
        return int(re.search(r"(?m)^Pid:\s+(\d+)", file.read())[1])


def reap():
    """Collects whatever was left to this process."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


class World:
    """A root directory with its settings; everything below one directory."""

    def __init__(self, settings=None, kernel=KERNEL):
        self.base = tempfile.mkdtemp(prefix="kata-", dir="/tmp")
        os.chmod(self.base, 0o755)
        self.root = os.path.join(self.base, "r")
        os.mkdir(self.root)
        self.config = os.path.join(self.base, "kata.conf")
        values = {("hypervisor.qemu", "kernel"): f'"{kernel}"', ("hypervisor.qemu", "initrd"): f'"{INITRD}"',
                  ("hypervisor.qemu", "accelerator"): '"tcg"', ("hypervisor.qemu", "default_memory"): "256",
                  ("agent.kata", "dial_timeout"): "150",
                  # Nobody works in the background of a test that has not asked for it.
                  ("factory", "enable_template"): "false",
                  ("factory", "template_path"): f'"{self.path("templates")}"'}
        if os.environ.get("KATA_TEST_TEMPLATES"):
            values.update({("factory", "enable_template"): "true",
                           ("factory", "template_path"): f'"{os.environ["KATA_TEST_TEMPLATES"]}"'})
        self.settings = values
        self.configure(settings or [])
        self.env = dict(os.environ, KATA_ROOT=self.root, KATA_CONFIG=self.config, KATA_OWNER=OWNER,
                        LD_LIBRARY_PATH=os.path.join(BUILD, "lib/.libs"))
        self.bundles = 0
        if os.environ.get("KATA_TEST_TEMPLATES"):
            made = self.run("template", "create")
            assert made.returncode == 0, made.stderr

    def configure(self, settings):
        """Settings in the place of those there are: lists of section, key, value."""
        self.settings.update({(section, key): value for section, key, value in settings})
        lines = []
        for section in sorted({section for section, _ in self.settings}, reverse=True):
            lines += [f"[{section}]"]
            lines += [f"{key} = {value}" for (at, key), value in self.settings.items() if at == section]
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def path(self, name):
        return os.path.join(self.base, name)

    def run(self, *args, timeout=PATIENCE, **options):
        """katactl to its end; output as text."""
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([KATACTL, *args], env=self.env, timeout=timeout, text=True, capture_output=True,
                              check=False, **options)

    def start(self, *args, **options):
        return subprocess.Popen([KATACTL, *args], env=self.env, **options)

    def run_attached(self, *args, timeout=PATIENCE, **options):
        """katactl whose container gets files as its streams, so that nothing waits for the container's end."""
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            options.setdefault("stdin", subprocess.DEVNULL)
            result = subprocess.run([KATACTL, *args], env=self.env, timeout=timeout, stdout=output, stderr=errors,
                                    check=False, **options)
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(args, result.returncode, output.read(), errors.read())

    def bundle(self, *args, terminal=False, rootfs=True, change=None):
        """A bundle with busybox that runs args. change: called with the document before it is written."""
        self.bundles += 1
        path = self.path(f"b{self.bundles}")
        os.makedirs(os.path.join(path, "rootfs"))
        if rootfs:
            fill_rootfs(os.path.join(path, "rootfs"))
        document = {
            "ociVersion": "1.0.2",
            "root": {"path": "rootfs", "readonly": False},
            "hostname": "box",
            "process": {
                "terminal": terminal,
                "user": {"uid": 0, "gid": 0},
                "args": list(args),
                "env": ["PATH=/bin", "TERM=dumb", "FROM=config"],
                "cwd": "/",
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                 "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            ],
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
                                     {"type": "network"}]},
        }
        if change is not None:
            change(document)
        with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as file:
            json.dump(document, file)
        return path

    def state(self, container):
        result = self.run("state", container)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def wait_status(self, container, status):
        wait_for(lambda: self.state(container)["status"] == status, f"{container} to be {status}")

    def processes(self):
        """(pid, command line) of all that name a path of this world, but for this test itself."""
        found = []
        for path in glob.glob("/proc/[0-9]*"):
            pid = int(os.path.basename(path))
            try:
                with open(f"{path}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace")
                with open(f"{path}/environ", "rb") as file:
                    environment = file.read().decode(errors="replace")
                with open(f"{path}/stat", "rb") as file:
                    is_zombie = file.read().rsplit(b")", 1)[1].split()[0] == b"Z"
            except OSError:
                continue
            if pid != os.getpid() and not is_zombie and (self.base in line or self.base in environment):
                found.append((pid, line))
        return found

    def machines(self):
        """Pids of this world's QEMUs."""
        return [pid for pid, line in self.processes() if "qemu-system" in line.split(" ")[0]]

    def left_overs(self):
        reap()
        left = [f"process {pid}: {line[:200]}" for pid, line in self.processes()]
        with open("/proc/self/mounts", encoding="utf-8") as file:
            left += [f"mount: {line.strip()}" for line in file if self.base in line]
        for folder in ("s", "c"):
            left += glob.glob(os.path.join(self.root, folder, "*"))
        return left

    def assert_nothing_left(self, seconds=15):
        try:
            wait_for(lambda: not self.left_overs(), "everything to go", seconds)
        except AssertionError:
            raise AssertionError("left over:\n" + "\n".join(self.left_overs())) from None

    def owner_log(self):
        text = ""
        for path in glob.glob(os.path.join(self.root, "s/*/*.log")):
            with open(path, encoding="utf-8", errors="replace") as file:
                text += f"--- {path}\n{file.read()[-4000:]}\n"
        return text

    def close(self):
        """Ends whatever a failed test has left."""
        for container in self.run("list", "--quiet").stdout.split():
            self.run("delete", "--force", container)
        for pid, line in self.processes():
            print(f"killing what is left: {line[:200]}", file=sys.stderr)
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        reap()
        # Where templates of this world were made: a lock is left there.
        templates = hashlib.sha256(self.path("templates").encode()).hexdigest()[:8]
        shutil.rmtree(f"/run/kata/t/{templates}", ignore_errors=True)
        shutil.rmtree(self.base, ignore_errors=True)


def fill_rootfs(rootfs):
    for folder in ("bin", "proc", "dev", "tmp", "etc"):
        os.makedirs(os.path.join(rootfs, folder), exist_ok=True)
    shutil.copy(shutil.which("busybox"), os.path.join(rootfs, "bin/busybox"))
    for name in subprocess.check_output(["busybox", "--list"], text=True).split():
        link = os.path.join(rootfs, "bin", name)
        if name != "busybox" and not os.path.lexists(link):
            os.symlink("busybox", link)


def add_program(rootfs, path, environment):
    """The program as /bin/NAME, with the libraries it names where it looks for them."""
    shutil.copy(path, os.path.join(rootfs, "bin", os.path.basename(path)))
    for library in re.findall(r"(/\S+) \(0x", subprocess.check_output(["ldd", path], env=environment, text=True)):
        # What the build tree has goes to where the loader looks without being told.
        at = library if library.startswith(("/lib", "/usr/lib")) else f"/usr/lib/{os.path.basename(library)}"
        target = os.path.join(rootfs, at.lstrip("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(library, target)


class Assertions(unittest.TestCase):
    """What katactl's callers rely on; self.world is the subclass's."""

    def ok(self, *args, **options):
        """Succeeds, and says nothing on standard error."""
        result = self.world.run_attached(*args, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ""), f"katactl {' '.join(args)}\n{result.stdout}")
        return result.stdout

    def fails(self, text, *args, status=1, **options):
        result = self.world.run_attached(*args, **options)
        self.assertEqual(result.returncode, status, f"katactl {' '.join(args)}\n{result.stdout}{result.stderr}")
        self.assertIn(text, result.stderr)
        return result.stderr

    def commands(self):
        """All commands, of one word or two, as katactl's own help lists them."""
        text = self.ok("help").split("Commands:\n")[1].split("\n\n")[0]
        return [name for name in re.findall(r"(?m)^   (\S+(?: \S+)?)  +\S", text) if name != "help"]


class CliTest(Assertions):
    """One world for each test; a test that succeeds leaves nothing."""
    settings = None
    kernel = KERNEL

    def count_faults(self):
        return len(self._outcome.result.failures) + len(self._outcome.result.errors)

    def setUp(self):
        self.faults_before = self.count_faults()
        self.world = self.make_world()
        self.addCleanup(self.world.close)

    def make_world(self):
        return World(self.settings, self.kernel)

    def tearDown(self):
        if self.count_faults() > self.faults_before:
            print(self.world.owner_log(), file=sys.stderr)
        else:
            self.world.assert_nothing_left()


class OneContainerTest(Assertions):
    """One running container "c1" for all tests of the class: a guest's start takes longer than most tests."""
    settings = None

    @classmethod
    def setUpClass(cls):
        cls.world = World(cls.settings)
        cls.addClassCleanup(cls.world.close)
        result = cls.world.run_attached("run", "-d", "--bundle", cls.world.bundle("sleep", "100000"), "c1")
        assert result.returncode == 0, result.stderr

    @classmethod
    def tearDownClass(cls):
        result = cls.world.run("delete", "--force", "c1")
        assert result.returncode == 0, result.stderr
        cls.world.assert_nothing_left()


def main(*requirements):
    for require in requirements:
        require()
    unittest.main(verbosity=2, buffer=False)
