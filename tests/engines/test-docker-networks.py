#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Docker Engine's networks, with a daemon in a network namespace that stands for the host's."""
import json
import os
import subprocess
import unittest

import engines
from engines import IMAGE, EngineWorld, wait_for

DOCKERFILE = f"""\
FROM {IMAGE}
RUN ping -c 1 -w 30 172.29.1.1 && echo built >/built
"""


class DockerNetworks(unittest.TestCase):
    def setUp(self):
        self.network = f"kata-docker-{os.getpid()}"
        self.addCleanup(subprocess.run, ["ip", "netns", "del", self.network], check=False)
        subprocess.run(["ip", "netns", "add", self.network], check=True)
        subprocess.run(["ip", "-n", self.network, "link", "set", "lo", "up"], check=True)
        self.enter = ["nsenter", f"--net=/run/netns/{self.network}"]
        self.world = EngineWorld()
        self.addCleanup(self.world.close)
        self.start_daemon()
        self.ok("import", self.world.image_tar, IMAGE)

    def start_daemon(self):
        world = self.world
        settings = json.loads(engines.documented("daemon.json", world.runtime("kata")))
        settings.update({"default-runtime": "kata", "data-root": world.path("d/data"), "exec-root": world.path("d/exec"),
                         "bip": "172.29.1.1/24", "default-address-pools": [{"base": "172.29.128.0/17", "size": 24}],
                         "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 1024}}})
        os.mkdir(world.path("d"))
        with open(world.path("daemon.json"), "w", encoding="utf-8") as file:
            json.dump(settings, file)
        with open(world.path("dockerd.log"), "w", encoding="utf-8") as log:
            daemon = subprocess.Popen([*self.enter, "dockerd", "--config-file", world.path("daemon.json"), "--host",
                                       f"unix://{world.path('d/sock')}", "--pidfile", world.path("d/pid")],
                                      env=world.engine_env, stdout=log, stderr=log)
        self.addCleanup(self.stop_daemon, daemon)
        wait_for(lambda: self.docker("version").returncode == 0, "dockerd to answer")

    def stop_daemon(self, daemon):
        for container in self.docker("ps", "-aq").stdout.split():
            self.docker("rm", "-f", container)
        daemon.terminate()
        daemon.wait()

    def docker(self, *args, **options):
        return self.world.engine("/usr/bin/docker", "--host", f"unix://{self.world.path('d/sock')}", *args, **options)

    def ok(self, *args, **options):
        result = self.docker(*args, **options)
        self.assertEqual(result.returncode, 0, f"docker {' '.join(args)}\n{result.stdout}{result.stderr}")
        return result.stdout.strip()

    def fetch(self, address):
        command = [*self.enter, "busybox", "wget", "-q", "-O", "-", f"http://{address}"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout

    def inside(self, container, script):
        return self.ok("exec", container, "sh", "-c", script)

    def test_networks(self):
        self.ok("run", "-d", "--name", "web", "-p", "8080:80", IMAGE, "sh", "-c",
                "echo page >/tmp/page; exec httpd -f -p 80 -h /tmp")
        self.default_bridge()
        self.another_network()
        self.build()
        self.ok("rm", "-f", "web")

    def default_bridge(self):
        address = self.ok("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "web")
        self.assertIn(f"inet {address}/24", self.inside("web", "ip addr show eth0"))
        wait_for(lambda: self.fetch(f"{address}/page") == "page\n", "the page by the container's address", 60)
        self.assertEqual(self.fetch("127.0.0.1:8080/page"), "page\n")
        self.assertEqual(self.fetch("172.29.1.1:8080/page"), "page\n")
        self.assertEqual(self.ok("run", "--rm", IMAGE, "wget", "-q", "-O", "-", f"http://{address}/page"), "page")

    def another_network(self):
        """Connected while it runs, and taken away again."""
        self.ok("network", "create", "other")
        self.ok("network", "connect", "other", "web")
        self.inside("web", "i=0; until ip addr | grep -q ' eth1$'; do i=$((i+1)); [ $i -lt 600 ] || exit 1; sleep 0.1; done")
        address = self.ok("inspect", "--format", "{{.NetworkSettings.Networks.other.IPAddress}}", "web")
        self.assertIn(f"inet {address}/24", self.inside("web", "ip addr show eth1"))
        said = self.ok("run", "--rm", "--network", "other", IMAGE, "sh", "-c", f"wget -q -O - http://{address}/page; "
                       "cat /etc/resolv.conf")
        self.assertRegex(said, r"^page\n(.*\n)*nameserver 127\.0\.0\.11")
        self.ok("network", "disconnect", "other", "web")
        self.inside("web", "i=0; while ip link | grep -q eth1; do i=$((i+1)); [ $i -lt 600 ] || exit 1; sleep 0.1; done")
        self.assertEqual(self.fetch("127.0.0.1:8080/page"), "page\n")
        self.ok("network", "rm", "other")

    def build(self):
        os.mkdir(self.world.path("context"))
        with open(self.world.path("context/Dockerfile"), "w", encoding="utf-8") as file:
            file.write(DOCKERFILE)
        self.ok("build", "-t", "built", self.world.path("context"))
        self.assertEqual(self.ok("run", "--rm", "built", "cat", "/built"), "built")


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("dockerd", "docker", "ip", "iptables", "nsenter"))
