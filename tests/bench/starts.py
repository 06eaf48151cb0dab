# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers as users start them: cold, from a template, several at once, and what each costs in memory."""
import concurrent.futures
import os
import subprocess
import time

import kata_cli

COUNTS = [int(word) for word in os.environ.get("BENCH_AT_ONCE", "1,4,16,32").split(",")]
MEMORY_GUESTS = int(os.environ.get("BENCH_MEMORY_GUESTS", "16"))
SETTLE_S = 15  # the guest looks for pages to give back every two seconds


def make_world(with_templates, memory_mib=256):
    world = kata_cli.World([("hypervisor.qemu", "default_memory", str(memory_mib)),
                            ("factory", "enable_template", "true" if with_templates else "false")])
    if with_templates:
        made = world.run("template", "create", timeout=600)
        assert made.returncode == 0, made.stderr
    return world


def run(world, bundle, name="bench"):
    """Seconds of a whole run."""
    begin = time.monotonic()
    done = world.run("run", "--bundle", bundle, name, timeout=600)
    assert done.returncode == 0, done
    return time.monotonic() - begin


def at_once(world, bundle):
    """Number of containers started at once -> seconds until all have ended, over that number."""
    found = {}
    for count in COUNTS:
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda number: run(world, bundle, f"at-once-{number}"), range(count)))
        found[count] = (time.monotonic() - begin) / count
    return found


# ---- memory ----

def proportional(pid):
    """KiB: what it shares with others counts for a part."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as source:
        return sum(int(row.split()[1]) for row in source if row.startswith("Pss:"))


def parts(world):
    """Name of a program -> KiB of all its processes."""
    found = {}
    for pid, line in world.processes():
        name = os.path.basename(line.split(" ")[0])
        found[name] = found.get(name, 0) + proportional(pid)
    return found


def memory(world):
    """MiB of each part of the first idle sandbox, and of each further one alone."""
    sums, first = [], None
    for number in range(MEMORY_GUESTS):
        done = world.run_attached("run", "--detach", "--bundle", world.bundle("sleep", "100000"), f"m{number}")
        assert done.returncode == 0, done.stderr
        if number in (0, MEMORY_GUESTS - 1):
            time.sleep(SETTLE_S)
            found = parts(world)
            first = first or {name: size / 1024 for name, size in found.items()}
            sums.append(sum(found.values()) / 1024)
    for number in range(MEMORY_GUESTS):
        world.run("delete", "--force", f"m{number}")
    marginal = (sums[-1] - sums[0]) / (MEMORY_GUESTS - 1) if MEMORY_GUESTS > 1 else None
    return first, marginal


# ---- one running container ----

def exec_seconds(world, rounds):
    samples = []
    for _ in range(rounds):
        begin = time.monotonic()
        done = world.run("exec", "bench", "/bin/true")
        samples.append(time.monotonic() - begin)
        assert done.returncode == 0, done
    return samples


def stdout_mb_s(world, megabytes):
    """Of a container's process whose output somebody reads through a pipe."""
    with world.start("exec", "bench", "dd", "if=/dev/zero", "bs=65536", f"count={megabytes * 16}",
                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as reader:
        begin, left = None, megabytes << 20
        while left > 0:
            data = os.read(reader.stdout.fileno(), 1 << 20)
            assert data, "the output ended early"
            begin = begin or time.monotonic()
            left -= len(data)
        return megabytes * 1.048576 / (time.monotonic() - begin)


def untar_seconds(world, number):
    done = world.run("exec", "bench", "sh", "-c", f"mkdir /out{number}; begin=$EPOCHREALTIME; tar -xf /files.tar -C "
                     f"/out{number} && echo $begin $EPOCHREALTIME")
    assert done.returncode == 0, done
    begin, end = map(float, done.stdout.split())
    return end - begin

