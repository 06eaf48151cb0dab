#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a container in a virtual machine costs, over floors measured in the same run and in turn. Prints medians, phases
and ratios, and writes bench.json and a picture of a start for each way a guest comes to be. `make bench` runs it. In the
environment: BENCH_ROUNDS; BENCH_PARTS, words of PARTS below, for some alone; BENCH_AT_ONCE ("1,4,16,32");
BENCH_MEMORY_GUESTS; KATA_TEST_KERNEL."""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
# pylint: disable=wrong-import-position
import kata_cli
import files
import hand_guest
import memory
import running
import runtimes
import starts
import wire
from figures import Figures, spread

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
READY = re.compile(rb"kata-agent: ready, process 1 began at ([0-9.]+) s, now ([0-9.]+) s")
PARTS = {"floor": "QEMU alone, and crun, a port and virtio-fs in a guest made by hand",
         "starts": "katactl run, cold, from a template and with a guest that stood by", "runtimes": "crun and runc here",
         "exec": "another process", "stdout": "a container's output", "files": "virtio-fs over the host's own file system",
         "network": "TCP through a tap over a network namespace's", "phases": "the steps of a cold start",
         "at_once": "several starts at once", "memory": "idle sandboxes", "overhead": "the owner's memory, a client's call",
         "agent": "the agent on this host"}
IN_GUEST = ("exec", "stdout", "files", "network")


def choose_parts():
    words = os.environ.get("BENCH_PARTS", ",".join(PARTS)).replace(",", " ").split()
    unknown = set(words) - set(PARTS)
    if unknown:
        sys.exit(f"BENCH_PARTS: no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return words


def raw_qemu(cmdline):
    """Seconds from exec to the guest's first process, and from there to the agent being ready."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        command = hand_guest.qemu_command(folder, cmdline, kata_cli.INITRD)
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as qemu:
            found = None
            while found is None:
                line = qemu.stdout.readline()
                assert line, "QEMU ended before the agent was ready"
                found = READY.search(line)
            ready = time.monotonic() - begin
            qemu.kill()
        init = float(found.group(2)) - float(found.group(1))
        return ready - init, init


def by_hand(cmdline):
    """The floors of what runs in the guest."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(f"{folder}/shared/out")
        files.make_archive(f"{folder}/shared/files.tar")
        return hand_guest.run(folder, cmdline, f"{folder}/shared")


class Bench:
    """Worlds, bundles and what was measured in them."""

    def __init__(self, parts):
        self.parts, self.figures, self.steps, self.more = parts, Figures(), {}, {}
        ways = starts.WAYS if "starts" in parts else ["cold", *(["template"] if "at_once" in parts else [])]
        self.worlds = {}
        self.wire = wire.Wire() if "network" in parts and wire.is_possible() else None
        try:
            self.worlds.update((way, starts.make_world(way)) for way in ways)
            self.short = {way: world.bundle("true") for way, world in self.worlds.items()}
            self.idle = self.cold.bundle("sleep", "100000", change=self.wire.change if self.wire else None)
            files.make_archive(os.path.join(self.idle, "rootfs/files.tar"))
            if self.wire:
                wire.add_program(self.cold, self.idle)
            for way, world in self.worlds.items():
                starts.run(world, self.short[way])  # fills caches
        except BaseException:
            self.close()
            raise
        xml = self.cold.run("xml", "--bundle", self.short["cold"], "bench").stdout
        self.cmdline = re.search("<cmdline>(.*)</cmdline>", xml).group(1)

    @property
    def cold(self):
        return self.worlds["cold"]

    def close(self):
        for way, world in self.worlds.items():
            starts.close_world(world, way)
        if self.wire:
            self.wire.close()

    # ---- in each round ----

    def measure_floors(self):
        add = self.figures.add
        if "floor" in self.parts:
            to_init, in_init = raw_qemu(self.cmdline)
            add("raw_s", to_init)
            add("init_s", in_init)
            self.figures.add_all("guest_", by_hand(self.cmdline))
        if "runtimes" in self.parts:
            for name in runtimes.NAMES:
                add(f"host_{name}_s", runtimes.on_host(name, self.short["cold"]))

    def measure_starts(self):
        for way in starts.WAYS:
            run = starts.run_from_pool if way == "pool" else starts.run
            self.figures.add(f"{way}_s", run(self.worlds[way], self.short[way]))

    def measure_on_host(self):
        if "files" in self.parts:
            self.figures.add_all("host_files_", files.on_host(self.idle), "_s")
        if self.wire:
            self.figures.add_all("host_tcp_", self.wire.on_host())

    def measure_in_guest(self):
        done = self.cold.run_attached("run", "--detach", "--bundle", self.idle, "bench")
        assert done.returncode == 0, done
        if "exec" in self.parts:
            self.figures.add("exec_s", running.exec_seconds(self.cold, "bench", hand_guest.CRUN_ROUNDS))
        if "stdout" in self.parts:
            self.figures.add("stdout_mb_s", running.stdout_mb_s(self.cold, "bench", hand_guest.PORT_MIB))
        if "files" in self.parts:
            self.figures.add_all("files_", files.in_guest(self.cold, "bench"), "_s")
        if self.wire:
            self.figures.add_all("tcp_", wire.in_guest(self.cold, "bench"))
        self.cold.run("delete", "--force", "bench")

    def take_turns(self):
        """Each round has all that is compared, so that whatever else the machine does is in all of it."""
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
            self.measure_floors()
            if "starts" in self.parts:
                self.measure_starts()
            self.measure_on_host()
            if any(part in self.parts for part in IN_GUEST):
                self.measure_in_guest()
            if "phases" in self.parts:
                for name, seconds in running.phases(self.cold, self.short["cold"]).items():
                    self.steps.setdefault(name, []).append(seconds)

    # ---- once ----

    def draw_starts(self):
        """Where a start's time goes, as a picture beside bench.json."""
        for way, world in self.worlds.items():
            bundle = world.bundle("sleep", "1000")
            world.run_attached("run", "--detach", "--bundle", bundle, "drawn")
            with open(f"bench-{way}.svg", "w", encoding="utf-8") as out:
                out.write(world.run("boot-chart", "drawn").stdout)
            world.run("delete", "--force", "drawn")

    def measure_at_once(self):
        for way in ("cold", "template"):
            self.figures.at_once[way] = starts.at_once(self.worlds[way], self.short[way])

    def measure_memory(self):
        small = starts.make_world("template", 128)
        try:
            first, sums = memory.one_by_one(small)
        finally:
            small.close()
        further = [after - before for before, after in zip(sums, sums[1:])]
        self.more.update(memory_mib=first, memory_sums_mib=sums,
                         marginal_mib=(sums[-1] - sums[0]) / len(further) if further else None)
        print("memory of an idle guest of 128 MiB from a template (PSS): " +
              ", ".join(f"{name} {size:.1f} MiB" for name, size in sorted(first.items())))
        if further:
            print(f"each further one of {len(sums)} costs {self.more['marginal_mib']:.1f} MiB, the last "
                  f"{further[-1]:.1f} MiB; at most 90 wanted")

    def measure_overhead(self):
        dirty, client = memory.private_dirty(self.cold), running.client_call(self.cold)
        self.more.update(private_dirty_kib=dirty, client_us=client)
        print("private dirty memory beside QEMU, idle: " +
              ", ".join(f"{name} {size:.0f} KiB" for name, size in sorted(dirty.items())) +
              f"; together {sum(dirty.values()) / 1024:.1f} MiB, at most 12 wanted")
        print(f"a client's call: median {client['median_us']} us, 99 % below {client['p99_us']} us; at most 150 wanted")

    def measure_agent(self):
        agent = runtimes.measure_agent()
        self.more["agent"] = agent
        if agent is None:
            return
        pairs = zip(agent["exec_s"], agent["crun_exec_s"])
        self.figures.ratios["exec_over_crun"] = statistics.median(ours / cruns for ours, cruns in pairs)
        print(f"agent on this host: {agent['checks_per_s']} calls/s of Check by one caller, {agent['checks_per_s_by_30']} "
              f"by thirty at once, {agent['checks_per_s_beside_30_waits']} beside thirty calls that wait")
        print(f"  stdout through ttRPC    {agent['stdout_mib_per_s']:7} MiB/s")
        print(f"  exec of a process       {spread(agent['exec_s'])} s")
        print(f"  crun exec               {spread(agent['crun_exec_s'])} s")

    def measure_rest(self):
        for part in ("at_once", "memory", "overhead", "agent"):
            if part in self.parts:
                print(part, file=sys.stderr)
                getattr(self, f"measure_{part}")()

    # ---- results ----

    def write(self):
        self.figures.compare()
        self.figures.print()
        if self.steps:
            print("phases of a cold run through the library:")
        for name, values in self.steps.items():
            print(f"  {name:24s} {spread(values)} s")
        with open("bench.json", "w", encoding="utf-8") as out:
            json.dump({"ratios": self.figures.ratios, "samples": self.figures.samples, "at_once_s": self.figures.at_once,
                       "phases_s": self.steps, "rounds": ROUNDS, "kernel": kata_cli.KERNEL, **self.more}, out, indent=1)


def main():
    kata_cli.require_guests()
    bench = Bench(choose_parts())
    try:
        bench.take_turns()
        bench.draw_starts()
        bench.measure_rest()
    finally:
        bench.close()
    bench.write()


if __name__ == "__main__":
    main()
