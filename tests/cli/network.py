# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of networks share: two namespaces, "pod", the container's, and "far", where the other ends of its
interfaces are."""
import json
import os
import re
import shutil
import subprocess

import kata_cli

MANY_BYTES = 12 << 20
TRANSFER_SECONDS = 120
# Programs for the far namespace.
SENDER = """
import socket, sys
with socket.create_connection((sys.argv[1], 5000), 60) as peer:
    peer.sendall(sys.stdin.buffer.read())
    peer.shutdown(socket.SHUT_WR)
    print(peer.makefile().read())
"""
RECEIVER = """
import hashlib, socket, sys
with socket.create_server((sys.argv[1], 5000)) as server:
    print("listening", flush=True)
    peer = server.accept()[0]
    hash = hashlib.sha256()
    while data := peer.recv(1 << 16):
        hash.update(data)
    print(hash.hexdigest())
"""


# A wire in a process: what comes out of one namespace's tap goes into the other's.
CABLE = """
import ctypes, fcntl, os, select, struct, sys
taps = []
for netns, name in ((sys.argv[1], sys.argv[2]), (sys.argv[3], sys.argv[4])):
    with open(netns) as file:
        assert ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000) == 0
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH14x", name.encode(), 0x1002))  # TUNSETIFF: IFF_TAP, IFF_NO_PI
    taps.append(tap)
print("ready", flush=True)
while True:
    for tap in select.select(taps, [], [])[0]:
        frame = os.read(tap, 65536)
        try:
            os.write(taps[1 - taps.index(tap)], frame)
        except OSError:  # the other end is down
            pass
"""


def sh(*command, check=True, stdin=None):
    result = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=TRANSFER_SECONDS)
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {result.stderr.decode(errors='replace')}")
    return result.stdout


class Wires:
    """The two namespaces, by names of this test's own."""

    def __init__(self):
        self.process = None
        self.pod, self.far = f"kata-{os.getpid()}-pod", f"kata-{os.getpid()}-far"
        for name in (self.pod, self.far):
            sh("ip", "netns", "add", name)
            sh("ip", "-n", name, "link", "set", "lo", "up")

    def pod_ip(self, line, check=True):
        return sh("ip", "-n", self.pod, *line.split(), check=check).decode()

    def far_ip(self, line):
        return sh("ip", "-n", self.far, *line.split()).decode()

    def in_pod(self, *command, **options):
        return sh("ip", "netns", "exec", self.pod, *command, **options)

    def in_far(self, *command, **options):
        return sh("ip", "netns", "exec", self.far, *command, **options)

    def veth(self, name, far_name, *addresses, mtu=1500, mac=None):
        self.far_ip(f"link add {far_name} mtu {mtu} type veth peer name {name} netns {self.pod} mtu {mtu}")
        if mac:
            self.pod_ip(f"link set {name} address {mac}")
        for address, far_address in addresses:
            nodad = " nodad" if ":" in address else ""
            self.pod_ip(f"addr add {address} dev {name}{nodad}")
            self.far_ip(f"addr add {far_address} dev {far_name}{nodad}")
        self.far_ip(f"link set {far_name} up")
        self.pod_ip(f"link set {name} up")

    def cable(self, name, far_name, address, far_address):
        """Two taps, and a process between them."""
        self.process = subprocess.Popen(["python3", "-c", CABLE, f"/run/netns/{self.pod}", name,
                                         f"/run/netns/{self.far}", far_name], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"
        self.pod_ip(f"addr add {address} dev {name}")
        self.far_ip(f"addr add {far_address} dev {far_name}")
        self.far_ip(f"link set {far_name} up")
        self.pod_ip(f"link set {name} up")

    def knows(self, kind):
        """Whether the kernel does."""
        try:
            self.far_ip("link add trial-low type veth peer name trial-far")
            self.far_ip(f"link add trial0 link trial-low type {kind}")
            return True
        except AssertionError:
            print(f"this kernel has no {kind}: not tried")
            return False
        finally:
            sh("ip", "-n", self.far, "link", "del", "trial-low", check=False)

    def left_overs(self):
        """What of ours is in the pod's namespace."""
        links = [link["ifname"] for link in json.loads(self.pod_ip("-j link")) if "_kata" in link["ifname"]]
        links += [link["ifname"] for link in json.loads(self.pod_ip("-j link")) if "ALLMULTI" in link["flags"]]
        disciplines = [line for line in self.in_pod("tc", "qdisc").decode().splitlines() if re.search("ingress|clsact", line)]
        for name in ("route_localnet", "accept_local"):
            if self.in_pod("cat", f"/proc/sys/net/ipv4/conf/lo/{name}") != b"0\n":
                links.append(name)
        return links + disciplines

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        for name in (self.pod, self.far):
            sh("ip", "netns", "del", name, check=False)


class NetworkTest(kata_cli.CliTest):
    def setUp(self):
        super().setUp()
        self.wires = Wires()
        self.addCleanup(self.wires.close)

    def bundle(self, *args, path="", change=None):
        def with_network(document):
            capabilities = ["CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE"]
            document["process"]["capabilities"] = {name: capabilities for name in
                                                   ("bounding", "effective", "permitted", "inheritable")}
            for entry in document["linux"]["namespaces"]:
                if entry["type"] == "network" and path:
                    entry["path"] = path
            if change:
                change(document)

        return self.world.bundle(*args, change=with_network)

    def start(self, *args, container="c1"):
        bundle = self.bundle(*(args or ("sleep", "100000")), path=f"/run/netns/{self.wires.pod}")
        self.ok("run", "-d", "--bundle", bundle, container)

    def guest(self, *command, container="c1"):
        return self.ok("exec", container, *command)

    def assert_parted(self):
        kata_cli.wait_for(lambda: not self.wires.left_overs(), "taps and disciplines to go", 15)


def require_ip():
    for program in ("ip", "tc", "nsenter"):
        if shutil.which(program) is None:
            kata_cli.skip(f"'{program}' is not installed (iproute2, util-linux)")
