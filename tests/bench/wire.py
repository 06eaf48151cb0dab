# SPDX-License-Identifier: LGPL-2.1-or-later
"""TCP between a network namespace and another one: by a process of the first, and by a container whose guest has the
first's interface."""
import os
import shutil
import subprocess

import kata_cli
import network

TALK = kata_cli.built("tests/bench", "tcp-talk")
HERE, THERE = "10.87.0.2", "10.87.0.1"
MIB = 64
PINGS = 1000
FIGURES = {"send_mb_s": ("send", MIB), "receive_mb_s": ("receive", MIB), "ping_us": ("ping", PINGS)}


class Wire:
    """The two namespaces, and somebody who answers in the far one."""

    def __init__(self):
        self.wires = network.Wires()
        self.wires.veth("eth0", "far0", (f"{HERE}/24", f"{THERE}/24"))
        # pylint: disable=consider-using-with
        self.server = subprocess.Popen(["ip", "netns", "exec", self.wires.far, TALK, "serve", THERE],
                                       stdout=subprocess.PIPE, text=True)
        assert self.server.stdout.readline() == "listening\n"

    def change(self, document):
        """Of a bundle's document: the container has the namespace's network."""
        for entry in document["linux"]["namespaces"]:
            if entry["type"] == "network":
                entry["path"] = f"/run/netns/{self.wires.pod}"

    def on_host(self):
        """Only as long as no guest has the interface."""
        return {name: float(self.wires.in_pod(TALK, what, THERE, str(size))) for name, (what, size) in FIGURES.items()}

    def close(self):
        self.server.terminate()
        self.server.wait()
        self.server.stdout.close()
        self.wires.close()


def add_program(world, bundle):
    kata_cli.add_program(os.path.join(bundle, "rootfs"), TALK, world.env)


def in_guest(world, container):
    found = {}
    for name, (what, size) in FIGURES.items():
        done = world.run("exec", container, "/bin/tcp-talk", what, THERE, str(size))
        assert done.returncode == 0, done
        found[name] = float(done.stdout)
    return found


def is_possible():
    return shutil.which("ip") is not None
