#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Podman's networks and pods, in a network namespace that stands for the host's."""
import json
import os
import subprocess
import unittest

import engines
from engines import IMAGE, EngineWorld, Podman, wait_for

KUBE = """\
apiVersion: v1
kind: Pod
metadata:
  name: kube
spec:
  containers:
  - name: one
    image: localhost/box:1
    command: ["/bin/sh", "-c", "echo from kube >/tmp/page; exec /bin/busybox httpd -f -p 81 -h /tmp"]
  - name: two
    image: localhost/box:1
    command: ["/bin/sleep", "1000"]
"""


class Networks(unittest.TestCase):
    def setUp(self):
        self.network = f"kata-engines-{os.getpid()}"
        self.addCleanup(subprocess.run, ["ip", "netns", "del", self.network], check=False)
        subprocess.run(["ip", "netns", "add", self.network], check=True)
        subprocess.run(["ip", "-n", self.network, "link", "set", "lo", "up"], check=True)
        self.world = EngineWorld()
        self.addCleanup(self.world.close)
        self.podman = Podman(self.world, self.network)
        self.addCleanup(self.remove_all)

    def remove_all(self):
        self.podman.run("pod", "rm", "-af")
        self.podman.run("rm", "-aft", "0")

    def fetch(self, address):
        """As a program of the host's network gets it."""
        command = [*self.podman.enter, "busybox", "wget", "-q", "-O", "-", f"http://{address}"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout

    def inside(self, container, script):
        return self.podman.ok("exec", container, "sh", "-c", script)

    def test_bridge_and_published_port(self):
        podman = self.podman
        podman.ok("run", "-d", "--name", "web", "-p", "8080:80", IMAGE, "sh", "-c",
                  "echo page >/tmp/page; exec httpd -f -p 80 -h /tmp")
        address = podman.ok("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "web")
        self.assertIn(f"inet {address}/", self.inside("web", "ip addr show eth0"))
        wait_for(lambda: self.fetch(f"{address}/page") == "page\n", "the page by the container's address", 60)
        self.assertEqual(self.fetch("127.0.0.1:8080/page"), "page\n")
        self.assertEqual(podman.ok("port", "web"), "80/tcp -> 0.0.0.0:8080")
        # Another guest on the same bridge, and a container in the same guest.
        said = podman.ok("run", "--rm", IMAGE, "sh", "-c", f"wget -q -O - http://{address}/page; ip route | head -1")
        self.assertRegex(said, "^page\ndefault via ")
        said = podman.ok("run", "--rm", "--network", "container:web", IMAGE, "wget", "-q", "-O", "-", "http://127.0.0.1/page")
        self.assertEqual(said, "page")
        podman.ok("rm", "-ft", "0", "web")
        self.world.assert_nothing_left()

    def test_networks_of_ones_own(self):
        """Two kinds of IP, one more network while it runs, and macvlan."""
        podman = self.podman
        podman.ok("network", "create", "--ipv6", "--subnet", "10.56.0.0/24", "--subnet", "fd56::/64", "six")
        podman.ok("network", "create", "--subnet", "10.57.0.0/24", "later")
        podman.ok("run", "-d", "--name", "web", "--network", "six", IMAGE, "sleep", "1000")
        self.inside("web", "ping -6 -c 1 -w 60 fd56::1")
        podman.ok("network", "connect", "later", "web")
        self.inside("web", "i=0; until ping -c 1 -w 1 10.57.0.1; do i=$((i+1)); [ $i -lt 60 ] || exit 1; done")
        podman.ok("rm", "-ft", "0", "web")
        for line in ("link add low type veth peer name far", "link set low up", "addr add 10.58.0.1/24 dev far", "link set far up"):
            subprocess.run(["ip", "-n", self.network, *line.split()], check=True)
        podman.ok("network", "create", "-d", "macvlan", "-o", "parent=low", "--subnet", "10.58.0.0/24", "wire")
        self.assertRegex(podman.ok("run", "--rm", "--network", "wire", IMAGE, "sh", "-c", "ping -c 1 -w 60 10.58.0.1; ip route"),
                         "(?s)1 packets received.*default via 10.58.0.1 dev eth0")
        self.world.assert_nothing_left()

    def test_host_network_is_refused(self):
        result = self.podman.run("run", "--rm", "--network", "host", IMAGE, "true")
        self.assertEqual(result.returncode, 126)
        self.assertIn("a virtual machine cannot share the host's network; give it a namespace of its own", result.stderr)
        self.world.assert_nothing_left()

    def test_build(self):
        """Buildah wires a container after its creation."""
        os.mkdir(self.world.path("context"))
        with open(self.world.path("context/Containerfile"), "w", encoding="utf-8") as file:
            file.write(f"FROM {IMAGE}\nRUN ping -c 1 -w 60 $(ip route | awk '/^default/ {{ print $3 }}') && echo reached\n")
        built = self.world.engine(*self.podman.enter, "buildah", "build", "--isolation", "oci", "--runtime",
                                  self.world.runtime("kata"), self.world.path("context"))
        self.assertEqual(built.returncode, 0, built.stderr)
        self.assertIn("reached", built.stdout)

    def test_pod(self):
        podman = self.podman
        podman.ok("pod", "create", "--name", "p", "--infra-image", IMAGE, "--infra-command", "sleep 1000",
                  "-p", "8081:80")
        podman.ok("run", "-d", "--pod", "p", "--name", "one", IMAGE, "sh", "-c",
                  "echo page >/tmp/page; echo said; exec httpd -f -p 80 -h /tmp")
        podman.ok("run", "-d", "--pod", "p", "--name", "two", IMAGE, "sleep", "1000")
        self.assertEqual(len(self.world.machines()), 1)
        wait_for(lambda: podman.run("exec", "two", "wget", "-q", "-O", "-", "http://127.0.0.1/page").stdout == "page\n",
                 "the other container's page", 60)
        self.assertEqual(self.inside("one", "readlink /proc/self/ns/ipc"), self.inside("two", "readlink /proc/self/ns/ipc"))
        self.inside("one", "echo shared >/dev/shm/file")
        self.assertEqual(self.inside("two", "cat /dev/shm/file"), "shared")
        self.assertEqual(self.fetch("127.0.0.1:8081/page"), "page\n")
        self.check_pod_commands()
        podman.ok("rm", "-ft", "0", "one")
        self.inside("two", "true")
        self.assertIn("Running", podman.ok("pod", "ps") + podman.ok("pod", "inspect", "p"))
        podman.ok("pod", "stop", "-t", "0", "p")
        self.assertEqual(self.state_of("two"), "exited")
        podman.ok("pod", "start", "p")
        self.assertEqual(len(self.world.machines()), 1)
        self.assertEqual(self.inside("two", "hostname"), "p")
        podman.ok("pod", "rm", "-ft", "0", "p")
        self.world.assert_nothing_left()

    def state_of(self, container):
        return self.podman.ok("inspect", "--format", "{{.State.Status}}", container)

    def check_pod_commands(self):
        """On the pod "p" with its containers "one" and "two"."""
        podman = self.podman
        self.assertIn("said", podman.ok("pod", "logs", "p"))
        # Podman shows each pid namespace once; those of the processes that stand for containers are the host's.
        self.assertRegex(podman.ok("pod", "top", "p", "pid"), "^PID\n[0-9]")
        stats = json.loads(podman.ok("pod", "stats", "--no-stream", "--format", "json", "p"))
        self.assertEqual(len(stats), 3, stats)
        podman.ok("pod", "pause", "p")
        self.assertEqual([self.state_of("one"), self.state_of("two")], ["paused", "paused"])
        podman.ok("pod", "unpause", "p")
        self.inside("one", "true")

    def test_play_kube(self):
        podman = self.podman
        with open(self.world.path("kube.yaml"), "w", encoding="utf-8") as file:
            file.write(KUBE)
        podman.write("containers.conf", self.with_infra())
        podman.ok("play", "kube", self.world.path("kube.yaml"))
        self.assertEqual(len(self.world.machines()), 1)
        wait_for(lambda: podman.run("exec", "kube-two", "/bin/wget", "-q", "-O", "-", "http://127.0.0.1:81/page").stdout ==
                 "from kube\n", "the page", 60)
        podman.ok("play", "kube", "--down", self.world.path("kube.yaml"))
        self.world.assert_nothing_left()

    def with_infra(self):
        """The settings, and an image for infra containers whose own program waits."""
        self.podman.ok("import", "-c", "CMD [\"/bin/sleep\", \"1000\"]", self.world.image_tar, "localhost/infra:1")
        with open(self.world.path("containers.conf"), encoding="utf-8") as file:
            return file.read().replace("[engine]\n", '[engine]\ninfra_image = "localhost/infra:1"\n')


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("podman", "buildah", "conmon", "ip", "iptables", "nsenter"))
