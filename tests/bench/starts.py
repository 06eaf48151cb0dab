# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers as users start them: cold, from a template, with a guest that stood by, and several at once."""
import concurrent.futures
import os
import time

import kata_cli

COUNTS = [int(word) for word in os.environ.get("BENCH_AT_ONCE", "1,4,16,32").split(",")]
WAYS = {"cold": {"enable_template": "false"}, "template": {"enable_template": "true"},
        "pool": {"enable_template": "true", "vm_cache_number": "1"}}


def make_world(way, memory_mib=256):
    world = kata_cli.World([("hypervisor.qemu", "default_memory", str(memory_mib)),
                            *(("factory", key, value) for key, value in WAYS[way].items())])
    world.env["TMPDIR"] = world.base  # what works in the background has kept it, and is found by it
    if way != "cold":
        made = world.run("template", "create", timeout=600)
        assert made.returncode == 0, made.stderr
    return world


def close_world(world, way):
    """Of a pool, whatever fills it has ended by then, and would leave a guest otherwise."""
    if way == "pool":
        kata_cli.wait_for(lambda: not [line for _, line in world.processes() if "-pool" in line], "the pool to be full")
        world.run("pool", "remove")
    world.close()


def run(world, bundle, name="bench"):
    """Seconds of a whole run."""
    begin = time.monotonic()
    done = world.run("run", "--bundle", bundle, name, timeout=600)
    assert done.returncode == 0, done
    return time.monotonic() - begin


def run_from_pool(world, bundle):
    """The same; it has the guest that stood by. Another is made before anything else is measured."""
    def fill():
        made = world.run("pool", "create", timeout=600)
        assert made.returncode == 0, made.stderr
        return world.run("pool", "list").stdout.split()
    before = fill()
    seconds = run(world, bundle)
    after = world.run("pool", "list").stdout.split()
    assert before and before[0] not in after, (before, after)
    fill()
    return seconds


def at_once(world, bundle):
    """Number of containers started at once -> seconds until all have ended, over that number."""
    found = {}
    for count in COUNTS:
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda number: run(world, bundle, f"at-once-{number}"), range(count)))
        found[count] = (time.monotonic() - begin) / count
    return found
