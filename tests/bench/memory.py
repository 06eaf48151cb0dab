# SPDX-License-Identifier: LGPL-2.1-or-later
"""What idle sandboxes cost the host: each part, and each further sandbox."""
import os
import time

GUESTS = int(os.environ.get("BENCH_MEMORY_GUESTS", "16"))
STEP_S = 3  # a guest looks for pages to give back every two seconds
STEPS = 8


def read(pid, word):
    """KiB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as source:
        return sum(int(row.split()[1]) for row in source if row.startswith(word))


def parts(world, word="Pss:"):
    """Name of a program -> MiB of all its processes; what it shares with others counts for a part."""
    found = {}
    for pid, line in world.processes():
        name = os.path.basename(line.split(" ")[0])
        try:
            found[name] = found.get(name, 0) + read(pid, word) / 1024
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def settled(world):
    """The parts, once together they grow no smaller."""
    before = None
    for _ in range(STEPS):
        time.sleep(STEP_S)
        found = parts(world)
        if before is not None and sum(found.values()) > before * 0.995:
            break
        before = sum(found.values())
    return found


def one_by_one(world):
    """Parts of the first idle sandbox in MiB, and the sums with one, two, three, ... of them."""
    first, sums = None, []
    for number in range(GUESTS):
        done = world.run_attached("run", "--detach", "--bundle", world.bundle("sleep", "100000"), f"m{number}")
        assert done.returncode == 0, done.stderr
        found = settled(world)
        first = first or found
        sums.append(sum(found.values()))
    for number in range(GUESTS):
        world.run("delete", "--force", f"m{number}")
    return first, sums


def private_dirty(world):
    """KiB of memory nobody else has, of an idle sandbox without QEMU."""
    world.run_attached("run", "--detach", "--bundle", world.bundle("sleep", "1000"), "idle")
    time.sleep(2)
    found = {name: size * 1024 for name, size in parts(world, "Private_Dirty").items() if not name.startswith("qemu")}
    world.run("delete", "--force", "idle")
    return found
