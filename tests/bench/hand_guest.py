# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest made by hand: the kernel and the image that katactl's guests have, but QEMU started directly, a script of
busybox as process 1 and no agent. What it takes is the floor of what libkata's guests take."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
import kata_cli  # pylint: disable=wrong-import-position

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
CRUN_ROUNDS = 5
PORT_MIB = 64
TIMEOUT_S = 300
# The root of an initramfs cannot be pivoted, as crun must: what is bound over it can.
INIT = """#!/bench/busybox sh
b=/bench/busybox
$b mkdir -p /bench/root
$b mount --bind / /bench/root
cd /bench/root
$b mount --move . /
exec $b chroot . /bench/busybox sh /bench/work
"""
WORK = """
for applet in $(/bench/busybox --list); do alias $applet="/bench/busybox $applet"; done
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for name in virtio_pci virtio_console virtiofs overlay; do
  list=$(sed -n "s/^module $name//p" /lib/modules/modules.list)
  for module in $list $name; do insmod /lib/modules/$module.ko 2>/dev/null; done
done
# Milliseconds of a command; the clock of the shell has microseconds.
spent() {
  what=$1; shift; begin=$EPOCHREALTIME
  "$@" >/run/out 2>&1 </dev/null || { echo "bench: $what failed: $(tail -n 1 /run/out)"; return; }
  end=$EPOCHREALTIME
  echo "bench: $what $(( (${end%.*} - ${begin%.*}) * 1000 + (1${end#*.} - 1${begin#*.}) / 1000 ))"
}
crun() { /usr/bin/crun --cgroup-manager=cgroupfs "$@"; }
i=0
while [ $i -lt ROUNDS ]; do spent crun_run crun run --bundle /bench/true t; i=$((i + 1)); done
crun run --detach --bundle /bench/sleep s >/dev/null 2>&1 </dev/null
i=0
while [ $i -lt ROUNDS ]; do spent crun_exec crun exec s /bin/true; i=$((i + 1)); done
if [ -e /dev/vport0p1 ]; then
  until [ -n "$(head -n 1 /dev/vport0p1)" ]; do :; done
  dd if=/dev/zero of=/dev/vport0p1 bs=65536 count=COUNT 2>/dev/null
fi
mkdir -p /run/share
if mount -t virtiofs bench /run/share 2>/dev/null; then
  spent untar /bench/busybox tar -xf /run/share/files.tar -C /run/share/out
fi
echo "bench: end 0"
poweroff -f
"""


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def make_bundle(path, *args):
    os.makedirs(f"{path}/rootfs")
    kata_cli.fill_rootfs(f"{path}/rootfs")
    document = {"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "hostname": "box",
                "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": list(args), "env": ["PATH=/bin"],
                            "cwd": "/"},
                "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                           {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                            "options": ["nosuid", "mode=755"]}],
                "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
                                         {"type": "network"}]}}
    write(f"{path}/config.json", json.dumps(document))


def make_image(folder):
    """The guest's image with the script and two bundles behind it: the kernel unpacks one archive after the other."""
    tree = os.path.join(folder, "tree")
    os.makedirs(f"{tree}/bench")
    shutil.copy(shutil.which("busybox"), f"{tree}/bench/busybox")
    write(f"{tree}/bench/init", INIT, 0o755)
    write(f"{tree}/bench/work", WORK.replace("ROUNDS", str(CRUN_ROUNDS)).replace("COUNT", str(PORT_MIB * 16)))
    make_bundle(f"{tree}/bench/true", "/bin/true")
    make_bundle(f"{tree}/bench/sleep", "/bin/sleep", "1000")
    names = subprocess.run(["find", "bench"], cwd=tree, stdout=subprocess.PIPE, check=True).stdout
    more = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=tree, input=names,
                          stdout=subprocess.PIPE, check=True).stdout
    image = os.path.join(folder, "bench.img")
    with open(kata_cli.INITRD, "rb") as old, open(image, "wb") as new:
        shutil.copyfileobj(old, new)
        new.write(b"\0" * (-new.tell() % 512) + more)
    return image


def qemu_command(folder, cmdline, image):
    """As libvirt starts it, as far as it costs time: machine, firmware, port, without what it never uses."""
    return ["/usr/bin/qemu-system-x86_64", "-machine", "q35,usb=off,vmport=off,smm=off", "-accel", "tcg", "-cpu", "max",
            "-m", "256", "-bios", "/usr/share/qemu/qboot.rom", "-display", "none", "-nodefaults", "-no-user-config",
            "-no-hpet", "-kernel", kata_cli.KERNEL, "-initrd", image, "-append", cmdline, "-serial", "stdio",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=a,path={folder}/a.sock,server=on,wait=off",
            "-device", "virtserialport,chardev=a,name=kata.agent.0"]


class Virtiofsd:
    """Serves a folder as the owner's does."""

    def __init__(self, folder, shared):
        self.socket = os.path.join(folder, "fs.sock")
        # pylint: disable=consider-using-with
        self.daemon = subprocess.Popen([VIRTIOFSD, f"--socket-path={self.socket}", "-o", f"source={shared}", "-o",
                                        "cache=auto"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kata_cli.wait_for(lambda: os.path.exists(self.socket), "virtiofsd")

    def options(self):
        return ["-object", "memory-backend-memfd,id=m,size=256M,share=on", "-numa", "node,memdev=m",
                "-chardev", f"socket,id=f,path={self.socket}", "-device",
                "vhost-user-fs-pci,chardev=f,tag=bench,queue-size=1024"]

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait()


def drain_port(path, megabytes):
    """MB/s of what the guest writes to the port once it has been told to."""
    with socket.socket(socket.AF_UNIX) as peer:
        kata_cli.wait_for(lambda: peer.connect_ex(path) == 0, "the port")
        peer.sendall(b"go\n")
        left, begin = megabytes << 20, None
        while left > 0:
            data = peer.recv(1 << 20)
            assert data, "the guest has closed the port"
            begin = begin or time.monotonic()
            left -= len(data)
    return megabytes * 1.048576 / (time.monotonic() - begin)


def run(folder, cmdline, shared):
    """Boots it once; name -> samples in seconds, and "port_mb_s". shared: a folder with files.tar and a folder out."""
    image = make_image(folder)
    daemon = Virtiofsd(folder, shared)
    command = qemu_command(folder, cmdline + " rdinit=/bench/init", image) + daemon.options()
    found = {}
    try:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as qemu:
            try:
                read_console(qemu.stdout, folder, found)
            finally:
                qemu.kill()
    finally:
        daemon.stop()
    return found


def read_console(console, folder, found):
    for line in console:
        match = re.search(r"bench: (\w+) (\d+)$", line.strip())
        if match is None:
            assert "bench:" not in line and "Kernel panic" not in line, line
            continue
        if match[1] == "end":
            return
        found.setdefault(match[1], []).append(int(match[2]) / 1e3)
        if len(found.get("crun_exec", [])) == CRUN_ROUNDS and "port_mb_s" not in found:
            found["port_mb_s"] = [drain_port(f"{folder}/a.sock", PORT_MIB)]
    raise AssertionError("the guest made by hand ended early")
