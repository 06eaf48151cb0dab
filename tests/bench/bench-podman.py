#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Podman adds to a container of katactl's: "podman run --rm" of true and "katactl run" of the same bundle, in turn;
and twenty containers at once. Prints medians and writes bench-podman.json. `make bench` runs it; BENCH_ROUNDS says how
often."""
import concurrent.futures
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../engines"))
import engines  # pylint: disable=wrong-import-position

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
AT_ONCE = 20


def timed(run, status):
    begin = time.monotonic()
    done = run()
    assert done.returncode == status, done
    return time.monotonic() - begin


def bundle_of_podmans(world, podman):
    """The bundle of a container that Podman keeps, created and not started, for as long as the measurement lasts."""
    podman.ok("create", "--name", "kept", "--network", "none", engines.IMAGE, "true")
    podman.ok("init", "kept")
    bundle = world.path("same-bundle")
    os.mkdir(bundle)
    with open(podman.ok("inspect", "--format", "{{.OCIConfigPath}}", "kept"), encoding="utf-8") as file:
        document = json.load(file)
    document["linux"]["cgroupsPath"] += "-bench"  # a cgroup that another container lives in cannot be removed
    with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as file:
        json.dump(document, file)
    return bundle


def measure(world, podman):
    bundle = bundle_of_podmans(world, podman)
    by_podman, by_katactl = [], []
    for number in range(ROUNDS + 1):
        print(f"round {number} of {ROUNDS}", file=sys.stderr)
        by_katactl.append(timed(lambda: world.run("run", "--bundle", bundle, "bench"), 0))
        by_podman.append(timed(lambda: podman.run("run", "--rm", "--network", "none", engines.IMAGE, "true"), 0))
    podman.ok("rm", "-ft", "0", "kept")
    return by_podman[1:], by_katactl[1:]  # the first of each fills caches


def at_once(podman):
    def one(number):
        done = podman.run("run", "--rm", "--network", "none", engines.IMAGE, "sh", "-c", f"echo {number}; exit 7",
                          timeout=600)
        good = (done.returncode, done.stdout, done.stderr) == (7, f"{number}\n", "")
        if not good:
            print(f"run {number}: {done}", file=sys.stderr)
        return good

    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        faults = list(pool.map(one, range(AT_ONCE))).count(False)
    return faults, time.monotonic() - begin


def show(samples):
    return f"{statistics.median(samples):7.3f} s  ({min(samples):.3f} to {max(samples):.3f})"


def main():
    engines.require("podman", "conmon")
    world = engines.EngineWorld()
    try:
        podman = engines.Podman(world)
        by_podman, by_katactl = measure(world, podman)
        faults, seconds = at_once(podman)
        world.assert_nothing_left()
    finally:
        world.close()
    added = statistics.median(by_podman) - statistics.median(by_katactl)
    print(f"podman run --rm true      {show(by_podman)}")
    print(f"katactl run, same bundle  {show(by_katactl)}")
    print(f"added by Podman           {added:7.3f} s  at most 0.4 s wanted")
    print(f"{AT_ONCE} podman runs at once     {seconds:7.3f} s, {faults} failed, nothing left")
    with open("bench-podman.json", "w", encoding="utf-8") as out:
        json.dump({"added_s": added, "podman_s": by_podman, "katactl_s": by_katactl, "at_once_s": seconds,
                   "at_once_failed": faults}, out, indent=1)
    assert faults == 0


if __name__ == "__main__":
    main()
