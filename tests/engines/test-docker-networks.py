#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Docker Engine's networks, with a daemon in a network namespace that stands for the host's."""
import json
import os
import re
import signal
import subprocess
import unittest

import engines
from engines import IMAGE, EngineWorld, wait_for

DOCKERFILE = f"""\
FROM {IMAGE}
RUN ping -c 1 -w 30 172.29.1.1 && echo built >/built
"""

# RFC 1035: "web" in A, behind its length, as TCP wants it; and "far.example".
QUESTION = r"\0\025\022\064\001\0\0\001\0\0\0\0\0\0\003web\0\0\001\0\001"
FAR_QUESTION = r"\0\035\022\064\001\0\0\001\0\0\0\0\0\0\003far\007example\0\0\001\0\001"


# What is outside: a name server, which knows one name and no other.
OUTSIDE = "198.51.100.53"
NAME_SERVER = """
import socketserver, struct, sys, threading
def answer(question):
    name, at = [], 12
    while question[at]:
        name.append(question[at + 1:at + 1 + question[at]].decode())
        at += 1 + question[at]
    known = name == ["far", "example"]
    has = known and question[at + 1:at + 3] == b"\\0\\1"
    head = question[:2] + struct.pack(">HHHHH", 0x8580 if known else 0x8583, 1, has, 0, 0)
    return head + question[12:at + 5] + (b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4" + bytes((203, 0, 113, 7)) if has else b"")
class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(answer(self.request[0]), self.client_address)
class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        size = self.rfile.read(2)
        said = answer(self.rfile.read(struct.unpack(">H", size)[0]))
        self.wfile.write(struct.pack(">H", len(said)) + said)
servers = [socketserver.ThreadingUDPServer((sys.argv[1], 53), Udp), socketserver.ThreadingTCPServer((sys.argv[1], 53), Tcp)]
for server in servers:
    threading.Thread(target=server.serve_forever).start()
print("ready", flush=True)
"""


class DockerNetworks(unittest.TestCase):
    def setUp(self):
        self.network = f"kata-docker-{os.getpid()}"
        self.addCleanup(subprocess.run, ["ip", "netns", "del", self.network], check=False)
        subprocess.run(["ip", "netns", "add", self.network], check=True)
        subprocess.run(["ip", "-n", self.network, "link", "set", "lo", "up"], check=True)
        self.enter = ["nsenter", f"--net=/run/netns/{self.network}"]
        self.make_outside()
        self.world = EngineWorld()
        self.addCleanup(self.world.close)
        self.start_daemon()
        self.ok("import", self.world.image_tar, IMAGE)

    def make_outside(self):
        """Another namespace on a wire, with a name server."""
        outside = f"kata-outside-{os.getpid()}"
        self.addCleanup(subprocess.run, ["ip", "netns", "del", outside], check=False)
        for line in (f"netns add {outside}", f"-n {self.network} link add wire0 type veth peer name wire1 netns {outside}",
                     f"-n {self.network} addr add 198.51.100.1/24 dev wire0", f"-n {self.network} link set wire0 up",
                     f"-n {outside} addr add {OUTSIDE}/24 dev wire1", f"-n {outside} link set wire1 up",
                     f"-n {self.network} route add default via {OUTSIDE}"):
            subprocess.run(["ip", *line.split()], check=True)
        server = subprocess.Popen(["ip", "netns", "exec", outside, "python3", "-c", NAME_SERVER, OUTSIDE],
                                  stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.assertEqual(server.stdout.readline(), b"ready\n")

    def start_daemon(self):
        world = self.world
        settings = json.loads(engines.documented("daemon.json", world.runtime("kata")))
        del settings["runtimes"]  # the other way that is documented: the daemon's option
        settings.update({"data-root": world.path("d/data"), "exec-root": world.path("d/exec"),
                         "dns": [OUTSIDE], "bip": "172.29.1.1/24",
                         "default-address-pools": [{"base": "172.29.128.0/17", "size": 24}],
                         "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 1024}}})
        os.mkdir(world.path("d"))
        with open(world.path("daemon.json"), "w", encoding="utf-8") as file:
            json.dump(settings, file)
        with open(world.path("dockerd.log"), "w", encoding="utf-8") as log:
            daemon = subprocess.Popen([*self.enter, "dockerd", "--config-file", world.path("daemon.json"),
                                       "--add-runtime", f"kata={world.runtime('kata')}", "--default-runtime", "kata", "--host",
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
        self.names(address)
        self.ok("network", "disconnect", "other", "web")
        self.inside("web", "i=0; while ip link | grep -q eth1; do i=$((i+1)); [ $i -lt 600 ] || exit 1; sleep 0.1; done")
        self.assertEqual(self.fetch("127.0.0.1:8080/page"), "page\n")
        self.ok("network", "rm", "other")

    def names(self, address):
        """Docker's name server, asked by the first process of a container, later, and by one that has had no need of it."""
        self.assertEqual(self.ok("run", "--rm", "--network", "other", IMAGE, "wget", "-q", "-O", "-", "http://web/page"), "page")
        self.ok("run", "-d", "--name", "asker", "--network", "other", IMAGE, "sleep", "3600")
        self.inside("asker", "ping -c 1 -w 60 web")
        self.assertIn(f"Address: {address}", self.inside("asker", "nslookup -type=a web 127.0.0.11"))
        # By TCP, and both at once.
        answers = self.inside("asker", f"for i in 1 2 3 4; do (printf '{QUESTION}' | nc -w 60 127.0.0.11 53 | hexdump -ve '1/1 \"%02x\"' "
                              ">/tmp/$i; nslookup -type=a web >/tmp/u$i) & done; wait; cat /tmp/1 /tmp/2 /tmp/3 /tmp/4; cat /tmp/u?")
        self.assertEqual(answers.count("".join(f"{int(part):02x}" for part in address.split("."))), 4, answers)
        self.assertEqual(answers.count(f"Address: {address}"), 4, answers)
        self.only_names("asker")
        self.names_outside("asker")
        self.kill_owner("asker")
        self.assertIn(f"Address: {address}", self.inside("asker", "nslookup -type=a web"))
        wait_for(lambda: "127.0.0.11" in self.inside("web", "cat /etc/resolv.conf"), "docker to name its server", 60)
        self.inside("web", "i=0; until ping -c 1 asker; do i=$((i+1)); [ $i -lt 60 ] || exit 1; sleep 1; done")
        self.ok("rm", "-f", "asker")

    def names_outside(self, container):
        """What Docker's server does not know itself it asks the daemon's, out of the container's namespace."""
        for _ in range(2):
            self.assertIn("Address: 203.0.113.7", self.inside(container, "nslookup -type=a far.example"))
        answer = self.inside(container, f"printf '{FAR_QUESTION}' | nc -w 60 127.0.0.11 53 | hexdump -ve '1/1 \"%02x\"'")
        self.assertTrue(answer.endswith("cb007107"), answer)
        refused = self.docker("exec", container, "nslookup", "-type=a", "near.example")
        self.assertIn("NXDOMAIN", refused.stdout + refused.stderr)
        # The guest asks there itself as well, from the same address.
        self.assertIn("Address: 203.0.113.7", self.inside(container, f"nslookup -type=a far.example {OUTSIDE}"))

    def kill_owner(self, container):
        sandbox = self.ok("inspect", "--format", "{{.Id}}", container)
        owners = [pid for pid, line in self.world.processes() if "containerd-shim-kata-v2" in line and f" -id {sandbox} " in line]
        self.assertEqual(len(owners), 1)
        os.kill(owners[0], signal.SIGKILL)

    def only_names(self, container):
        """Nothing else of the namespace is in the guest's reach, not even the port the server really listens at."""
        pid = self.ok("inspect", "--format", "{{.State.Pid}}", container)
        listening = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "busybox", "netstat", "-tln"], capture_output=True,
                                   text=True, check=True).stdout
        ports = re.findall(r"127\.0\.0\.11:(\d+)", listening)
        others = [port for port in ports if port != "53"]
        self.assertEqual(len(others), 1, listening)
        answer = self.docker("exec", container, "nc", "-w", "3", "127.0.0.11", others[0], input="")
        self.assertNotEqual(answer.returncode, 0)

    def build(self):
        os.mkdir(self.world.path("context"))
        with open(self.world.path("context/Dockerfile"), "w", encoding="utf-8") as file:
            file.write(DOCKERFILE)
        self.ok("build", "-t", "built", self.world.path("context"))
        self.assertEqual(self.ok("run", "--rm", "built", "cat", "/built"), "built")


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("dockerd", "docker", "ip", "iptables", "nsenter"))
