# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real systemd as process 1 of namespaces of its own, with a bus. It starts nothing of the host's: it has no units but
those written here."""
import glob
import os
import shutil
import signal
import subprocess

from engines import skip, wait_for

SYSTEMD = "/lib/systemd/systemd"
UNITS = {
    "test.target": "Requires=dbus.service\nAfter=dbus.service\n",
    "dbus.socket": "[Socket]\nListenStream=/run/dbus/system_bus_socket\n",
    "dbus.service": "Requires=dbus.socket\n[Service]\nType=notify\nNotifyAccess=main\nExecStart=/usr/bin/dbus-daemon "
                    "--system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only\n",
    **dict.fromkeys(("basic.target", "sysinit.target", "shutdown.target", "umount.target", "final.target"), "")}

# In the namespaces, where the cgroup that the shell is in is the tree's root. Machines wait for each other in /run/kata.
BEGIN = r"""
set -e
hierarchies=$(awk '$3 == "cgroup" { print $2 }' /proc/mounts)
mount --make-rprivate /
mount -t proc proc /proc
mkdir -p /run/kata
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/kata /mnt/units /mnt/none
mount --bind /run/kata /mnt/kata
mount --rbind /mnt /run
umount -l /mnt
cp "$UNITS"/* /run/units
[ ! -e /etc/machine-id ] || { echo 0123456789abcdef0123456789abcdef > /run/id; mount --bind /run/id /etc/machine-id; }
if [ "$hierarchies" ]; then
    umount -R -l /sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    for each in $hierarchies; do
        name=$(basename "$each")
        mkdir "/sys/fs/cgroup/$name"
        [ "$name" = systemd ] && options=none,name=systemd || options=$name
        mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/$name"
    done
else
    umount -l /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
exec env -i PATH="$PATH" container=libkata SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/run/none \
    SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/none "$SYSTEMD" --system --unit=test.target --log-target=console \
    --log-level=notice --show-status=0
"""


def require_systemd():
    for program in (SYSTEMD, "dbus-daemon", "systemctl", "systemd-run", "nsenter", "unshare"):
        if shutil.which(program) is None:
            skip(f"'{program}' is not installed")


class Systemd:
    def __init__(self, base):
        self.cgroup = f"kata-systemd-{os.getpid()}"
        units = os.path.join(base, "units")
        os.mkdir(units)
        for name, text in UNITS.items():
            with open(os.path.join(units, name), "w", encoding="ascii") as file:
                file.write("[Unit]\nDefaultDependencies=no\n" + text)
        with open(os.path.join(base, "systemd.log"), "wb") as log:
            # --kill-child: whatever ends it ends all.
            self.unshare = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc", "--net", "sh", "-c", BEGIN],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self.join_cgroup,
                env={**os.environ, "UNITS": units, "SYSTEMD": SYSTEMD})
        self.pid = 0
        wait_for(self.is_up, "systemd to be up", 60)

    def directories(self):
        """One in each hierarchy of version 1, or the one of version 2."""
        tops = [os.path.dirname(path) for path in glob.glob("/sys/fs/cgroup/*/tasks")]
        return [os.path.join(top, self.cgroup) for top in tops or ["/sys/fs/cgroup"]]

    def join_cgroup(self):
        for directory in self.directories():
            os.makedirs(directory, exist_ok=True)
            version_1 = os.path.exists(f"{directory}/tasks")
            for path in glob.glob(f"{directory}/cpuset.cpus") + glob.glob(f"{directory}/cpuset.mems") if version_1 else []:
                with open(f"{os.path.dirname(directory)}/{os.path.basename(path)}", encoding="ascii") as file:
                    text = file.read()
                with open(path, "w", encoding="ascii") as file:
                    file.write(text)
            with open(os.path.join(directory, "cgroup.procs"), "w", encoding="ascii") as file:
                file.write("0")

    def is_up(self):
        assert self.unshare.poll() is None, "systemd has ended"
        with open(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children", encoding="ascii") as file:
            self.pid = int(file.read() or "0")
        return self.pid > 0 and subprocess.run(self.enter("systemctl", "is-active", "test.target"), check=False,
                                               capture_output=True).returncode == 0

    def enter(self, *command):
        return ["nsenter", "-t", str(self.pid), "-m", "-p", "-C", "-u", "-i", "-n", *command]

    def run(self, *command):
        """In a scope, as a session's processes are."""
        return subprocess.run(self.enter("systemd-run", "--scope", "--quiet", "--unit=session",
                                         f"--working-directory={os.getcwd()}", *command), check=False)

    def close(self):
        if self.pid > 0:
            os.kill(self.pid, signal.SIGKILL)
        self.unshare.kill()
        self.unshare.wait()
        for directory in self.directories():
            wait_for(lambda path=directory: self.remove(path), f"'{directory}' to be empty", 15)

    @staticmethod
    def remove(top):
        for directory, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                return False
        return True
