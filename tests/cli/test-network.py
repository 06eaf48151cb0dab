#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The interfaces of a network namespace appear in the guest and carry its traffic; nothing of it is left afterwards.

Two namespaces are made for each test: "pod", the container's, and "far", where the other ends of its interfaces are."""
import hashlib
import json
import os
import re
import signal
import subprocess
import xml.etree.ElementTree

import kata_cli
from network import MANY_BYTES, RECEIVER, SENDER, NetworkTest, require_ip, sh

SOCKET_TALK = os.path.join(kata_cli.BUILD, "tests/cli/socket-talk")
# A program for the pod's namespace: it tells of whoever asks it.
SECRETS = """
import select, socket
sockets = []
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        sockets.append(socket.socket(family, kind))
        sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sockets[-1].bind((address, 6000))
        if kind == socket.SOCK_STREAM:
            sockets[-1].listen()
print("listening", flush=True)
while True:
    for ready in select.select(sockets, [], [])[0]:
        if ready.type == socket.SOCK_STREAM:
            peer, address = ready.accept()
            peer.sendall(b"secret\\n")
        else:
            address = ready.recvfrom(100)[1]
            ready.sendto(b"secret\\n", address)
        print(address, flush=True)
"""


class Connections(NetworkTest):
    """One guest with interfaces of each kind."""

    def make_interfaces(self):
        wires = self.wires
        wires.veth("eth0", "far0", ("10.77.0.2/24", "10.77.0.1/24"), ("fd77::2/64", "fd77::1/64"), mtu=1400,
                   mac="02:77:00:00:00:02")
        wires.pod_ip("route add default via 10.77.0.1")
        wires.pod_ip("route add 10.99.0.0/16 via 10.77.0.1 mtu 1300")
        wires.pod_ip("route add 10.98.1.1/32 dev eth0 scope link")
        wires.pod_ip("-6 route add default via fd77::1")
        wires.pod_ip("neigh add 10.77.0.9 lladdr 02:77:00:00:00:09 dev eth0 nud permanent")
        # macvlan and ipvlan sit on one end of a wire whose other end is the peer.
        self.nets = {"eth0": 77, "cable0": 82}
        wires.cable("cable0", "cable1", "10.82.0.2/24", "10.82.0.1/24")
        for kind, mode, net in (("macvlan", "bridge", 78), ("ipvlan", "l2", 79)):
            if not wires.knows(kind):
                continue
            self.nets[f"{kind}0"] = net
            wires.far_ip(f"link add {kind}-low type veth peer name {kind}-far")
            wires.far_ip(f"link add {kind}0 link {kind}-low type {kind} mode {mode}")
            wires.far_ip(f"link set {kind}0 netns {wires.pod}")
            for name in (f"{kind}-low", f"{kind}-far"):
                wires.far_ip(f"link set {name} up")
            wires.far_ip(f"addr add 10.{net}.0.1/24 dev {kind}-far")
            wires.pod_ip(f"addr add 10.{net}.0.2/24 dev {kind}0")
            wires.pod_ip(f"link set {kind}0 up")
        # A tagged network on a wire, and an interface nobody has configured.
        wires.pod_ip("link add idle0 type veth peer name idle1")
        if not wires.knows("vlan id 7"):
            return
        self.nets["tagged"] = 80
        wires.far_ip("link add wire type veth peer name wire-far")
        wires.far_ip("link set wire up")
        wires.far_ip("link set wire-far up")
        wires.far_ip("link add link wire-far name tag-far type vlan id 7")
        wires.far_ip("addr add 10.80.0.1/24 dev tag-far")
        wires.far_ip("link set tag-far up")
        wires.far_ip("link add link wire name tagged type vlan id 7")
        wires.far_ip(f"link set tagged netns {wires.pod}")
        wires.pod_ip("addr add 10.80.0.2/24 dev tagged")
        wires.pod_ip("link set tagged up")

    def check_settings(self):
        pod = {link["ifname"]: link for link in json.loads(self.wires.pod_ip("-j addr"))}
        links = self.guest("ip", "-o", "link")
        self.assertEqual(re.findall(r"^\d+: ([\w@-]+)[@:]", links, re.M), ["lo", *sorted(self.nets), "kata-lo"], links)
        for name in self.nets:
            line = next(line for line in links.splitlines() if f" {name}:" in line)
            self.assertIn(pod[name]["address"], line)
            self.assertIn(f"mtu {pod[name]['mtu']} ", line)
            self.assertIn("UP", line)
        addresses = self.guest("ip", "-o", "addr")
        for text in ("lo    inet 127.0.0.1/8", "eth0    inet6 fd77::2/64",
                     *(f"{name}    inet 10.{net}.0.2/24" for name, net in self.nets.items())):
            self.assertIn(text, addresses)
        routes = self.guest("ip", "route").splitlines()
        self.assertTrue(any(line.startswith("default via 10.77.0.1 dev eth0") for line in routes), routes)
        self.assertTrue(any(line.startswith("10.99.0.0/16 via 10.77.0.1 dev eth0") for line in routes), routes)
        self.assertTrue(any(line.startswith("10.98.1.1 dev eth0 scope link") for line in routes), routes)
        self.assertIn("default via fd77::1 dev eth0", self.guest("ip", "-6", "route"))
        self.assertIn("02:77:00:00:00:09", self.guest("ip", "neigh"))

    def check_pings(self):
        for net in self.nets.values():
            self.guest("ping", "-c", "2", "-w", "30", f"10.{net}.0.1")
            self.wires.in_far("busybox", "ping", "-c", "2", "-w", "30", f"10.{net}.0.2")
        self.guest("ping", "-6", "-c", "2", "-w", "30", "fd77::1")
        self.wires.in_far("busybox", "ping", "-6", "-c", "2", "-w", "30", "fd77::2")
        # A full frame passes; the namespace's MTU is the guest's.
        self.guest("ping", "-c", "1", "-w", "30", "-s", "1372", "10.77.0.1")

    def send_into(self, address):
        """Many bytes over TCP into the guest, which answers with their hash."""
        data = os.urandom(1 << 20) * (MANY_BYTES >> 20)
        self.ok("exec", "-d", "c1", "nc", "-l", "-p", "5000", "-e", "sha256sum")
        kata_cli.wait_for(lambda: ":5000 " in self.guest("netstat", "-tln"), "the guest to listen")
        answer = self.wires.in_far("python3", "-c", SENDER, address, stdin=data).decode()
        self.assertEqual(answer.split(), [hashlib.sha256(data).hexdigest(), "-"])

    def send_out(self, address):
        """Many bytes over TCP out of the guest."""
        self.guest("sh", "-c", f"head -c {MANY_BYTES} /dev/urandom > /tmp/data")
        with subprocess.Popen(["ip", "netns", "exec", self.wires.far, "python3", "-c", RECEIVER, address],
                              stdout=subprocess.PIPE) as receiver:
            self.assertEqual(receiver.stdout.readline(), b"listening\n")
            self.guest("sh", "-c", f"nc {address} 5000 < /tmp/data")
            out = receiver.stdout.read().decode().strip()
        self.assertIn(out, self.guest("sha256sum", "/tmp/data"))
        self.assertEqual(len(out), 64)

    def listen(self, address):
        self.ok("exec", "-d", "c1", "httpd", "-f", "-p", f"{address}:8080", "-h", "/tmp")
        kata_cli.wait_for(lambda: ":8080 " in self.guest("netstat", "-tln"), "the guest to listen")

    def fetch(self, address):
        return self.wires.in_pod("busybox", "wget", "-q", "-O", "-", f"http://{address}:8080/page")

    def check_localhost(self):
        """Ports of the namespace's 127.0.0.1 and ::1, as a port forwarder sees them, lead to the guest's."""
        text = os.urandom(1 << 20).hex().encode()
        with open(os.path.join(self.world.state("c1")["rootfs"], "tmp/page"), "wb") as file:
            file.write(text)
        for address, own in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::1]", "[::1]"), ("[::]", "[::1]")):
            self.listen(address)
            for _ in range(2):
                self.assertEqual(hashlib.sha256(self.fetch(own)).digest(), hashlib.sha256(text).digest())
            if address == "[::]":
                self.assertEqual(self.fetch("127.0.0.1"), text)
            self.guest("killall", "httpd")
        # Nobody listens: refused, and nothing but those of this address goes to the guest.
        for address in ("127.0.0.1", "127.0.0.11", "::1"):
            with self.assertRaisesRegex(AssertionError, "refused"):
                self.wires.in_pod("python3", "-c", SENDER, address, stdin=b"")
        for address in ("127.0.0.1", "::1"):
            self.wires.in_pod("busybox", "ping", "-c", "1", "-w", "30", address)
            self.ok("exec", "-d", "c1", "socket-talk", "answer", address, "7000")
            kata_cli.wait_for(lambda: ":7000 " in self.guest("netstat", "-uln"), "the guest to listen")
            self.assertEqual(self.wires.in_pod(SOCKET_TALK, "udp", address, address, "7000", "60000"), b"answer\n")
        # From outside the guest's 127.0.0.1 stays out of reach.
        self.assertEqual(self.guest("cat", "/proc/sys/net/ipv4/conf/eth0/route_localnet").strip(), "0")

    def check_no_way_in(self):
        """What listens at the namespace's own 127.0.0.1 and ::1 is not for the guest."""
        secrets = subprocess.Popen(["ip", "netns", "exec", self.wires.pod, "python3", "-c", SECRETS], stdout=subprocess.PIPE)
        try:
            self.assertEqual(secrets.stdout.readline(), b"listening\n")
            # From the addresses, and to those, that the guest answers with and to.
            for own, peer in (("127.0.0.1", "169.254.213.2"), ("::1", "fd6b:6174:6100::401e:2")):
                for kind, step in (("tcp", "send"), ("udp", "receive")):
                    self.assertRegex(self.guest("socket-talk", kind, own, peer, "6000"), f"^nothing, by {step}: ")
        finally:
            secrets.kill()
            said = secrets.communicate()[0]
        self.assertEqual(said, b"")

    def counters(self):
        """Of each of the guest's interfaces, by name."""
        return {entry["Name"]: entry for entry in json.loads(self.ok("events", "--stats", "c1"))["data"]["network_interfaces"]}

    def test_connections(self):
        self.make_interfaces()
        self.start()
        kata_cli.add_program(self.world.state("c1")["rootfs"], SOCKET_TALK, self.world.env)
        # The host's process for the container, and the machine, are in the container's namespace.
        state = self.world.state("c1")
        pod = os.stat(f"/run/netns/{self.wires.pod}").st_ino
        self.assertEqual(os.stat(f"/proc/{state['pid']}/ns/net").st_ino, pod)
        self.assertEqual([os.stat(f"/proc/{pid}/ns/net").st_ino for pid in self.world.machines()], [pod])
        self.check_settings()
        self.check_pings()
        self.check_localhost()
        self.check_no_way_in()
        before = self.counters()
        self.assertEqual(set(before) - {"kata-lo"}, set(self.nets))
        for net in self.nets.values():
            self.send_into(f"10.{net}.0.2")
            self.send_out(f"10.{net}.0.1")
        for name, counters in self.counters().items():
            for way in ("RxBytes", "TxBytes") if name in self.nets else ():
                self.assertGreater(counters[way] - before[name][way], MANY_BYTES, (name, way))
            self.assertEqual((counters["RxErrors"], counters["TxErrors"]), (0, 0), name)
        # Another root's containers cannot join.
        self.fails("another virtual machine is connected to this network namespace", "--root", self.world.path("r2"),
                   "run", "--bundle", self.bundle("true", path=f"/run/netns/{self.wires.pod}"), "c2")
        self.guest("ping", "-c", "1", "-w", "30", "10.77.0.1")
        self.ok("delete", "--force", "c1")
        self.assert_parted()


class Limits(NetworkTest):
    """The settings that limit a guest's traffic, and those of its cards' queues."""
    settings = [("hypervisor.qemu", "default_vcpus", "2"), ("hypervisor.qemu", "network_queues", "2"),
                ("hypervisor.qemu", "disable_vhost_net", "true"), ("hypervisor.qemu", "rx_rate_limiter_max_rate", "80000000"),
                ("hypervisor.qemu", "tx_rate_limiter_max_rate", "40000000")]

    def cards(self, document):
        return [(card.find("target").get("dev"), card.find("mac").get("address"), card.find("mtu").get("size"))
                for card in xml.etree.ElementTree.fromstring(document).iterfind("devices/interface")]

    def check_queues(self, tap, n_cards):
        self.assertIn("multi_queue numqueues 2 ", self.wires.in_pod("ip", "-d", "link", "show", tap).decode())
        interrupts = self.guest("cat", "/proc/interrupts")
        for queue in range(2):
            self.assertEqual(len(re.findall(rf"virtio\d+-input\.{queue}$", interrupts, re.M)), n_cards, interrupts)

    def test_limits(self):
        self.wires.veth("eth0", "far0", ("10.77.0.2/24", "10.77.0.1/24"))
        foretold = self.cards(self.ok("xml", "--bundle", self.bundle("true", path=f"/run/netns/{self.wires.pod}")))
        self.assertEqual([tap for tap, _, _ in foretold], ["tap0_kata", "tap_kata_lo"])
        self.start()
        self.assertEqual(self.cards(self.ok("xml", "c1")), foretold)
        tc = self.wires.in_pod("tc", "qdisc").decode()
        self.assertRegex(tc, r"qdisc tbf \S+ dev tap0_kata root .*rate 80Mbit")
        self.assertRegex(tc, r"qdisc tbf \S+ dev eth0 root .*rate 40Mbit")
        # A queue for each CPU, of the card and of that for 127.0.0.1.
        self.check_queues("tap0_kata", 2)
        # Traffic passes both of them.
        self.guest("ping", "-c", "2", "-w", "30", "-s", "1400", "10.77.0.1")
        sent = self.wires.in_pod("tc", "-s", "qdisc", "show", "dev", "eth0").decode()
        self.assertGreater(int(re.search(r"Sent (\d+) bytes", sent).group(1)), 2800)
        # One that comes later has them as well.
        self.wires.veth("eth1", "far1", ("10.78.0.2/24", "10.78.0.1/24"))
        kata_cli.wait_for(lambda: "10.78.0.2" in self.guest("ip", "addr"), "the second interface", 60)
        self.assertRegex(self.wires.in_pod("tc", "qdisc").decode(), r"qdisc tbf \S+ dev eth1 root .*rate 40Mbit")
        self.check_queues("tap1_kata", 3)
        self.guest("ping", "-c", "2", "-w", "30", "10.78.0.1")
        self.ok("delete", "--force", "c1")
        self.assert_parted()
        self.assertNotIn("tbf", self.wires.in_pod("tc", "qdisc").decode())


class WithoutLocalhost(NetworkTest):
    """The setting that leaves the loopback device of the namespace alone."""
    settings = [("runtime", "forward_localhost", "false")]

    def test_off(self):
        self.wires.veth("eth0", "far0", ("10.77.0.2/24", "10.77.0.1/24"))
        before = self.wires.in_pod("tc", "qdisc", "show", "dev", "lo")
        self.start()
        # One that is plugged in later does not bring it either.
        self.wires.veth("eth1", "far1", ("10.78.0.2/24", "10.78.0.1/24"))
        kata_cli.wait_for(lambda: "10.78.0.2" in self.guest("ip", "addr"), "the second interface")
        self.guest("ping", "-c", "1", "-w", "30", "10.77.0.1")
        self.assertEqual(re.findall(r"^\d+: (\w+)", self.guest("ip", "-o", "link"), re.M), ["lo", "eth0", "eth1"])
        self.assertEqual(self.wires.in_pod("tc", "qdisc", "show", "dev", "lo"), before)
        self.ok("exec", "-d", "c1", "httpd", "-f", "-p", "8080", "-h", "/tmp")
        kata_cli.wait_for(lambda: ":8080 " in self.guest("netstat", "-tln"), "the guest to listen")
        with self.assertRaisesRegex(AssertionError, "refused"):
            self.wires.in_pod("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/")
        self.ok("delete", "--force", "c1")
        self.assert_parted()


class Ends(NetworkTest):
    """However it ends, the namespace is as it was."""

    def setUp(self):
        super().setUp()
        self.wires.veth("eth0", "far0", ("10.77.0.2/24", "10.77.0.1/24"))

    def find(self, word):
        return [pid for pid, line in self.world.processes() if word in line]

    def test_owner_killed_then_adopted(self):
        self.start()
        self.guest("ping", "-c", "1", "-w", "30", "10.77.0.1")
        for pid in self.find("containerd-shim-kata-v2"):
            os.kill(pid, signal.SIGKILL)
        # The next owner goes on with the network, and takes it down in the end.
        self.guest("ping", "-c", "1", "-w", "30", "10.77.0.1")
        self.assertIn("tap0_kata", self.ok("xml", "c1"))
        self.assertTrue(self.wires.left_overs())
        self.ok("delete", "--force", "c1")
        self.assert_parted()

    def test_everything_killed(self):
        self.start()
        for word in ("containerd-shim-kata-v2", "qemu-system"):
            for pid in self.find(word):
                os.kill(pid, signal.SIGKILL)
        self.ok("delete", "--force", "c1")
        self.assert_parted()
        # What an owner left behind does not keep the next one from it.
        self.wires.in_pod("tc", "qdisc", "add", "dev", "eth0", "ingress")
        self.start(container="c3")
        self.guest("ping", "-c", "1", "-w", "30", "10.77.0.1", container="c3")
        # Its name goes while it runs: the guest keeps its network, as a container does.
        sh("ip", "netns", "del", self.wires.pod)
        self.guest("ping", "-c", "1", "-w", "30", "10.77.0.1", container="c3")
        self.ok("delete", "--force", "c3")

    def test_failed_start(self):
        # What the loopback device has stays as it is, somebody else's discipline as well.
        names = [f"/proc/sys/net/ipv4/conf/lo/{name}" for name in ("route_localnet", "accept_local")]
        wires = self.wires
        wires.in_pod("tc", "qdisc", "add", "dev", "lo", "clsact")
        wires.in_pod("tc", "filter", "add", "dev", "lo", "egress", "protocol", "ip", "u32", "match", "u32", "0", "0",
                     "classid", "1:1")
        wires.in_pod("sh", "-c", f"echo 1 > {names[0]}; echo 1 > {names[1]}")
        bundle = self.bundle("/no/such/program", path=f"/run/netns/{wires.pod}")
        self.fails("/no/such/program", "run", "-d", "--bundle", bundle, "c1")
        kata_cli.wait_for(lambda: len(wires.left_overs()) <= 3, "taps and disciplines to go", 15)
        self.assertEqual(wires.in_pod("cat", *names), b"1\n1\n")
        filters = wires.in_pod("tc", "filter", "show", "dev", "lo", "egress").decode()
        self.assertIn("u32", filters)
        self.assertNotIn("bpf", filters)
        wires.in_pod("tc", "qdisc", "del", "dev", "lo", "clsact")
        wires.in_pod("sh", "-c", f"echo 0 > {names[0]}; echo 0 > {names[1]}")
        self.assert_parted()
        self.wires.pod_ip("tuntap add dev tun7 mode tun")
        self.wires.pod_ip("addr add 10.81.0.2/24 dev tun7")
        bundle = self.bundle("true", path=f"/run/netns/{self.wires.pod}")
        self.fails("'tun7' of kind tun: it carries no Ethernet frames", "run", "-d", "--bundle", bundle, "c1")
        self.assert_parted()


class Choices(kata_cli.CliTest):
    """Where the namespace comes from; one guest at most."""

    def bundle(self, change):
        return self.world.bundle("sh", "-c", "ip -o link; ping -c 1 127.0.0.1", change=change)

    def test_one_of_its_own(self):
        bundle = self.world.bundle("sleep", "100000")
        self.ok("run", "-d", "--bundle", bundle, "c1")
        pid = self.world.state("c1")["pid"]
        mine, own = (os.stat(f"/proc/{pid}/ns/net").st_ino for pid in ("self", pid))
        self.assertNotEqual(mine, own)
        links = json.loads(sh("nsenter", "--net", f"--target={pid}", "ip", "-j", "link"))
        self.assertEqual([(link["ifname"], "UP" in link["flags"]) for link in links], [("lo", True)])
        self.assertEqual(re.findall(r"^\d+: (\w+)", self.ok("exec", "c1", "ip", "-o", "link"), re.M), ["lo"])
        self.ok("exec", "-d", "--pid-file", self.world.path("pid"), "c1", "sleep", "100000")
        with open(self.world.path("pid"), encoding="ascii") as file:
            self.assertEqual(os.stat(f"/proc/{file.read()}/ns/net").st_ino, own)
        self.ok("delete", "--force", "c1")

    def test_refusals(self):
        def without(document):
            document["linux"]["namespaces"] = [entry for entry in document["linux"]["namespaces"]
                                               if entry["type"] != "network"]

        def at(path):
            def change(document):
                without(document)
                document["linux"]["namespaces"].append({"type": "network", "path": path})
            return change

        run = ("run", "--bundle")
        self.fails("cannot share the host's network", *run, self.bundle(without), "c1")
        self.fails("cannot share the host's network", *run, self.bundle(at("/proc/self/ns/net")), "c1")
        self.fails("'/run/netns/kata-no-such': No such file", *run, self.bundle(at("/run/netns/kata-no-such")), "c1")
        self.fails("'/proc/self/ns/mnt'", *run, self.bundle(at("/proc/self/ns/mnt")), "c1")
        self.fails("'/etc/passwd'", *run, self.bundle(at("/etc/passwd")), "c1")


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests, require_ip)
