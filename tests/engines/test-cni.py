#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Debian's CNI plugins make of a network namespace, and `ctr run --cni` with both of containerd's ways to guests.
Everything is in a network namespace that stands for the host's."""
import json
import os
import re
import subprocess
import unittest

import engines
from containerd import KATA, Containerd
from engines import EngineWorld, wait_for

PLUGINS = "/usr/lib/cni"


class Host:
    """The namespace that stands for the host's."""

    def __init__(self, test):
        self.name = f"kata-cni-{os.getpid()}"
        test.addCleanup(subprocess.run, ["ip", "netns", "del", self.name], check=False)
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.ip("link set lo up")
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    def run(self, *command, check=True, **options):
        options.setdefault("timeout", 60)
        done = subprocess.run(["ip", "netns", "exec", self.name, *command], capture_output=True, text=True, check=False,
                              **options)
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def ip(self, line):
        return self.run("ip", *line.split())

    def fetch(self, address):
        return self.run("busybox", "wget", "-q", "-O", "-", f"http://{address}", check=False)


def ranges(test, *subnets, **more):
    return {"type": "host-local", "dataDir": test.world.path("cni-data"),
            "ranges": [[{"subnet": subnet}] for subnet in subnets], **more}


class Kinds(engines.EngineTest):
    """One guest with an interface of each kind there is."""

    def setUp(self):
        super().setUp()
        self.host = Host(self)
        self.pod = f"kata-cni-{os.getpid()}-pod"
        self.addCleanup(subprocess.run, ["ip", "netns", "del", self.pod], check=False)
        subprocess.run(["ip", "netns", "add", self.pod], check=True)
        subprocess.run(["ip", "-n", self.pod, "link", "set", "lo", "up"], check=True)

    def plugin(self, command, ifname, settings, previous):
        environment = dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=self.pod, CNI_IFNAME=ifname,
                           CNI_NETNS=f"/run/netns/{self.pod}", CNI_PATH=PLUGINS)
        document = dict(settings, cniVersion="0.4.0", name=f"kata-{ifname}")
        if previous:
            document["prevResult"] = previous
        return self.host.run(os.path.join(PLUGINS, settings["type"]), input=json.dumps(document), env=environment)

    def add(self, ifname, *chain):
        result = None
        for settings in chain:
            result = json.loads(self.plugin("ADD", ifname, settings, result))
        self.chains.append((ifname, chain, result))

    def add_all(self):
        self.chains = []
        routes = [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}, {"dst": "10.200.0.0/16", "gw": "10.66.0.1"}]
        self.add("eth0",
                 {"type": "bridge", "bridge": "kata-br0", "isGateway": True, "mtu": 1400,
                  "ipam": ranges(self, "10.66.0.0/24", "fd66::/64", routes=routes)},
                 {"type": "bandwidth", "ingressRate": 800000000, "ingressBurst": 8000000, "egressRate": 800000000,
                  "egressBurst": 8000000},
                 {"type": "portmap", "snat": True,
                  "runtimeConfig": {"portMappings": [{"hostPort": 8081, "containerPort": 80, "protocol": "tcp"}]}})
        self.add("net1", {"type": "ptp", "ipam": ranges(self, "10.67.0.0/24", routes=[{"dst": "10.201.0.0/16"}])})
        self.host.ip("link add wire0 type veth peer name wire1")
        self.host.ip("addr add 10.68.0.1/24 dev wire1")
        self.host.ip("link set wire0 up")
        self.host.ip("link set wire1 up")
        self.add("net2", {"type": "macvlan", "master": "wire0", "mode": "bridge",
                          "ipam": ranges(self, "10.68.0.0/24", rangeStart="10.68.0.9")})

    def test_kinds(self):
        self.add_all()
        disciplines = self.host.run("tc", "qdisc")
        self.assertIn("tbf", disciplines)

        def with_network(document):
            for entry in document["linux"]["namespaces"]:
                if entry["type"] == "network":
                    entry["path"] = f"/run/netns/{self.pod}"
            document["process"]["capabilities"] = {name: ["CAP_NET_RAW", "CAP_NET_BIND_SERVICE"] for name in
                                                   ("bounding", "effective", "permitted")}

        bundle = self.world.bundle("sh", "-c", "echo page >/tmp/page; exec httpd -f -p 80 -h /tmp", change=with_network)
        self.ok("run", "-d", "--bundle", bundle, "c1")
        addresses = self.ok("exec", "c1", "ip", "-o", "addr")
        for ifname, _, result in self.chains:
            for address in result["ips"]:
                self.assertRegex(addresses, rf"{ifname} +inet6? {re.escape(address['address'])}")
        routes = self.ok("exec", "c1", "ip", "route")
        for line in ("default via 10.66.0.1 dev eth0", "10.200.0.0/16 via 10.66.0.1 dev eth0",
                     "10.201.0.0/16 via 10.67.0.1 dev net1"):
            self.assertIn(line, routes)
        self.assertIn("default via fd66::1 dev eth0", self.ok("exec", "c1", "ip", "-6", "route"))
        self.assertIn("mtu 1400 ", self.ok("exec", "c1", "ip", "link", "show", "eth0"))
        for address in ("10.66.0.1", "10.67.0.1", "10.68.0.1"):
            self.ok("exec", "c1", "ping", "-c", "1", "-w", "30", address)
        self.ok("exec", "c1", "ping", "-6", "-c", "1", "-w", "30", "fd66::1")
        eth0 = self.chains[0][2]["ips"][0]["address"].split("/")[0]
        wait_for(lambda: self.host.fetch(f"{eth0}/page") == "page\n", "the page", 60)
        self.assertEqual(self.host.fetch("10.66.0.1:8081/page"), "page\n")  # portmap
        self.assertEqual(self.host.run("tc", "qdisc"), disciplines)  # bandwidth's, on the host's side
        for ifname, chain, result in reversed(self.chains):
            for settings in reversed(chain):
                self.plugin("DEL", ifname, settings, result)
        wait_for(lambda: "eth0" not in self.ok("exec", "c1", "ip", "link"), "the interfaces to go")
        self.ok("delete", "--force", "c1")


class Ctr(unittest.TestCase):
    """ctr wires a container when it has been created: its interface comes while the guest runs."""

    def setUp(self):
        self.host = Host(self)
        self.world = EngineWorld()
        self.addCleanup(self.world.close)
        self.daemon = Containerd(self.world)
        self.addCleanup(self.daemon.stop)
        self.addCleanup(self.daemon.remove_all)
        self.daemon.import_image()
        os.mkdir(self.world.path("net.d"))
        with open(self.world.path("net.d/10-kata.conflist"), "w", encoding="utf-8") as file:
            json.dump({"cniVersion": "0.4.0", "name": "kata-ctr", "plugins": [
                {"type": "bridge", "bridge": "kata-br1", "isGateway": True,
                 "ipam": ranges(self, "10.69.0.0/24", "fd69::/64", routes=[{"dst": "0.0.0.0/0"}, {"dst": "::/0"}])}]}, file)

    def run_with_cni(self, *args):
        """ctr sees this test's configuration, and makes networks in this test's namespace."""
        script = 'mount --bind "$0" /etc/cni/net.d && exec "$@"'
        command = ["nsenter", f"--net=/run/netns/{self.host.name}", "unshare", "--mount", "sh", "-c", script,
                   self.world.path("net.d"), *self.daemon.command("run", "--cni", *args)]
        done = self.world.engine(*command)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.daemon.last_words())
        return done.stdout

    def try_runtime(self, *options):
        server = "echo page >/tmp/page; exec httpd -f -p 80 -h /tmp"
        self.run_with_cni("-d", *options, engines.IMAGE, "web", "/bin/sh", "-c", server)
        wait = "until ip -4 addr show eth0 2>/dev/null | grep -q inet; do sleep 0.1; done; "
        show = self.daemon.ok("task", "exec", "--exec-id", "e1", "web", "/bin/sh", "-c", wait + "ip -o addr show eth0; ip route")
        address = re.search(r"inet (10\.69\.0\.\d+)/24", show).group(1)
        self.assertIn("inet6 fd69::", show)
        wait_for(lambda: self.host.fetch(f"{address}/page") == "page\n", "the page", 60)
        # Another guest, and the host's side.
        said = self.run_with_cni("--rm", *options, engines.IMAGE, "other", "/bin/sh", "-c",
                                 wait + f"until wget -q -O - http://{address}/page; do sleep 0.1; done; ping -c 1 10.69.0.1")
        self.assertRegex(said, "^page\n.*10.69.0.1")
        self.daemon.remove_all()
        self.daemon.assert_nothing_left()

    def test_kata(self):
        self.try_runtime("--runtime", KATA)

    def test_katactl(self):
        self.try_runtime("--runc-binary", self.world.runtime("kata"))


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("containerd", "ctr", "umoci", "ip", "tc", "iptables", "nsenter",
                                                  f"{PLUGINS}/bridge"))
