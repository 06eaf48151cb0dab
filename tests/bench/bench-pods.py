#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many pods at once by containerd's CRI plugin: 30 (BENCH_PODS) with guests of 128 MiB are made side by side, each answers
an exec, and all are removed; then nothing of them may be left. Prints times, and what a pod's shim costs with all of them
running, and writes bench-pods.json. `make bench` runs it."""
import concurrent.futures
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../engines"))
import engines  # pylint: disable=wrong-import-position
from cri import Cri  # pylint: disable=wrong-import-position

PODS = int(os.environ.get("BENCH_PODS", "30"))
SETTINGS = [("hypervisor.qemu", "default_memory", "128"), ("agent.kata", "dial_timeout", "600")]


def memory(pid, word):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(word)) / 1024


def side_by_side(function, items):
    """What each took, in seconds, and what all took; a failure of one is all's."""
    def timed(item):
        begin = time.monotonic()
        return function(item), time.monotonic() - begin
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(PODS) as pool:
        results = list(pool.map(timed, items))
    return [result for result, _ in results], [seconds for _, seconds in results], time.monotonic() - begin


def main():
    engines.require("containerd", "ctr", "umoci", "ip", "iptables", "nsenter")
    world = engines.EngineWorld(SETTINGS)
    figures = {"pods": PODS}
    daemon = None
    try:
        daemon = Cri(world, engines.documented("Add to `config.toml", None, "docs/kubernetes.md"))
        daemon.import_image()
        daemon.patience = 1800
        pods, figures["pod_s"], figures["all_pods_s"] = side_by_side(lambda number: daemon.run_pod(f"p{number}"), range(PODS))
        boxes, figures["box_s"], _ = side_by_side(lambda pod: daemon.run(pod, "box", "/bin/sleep", "1000000"), pods)
        said, figures["exec_s"], _ = side_by_side(lambda box: daemon.sh(box, "echo here"), boxes)
        assert said == ["here\n"] * PODS, said
        owners = [daemon.pids_of(pod)["owner"] for pod in pods]
        assert len(set(owners)) == PODS
        figures["pss_mib"] = [memory(pid, "Pss:") for pid in owners]
        figures["private_dirty_mib"] = [memory(pid, "Private_Dirty") for pid in owners]
        _, figures["remove_s"], figures["all_removed_s"] = side_by_side(daemon.remove_pod, pods)
        daemon.assert_nothing_left(120)
    finally:
        if daemon is not None:
            daemon.remove_all()
            daemon.stop()
        world.close()
    wanted = {"pss_mib": "   at most 12 wanted, with ten pods", "private_dirty_mib": "   at most 10 wanted"}
    print(f"{PODS} pods made in {figures['all_pods_s']:.0f} s, removed in {figures['all_removed_s']:.0f} s")
    for name in ("pod_s", "box_s", "exec_s", "remove_s", "pss_mib", "private_dirty_mib"):
        samples = figures[name]
        print(f"{name:18} {statistics.median(samples):8.2f}  ({min(samples):.2f} to {max(samples):.2f}){wanted.get(name, '')}")
    with open("bench-pods.json", "w", encoding="utf-8") as out:
        json.dump(figures, out, indent=1)


if __name__ == "__main__":
    main()
