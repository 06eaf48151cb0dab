#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest's network follows its namespace's while it runs: interfaces that come and go, and what changes on them; and
the commands below "katactl network"."""
import json
import os
import re
import signal
import subprocess

import kata_cli
from network import NetworkTest, require_ip, sh


class HotPlug(NetworkTest):
    """One guest, which starts in a namespace that has nothing."""

    def wait_guest(self, wanted, *command):
        """Until what a command says in the guest has wanted (a regular expression)."""
        said = ""

        def look():
            nonlocal said
            result = self.world.run_attached("exec", "c1", *command)
            said = result.stdout + result.stderr
            return re.search(wanted, said, re.M) is not None

        try:
            kata_cli.wait_for(look, wanted, 60)
        except AssertionError:
            raise AssertionError(f"no '{wanted}' in:\n{said}") from None

    def links(self):
        return re.findall(r"^\d+: ([\w@-]+)[@:]", self.guest("ip", "-o", "link"), re.M)

    def assert_reached(self, address, back=None):
        self.guest("ping", "-c", "1", "-w", "30", address)
        if back:
            self.wires.in_far("busybox", "ping", "-c", "1", "-w", "30", back)

    def network(self, command, document=None, container="c1"):
        if document is None:
            return json.loads(self.ok("network", command, container))
        path = self.world.path("document")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        return self.ok("network", command, container, path)

    def test_follows(self):
        wires = self.wires
        self.start()
        self.assertEqual(self.links(), ["lo"])
        self.comes_late()
        self.changes()
        self.another_owner()
        self.by_hand()
        self.refusals()
        self.goes()
        self.ok("delete", "--force", "c1")
        self.assert_parted()
        self.assertEqual(sorted(link["ifname"] for link in json.loads(wires.pod_ip("-j link"))), ["held0", "held1", "lo"])

    def comes_late(self):
        """As Docker wires its containers, and "podman network connect"."""
        self.wires.veth("eth0", "far0", ("10.77.0.2/24", "10.77.0.1/24"), ("fd77::2/64", "fd77::1/64"), mtu=1400)
        self.wires.pod_ip("route add default via 10.77.0.1")
        self.wait_guest("default via 10.77.0.1 dev eth0", "ip", "route")
        self.assertEqual(self.links(), ["lo", "eth0", "kata-lo"])
        self.assertIn("mtu 1400 ", self.guest("ip", "link", "show", "eth0"))
        self.assert_reached("10.77.0.1", "10.77.0.2")
        self.guest("ping", "-6", "-c", "1", "-w", "30", "fd77::1")
        # Ports of 127.0.0.1 came with it.
        self.ok("exec", "-d", "c1", "httpd", "-f", "-p", "8080", "-h", "/etc")
        self.wait_guest(":8080 ", "netstat", "-tln")
        self.guest("sh", "-c", "echo page > /etc/page")
        self.assertEqual(self.wires.in_pod("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/page"), b"page\n")
        # A second one while the first works.
        self.wires.veth("eth1", "far1", ("10.78.0.2/24", "10.78.0.1/24"))
        self.wait_guest("10.78.0.2/24", "ip", "addr")
        self.assert_reached("10.78.0.1", "10.78.0.2")
        self.assert_reached("10.77.0.1")

    def changes(self):
        pod_ip = self.wires.pod_ip
        # Addresses.
        pod_ip("addr add 10.77.0.7/24 dev eth0")
        self.wait_guest("10.77.0.7/24", "ip", "addr")
        pod_ip("addr del 10.77.0.7/24 dev eth0")
        self.wait_guest(r"\A(?!.*10\.77\.0\.7)", "sh", "-c", "ip -o addr | tr '\\n' ' '")
        self.assert_reached("10.77.0.1", "10.77.0.2")
        # Routes, one with two ways.
        pod_ip("route add 10.99.0.0/16 nexthop via 10.77.0.1 nexthop via 10.78.0.1")
        self.wait_guest("10.99.0.0/16 via 10.78.0.1 dev eth1", "ip", "route")
        self.assertIn("10.99.0.0/16 via 10.77.0.1 dev eth0", self.guest("ip", "route"))
        pod_ip("route del 10.99.0.0/16")
        self.wait_guest(r"\A(?!.*10\.99)", "sh", "-c", "ip route | tr '\\n' ' '")
        # MTU: less, and more than the card was plugged in with.
        for mtu in (1300, 2000):
            self.wires.far_ip(f"link set far1 mtu {mtu}")
            pod_ip(f"link set eth1 mtu {mtu}")
            self.wait_guest(f"mtu {mtu} ", "ip", "link", "show", "eth1")
        self.wait_guest("10.78.0.2/24", "ip", "addr")
        self.guest("ping", "-c", "1", "-w", "30", "-s", "1972", "10.78.0.1")
        # A neighbour, and what is no interface for a guest.
        pod_ip("neigh add 10.78.0.9 lladdr 02:78:00:00:00:09 dev eth1 nud permanent")
        self.wait_guest("02:78:00:00:00:09", "ip", "neigh")
        pod_ip("tuntap add dev tun7 mode tun")
        pod_ip("addr add 10.81.0.2/24 dev tun7")
        # Its name.
        pod_ip("link set eth1 down")
        pod_ip("link set eth1 name net7")
        pod_ip("link set net7 up")
        self.wait_guest("10.78.0.2/24.*net7", "ip", "-o", "addr")
        self.assert_reached("10.78.0.1")
        self.assertEqual(sorted(self.links()), ["eth0", "kata-lo", "lo", "net7"])
        pod_ip("link del tun7")

    def another_owner(self):
        """The next owner knows what was plugged in, and sees what has changed meanwhile."""
        for pid, line in self.world.processes():
            if "containerd-shim-kata-v2" in line:
                os.kill(pid, signal.SIGKILL)
        self.wires.pod_ip("addr add 10.77.0.8/24 dev eth0")
        self.wait_guest("10.77.0.8/24", "ip", "addr")
        self.assert_reached("10.78.0.1", "10.78.0.2")

    def by_hand(self):
        """The commands of Kata Containers 1.x."""
        names = {entry["name"]: entry for entry in self.network("list-ifs")}
        self.assertEqual(names["net7"]["IPAddresses"][0]["address"], "10.78.0.2")
        self.assertEqual(sorted(names), ["eth0", "kata-lo", "lo", "net7"])
        self.network("del-if", {"name": "net7"})
        self.assertNotIn("net7", self.links())
        # It stays away, whatever happens to it.
        self.wires.pod_ip("addr add 10.78.0.5/24 dev net7")
        self.wires.pod_ip("addr add 10.77.0.9/24 dev eth0")
        self.wait_guest("10.77.0.9/24", "ip", "addr")
        self.assertNotIn("net7", self.links())
        # Added again, under another name and with another address.
        self.network("add-if", {"device": "net7", "name": "second", "mtu": 1200,
                                "IPAddresses": [{"family": "v4", "address": "10.78.0.66", "mask": "24"}]})
        line = self.guest("ip", "-o", "-4", "addr", "show", "second")
        self.assertIn("10.78.0.66/24", line)
        self.assertNotIn("10.78.0.5", line)
        self.assertIn("mtu 1200", self.guest("ip", "link", "show", "second"))
        self.assert_reached("10.78.0.1", "10.78.0.66")
        # Routes.
        routes = self.network("list-routes")
        self.assertIn(("10.77.0.1", "eth0"), [(route.get("gateway"), route.get("device")) for route in routes])
        routes.append({"dest": "10.97.0.0/16", "gateway": "10.78.0.1", "device": "second"})
        self.network("update-routes", [route for route in routes if ":" not in route.get("dest", "")])
        self.assertIn("10.97.0.0/16 via 10.78.0.1 dev second", self.guest("ip", "route"))
        # One without an address, which is not connected by itself.
        self.wires.pod_ip("link add held0 type veth peer name held1")
        self.network("add-if", {"device": "held0", "name": "held0",
                                "IPAddresses": [{"address": "10.79.0.2", "mask": "24"}]})
        self.assertIn("10.79.0.2/24", self.guest("ip", "addr", "show", "held0"))

    def refusals(self):
        fails = lambda text, *args: self.fails(text, "network", *args)
        for text, document in (("has no interface 'eth9'", '{"device": "eth9"}'),
                               ("one of 'device', 'name' and 'hwAddr'", "{}"),
                               ("is not a JSON object", "[]"), ("is not a JSON object", "{"),
                               ("has no member 'nonsense'", '{"device": "eth0", "nonsense": 1}'),
                               ("'10.0.0.256' is neither", '{"device": "eth0", "IPAddresses": [{"address": '
                                '"10.0.0.256", "mask": "24"}]}')):
            path = self.world.path("document")
            with open(path, "w", encoding="utf-8") as file:
                file.write(document)
            fails(text, "add-if", "c1", path)
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"name": "eth9"}')
        fails("not connected to an interface 'eth9'", "del-if", "c1", path)
        fails("are not a JSON array", "update-routes", "c1", path)
        fails("No such file", "add-if", "c1", self.world.path("no-such-file"))
        fails("does not exist", "list-ifs", "no-such-container")
        self.assert_reached("10.77.0.1")

    def goes(self):
        self.wires.pod_ip("link del net7")
        self.wait_guest(r"\A(?!.*second)", "sh", "-c", "ip -o link | tr '\\n' ' '")
        # Many at once, and again.
        for _ in range(2):
            for i in range(4):
                self.wires.veth(f"many{i}", f"manyfar{i}", (f"10.9{i}.0.2/24", f"10.9{i}.0.1/24"))
            for i in range(4):
                self.wait_guest(f"10.9{i}.0.2/24", "ip", "addr")
                self.assert_reached(f"10.9{i}.0.1")
            for i in range(4):
                self.wires.pod_ip(f"link del many{i}")
            self.wait_guest(r"\A(?!.*many)", "sh", "-c", "ip -o link | tr '\\n' ' '")
        self.wires.pod_ip("link del eth0")
        self.wait_guest(r"\A(?!.*eth0)", "sh", "-c", "ip -o link | tr '\\n' ' '")


class Refusing(NetworkTest):
    """A guest that takes no card in."""
    settings = [("hypervisor.qemu", "kernel_params", '"acpiphp.disable=1"')]

    def joined(self):
        """The guest may keep a card until it ends; but nothing leads to it."""
        return [one for one in self.wires.left_overs() if not re.fullmatch(r"tap\d_kata", one)]

    def test_refusal(self):
        """The interface stays the namespace's, by itself and by hand, with the reason, within the time of a call."""
        self.start()
        self.wires.veth("eth0", "far0", ("10.77.0.2/24", "10.77.0.1/24"))
        kata_cli.wait_for(lambda: "cannot plug a card in for interface 'eth0': " in self.world.owner_log(), "the reason")
        kata_cli.wait_for(lambda: not self.joined(), "what was joined to be parted")
        # Nor is it tried again before somebody says so.
        self.wires.pod_ip("addr add 10.77.0.3/24 dev eth0")
        self.network_fails("cannot plug a card in for interface 'eth0': ", {"device": "eth0", "name": "eth0"})
        self.assertEqual(len(self.guest("ip", "-o", "link").splitlines()), 1)
        self.assertEqual(self.world.owner_log().count("does not let go of the card"), 2)
        self.assertEqual(self.joined(), [])
        self.wires.in_pod("busybox", "ping", "-c", "1", "-w", "30", "10.77.0.1")
        self.ok("delete", "--force", "c1")
        self.assert_parted()

    def network_fails(self, text, document):
        path = self.world.path("document")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        self.fails(text, "network", "add-if", "c1", path)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests, require_ip)
