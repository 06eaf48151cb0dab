# SPDX-License-Identifier: LGPL-2.1-or-later
"""One running container: other processes in it, and its output; and what a call of its owner takes."""
import json
import os
import subprocess
import time

import kata_cli


def exec_seconds(world, container, rounds):
    samples = []
    for _ in range(rounds):
        begin = time.monotonic()
        done = world.run("exec", container, "/bin/true")
        samples.append(time.monotonic() - begin)
        assert done.returncode == 0, done
    return samples


def stdout_mb_s(world, container, megabytes):
    """Of a container's process whose output somebody reads through a pipe."""
    with world.start("exec", container, "dd", "if=/dev/zero", "bs=65536", f"count={megabytes * 16}",
                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as reader:
        begin, left = None, megabytes << 20
        while left > 0:
            data = os.read(reader.stdout.fileno(), 1 << 20)
            assert data, "the output ended early"
            begin = begin or time.monotonic()
            left -= len(data)
        return megabytes * 1.048576 / (time.monotonic() - begin)


def client_call(world):
    """Microseconds of a call that the owner answers by itself, beside an idle guest."""
    world.run_attached("run", "--detach", "--bundle", world.bundle("sleep", "1000"), "asked")
    done = subprocess.run([kata_cli.built("tests/bench", "measure-client"), "asked"], env=world.env,
                          stdout=subprocess.PIPE, check=True)
    world.run("delete", "--force", "asked")
    return json.loads(done.stdout)


def phases(world, bundle):
    """Seconds of each step of a run through the library."""
    done = subprocess.run([kata_cli.built("tests/bench", "measure-run"), bundle], env=world.env, stdout=subprocess.PIPE,
                          check=True)
    result = json.loads(done.stdout)
    assert result["status"] == 0, result
    steps = {step["name"]: (step["end_us"] - step["begin_us"]) / 1e6 for step in result["timeline"]}
    return {"client": result["owner_ms"] / 1e3, "owner": steps["check"] + steps["share"],
            "libvirt": steps["libvirt"] + steps["machine"], "kernel and agent": steps["kernel"],
            "sandbox": steps["agent"], "crun create": steps["container"], "crun start": steps["start"],
            "workload": result["wait_ms"] / 1e3, "delete": result["delete_ms"] / 1e3}
