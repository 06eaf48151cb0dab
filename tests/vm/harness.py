# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests with real guests share: a world of their own (root directory, settings, bundle) and the check
that nothing of it is left on the host."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

SRCDIR = os.path.abspath(os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "../..")))
BUILDDIR = os.path.abspath(os.environ.get("top_builddir", "."))
BUSYBOX = "/bin/busybox"
APPLETS = ("sh", "true", "false", "echo", "cat", "sleep", "uname", "ps", "head", "sha256sum", "tr", "stty", "id", "ls",
           "dd", "kill", "seq", "touch", "mount", "df", "hostname", "env", "pwd", "test")


def need(condition, what):
    """Leaves with automake's code for a skipped test."""
    if not condition:
        print(f"skipped: {what}")
        sys.exit(77)


def check_prerequisites():
    need(os.geteuid() == 0, "needs root")
    need(os.access("/usr/bin/qemu-system-x86_64", os.X_OK), "needs qemu-system-x86_64")
    need(os.access(BUSYBOX, os.X_OK), "needs busybox-static")
    for name in ("vmlinuz", "initrd.img"):
        need(os.path.exists(f"{BUILDDIR}/guest/{name}"), f"needs the guest image: make guest ({name})")


def config_json(args, **changes):
    """A small config.json, in the form crun and runc write for 'spec'."""
    capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/",
            "env": ["PATH=/bin:/usr/bin", "TERM=xterm"], "noNewPrivileges": True,
            "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "guest",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {"namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount")]},
    }
    for key, value in changes.items():
        config[key] = value
    return config


class World:
    """A root directory with its settings and bundles; use as a context manager."""

    def __init__(self, settings=""):
        # Unix sockets below it want a short path.
        self.root = tempfile.mkdtemp(prefix="kt", dir="/run")
        os.chmod(self.root, 0o711)
        self.config = f"{self.root}/kata.conf"
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(f'[hypervisor.qemu]\nkernel = "{BUILDDIR}/guest/vmlinuz"\n'
                      f'initrd = "{BUILDDIR}/guest/initrd.img"\naccelerator = "tcg"\n{settings}\n')
        self.env = dict(os.environ, KATA_CONFIG=self.config, KATA_OWNER=f"{BUILDDIR}/containerd-shim-kata-v2")
        self.bundles = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid, _ in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.root, ignore_errors=True)

    def bundle(self, args, **changes):
        self.bundles += 1
        path = f"{self.root}/b{self.bundles}"
        os.makedirs(f"{path}/rootfs/bin")
        for name in ("proc", "dev", "sys", "tmp", "etc"):
            os.mkdir(f"{path}/rootfs/{name}")
        shutil.copy(BUSYBOX, f"{path}/rootfs/bin/busybox")
        for name in APPLETS:
            os.symlink("busybox", f"{path}/rootfs/bin/{name}")
        self.write_config(path, config_json(args, **changes))
        return path

    @staticmethod
    def write_config(bundle, config):
        with open(f"{bundle}/config.json", "w", encoding="utf-8") as out:
            json.dump(config, out)

    def command(self, *args):
        return [f"{BUILDDIR}/katactl/katactl", "--root", f"{self.root}/r", *args]

    def katactl(self, *args, check=True, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("timeout", 120)
        done = subprocess.run(self.command(*args), env=self.env, stderr=subprocess.PIPE, check=False, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"katactl {' '.join(args)}: exit {done.returncode}: {done.stderr.decode()}")
        return done

    def run_detached(self, bundle, container, *args):
        """A container that goes on; its streams lead nowhere, since a pipe of ours would stay open with it."""
        with open(os.devnull, "wb") as null, open(f"{self.root}/stderr", "w+b") as errors:
            code = subprocess.run(self.command("run", "--detach", "--bundle", bundle, *args, container), env=self.env,
                                  stdin=subprocess.DEVNULL, stdout=null, stderr=errors, check=False, timeout=120).returncode
            errors.seek(0)
            assert code == 0, f"katactl run --detach: exit {code}: {errors.read().decode()}"

    def start(self, *args, **options):
        """katactl in the background."""
        return subprocess.Popen(self.command(*args), env=self.env, **options)

    def state(self, container):
        return json.loads(self.katactl("state", container).stdout)

    def sandbox_dir(self):
        """The only sandbox's directory, or None."""
        try:
            keys = os.listdir(f"{self.root}/r/s")
        except FileNotFoundError:
            keys = []
        return f"{self.root}/r/s/{keys[0]}" if keys else None

    def processes(self):
        """(pid, command line) of whatever names this world, but for ourselves."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open(f"/proc/{name}/cmdline", "rb") as source:
                    line = source.read().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if self.root in line:
                found.append((int(name), line))
        return found

    def find_process(self, word):
        for pid, line in self.processes():
            if word in line.split(" ")[0]:
                return pid
        return None

    def leftovers(self):
        left = [f"process {pid}: {line[:100]}" for pid, line in self.processes()]
        with open("/proc/self/mountinfo", encoding="utf-8") as source:
            left += [f"mount {line.strip()}" for line in source if self.root in line]
        for room in ("s", "c"):
            folder = f"{self.root}/r/{room}"
            if os.path.isdir(folder):
                left += [f"{folder}/{name}" for name in os.listdir(folder)]
        return left

    def assert_nothing_left(self, timeout=3.0):
        wait_for(lambda: not self.leftovers(), timeout, lambda: "left behind: " + "; ".join(self.leftovers()))


def wait_for(condition, timeout, message="condition"):
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(message() if callable(message) else f"not within {timeout} s: {message}")
        time.sleep(0.02)


def main(tests):
    """Runs the tests given as functions; names on the command line choose some of them."""
    check_prerequisites()
    chosen = [test for test in tests if not sys.argv[1:] or test.__name__ in sys.argv[1:]]
    failed = 0
    for test in chosen:
        begin = time.monotonic()
        try:
            test()
            print(f"ok - {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok - {test.__name__} ({time.monotonic() - begin:.1f} s)")
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
