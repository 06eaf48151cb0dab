#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What containerd's shim costs: "ctr run --rm" of true with io.containerd.kata.v2 and with runc, in turn; the same less
the guest's boot and what crun does in it; and the memory of an idle owner. Prints medians and writes
bench-containerd.json. `make bench` runs it; BENCH_ROUNDS says how often."""
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../engines"))
import engines  # pylint: disable=wrong-import-position
import ttrpc  # pylint: disable=wrong-import-position
from containerd import KATA, Containerd  # pylint: disable=wrong-import-position

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
RUNC = "io.containerd.runc.v2"


def timed(daemon, *args):
    begin = time.monotonic()
    daemon.ok(*args)
    return time.monotonic() - begin


def owner_of(daemon, container):
    with open(os.path.join(daemon.bundle(container), "address"), encoding="utf-8") as file:
        address = file.read()
    with open(os.path.join(daemon.bundle(container), "shim.pid"), encoding="utf-8") as file:
        return address, int(file.read())


def boot_seconds(address):
    """From the first step of the start to the end of crun's in the guest."""
    client = ttrpc.Client(address)
    status, answer = client.call("kata.v1.Owner", "BootTimeline", {})
    client.close()
    assert status == "OK", answer
    steps = [ttrpc.decode(step) for step in answer[1]]
    return sum(step.get(3, [0])[0] - step.get(2, [0])[0] for step in steps) / 1e6


def memory(pid, word):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(word)) / 1024


def main():
    engines.require("containerd", "ctr", "umoci", "runc")
    figures = {"kata_s": [], "runc_s": [], "over_s": [], "private_dirty_mib": [], "pss_mib": []}
    world = engines.EngineWorld()
    daemon = None
    try:
        daemon = Containerd(world)
        daemon.import_image()
        for number in range(ROUNDS):
            figures["runc_s"].append(timed(daemon, "run", "--rm", "--runtime", RUNC, engines.IMAGE, f"r{number}", "/bin/true"))
            figures["kata_s"].append(timed(daemon, "run", "--rm", "--runtime", KATA, engines.IMAGE, f"k{number}", "/bin/true"))
            # The same boot on both sides of the difference: no two take the same time.
            over = timed(daemon, "run", "-d", "--runtime", KATA, engines.IMAGE, "idle", "/bin/sleep", "1000")
            address, pid = owner_of(daemon, "idle")
            over -= boot_seconds(address)
            time.sleep(2)
            figures["private_dirty_mib"].append(memory(pid, "Private_Dirty"))
            figures["pss_mib"].append(memory(pid, "Pss:"))
            figures["over_s"].append(over + timed(daemon, "task", "rm", "--force", "idle"))
            daemon.ok("containers", "rm", "idle")
    finally:
        if daemon is not None:
            daemon.remove_all()
            daemon.stop()
        world.close()
    wanted = {"over_s": "   at most 0.25 wanted", "private_dirty_mib": "   at most 10 wanted"}
    for name, samples in figures.items():
        print(f"{name:18} {statistics.median(samples):8.3f}  ({min(samples):.3f} to {max(samples):.3f}){wanted.get(name, '')}")
    with open("bench-containerd.json", "w", encoding="utf-8") as out:
        json.dump(figures, out, indent=1)


if __name__ == "__main__":
    main()
