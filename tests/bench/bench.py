#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a container in a virtual machine costs, over floors measured in the same run and in turn: raw QEMU to the guest's
first process and crun in a guest made by hand; a run cold and from a template, several at once; exec; standard output;
many small files through virtio-fs; crun and runc on the host; the memory of each part; and the agent by itself. Prints
medians, phases and ratios, and writes bench.json. `make bench` runs it; BENCH_ROUNDS, BENCH_AT_ONCE ("1,4,16,32") and
BENCH_MEMORY_GUESTS say how much of it."""
import io
import json
import os
import re
import statistics
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
import kata_cli  # pylint: disable=wrong-import-position
import hand_guest  # pylint: disable=wrong-import-position
import starts  # pylint: disable=wrong-import-position

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
FILES = 5000
WANTED = {"cold_over_floor": "   at most 1.45 wanted", "template_over_cold": "   at most 0.55 wanted",
          "exec_over_crun_exec": "   at most 1.3 wanted", "stdout_over_raw": "   at least 0.6 wanted",
          "untar_over_plain_virtiofsd": "   at most 1.1 wanted", "16_at_once_over_one": "   at most 0.7 wanted"}
READY = re.compile(rb"kata-agent: ready, process 1 began at ([0-9.]+) s, now ([0-9.]+) s")


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


def make_files(path):
    """An archive of many small files."""
    with tarfile.open(path, "w") as archive:
        for number in range(FILES):
            entry = tarfile.TarInfo(f"{number % 50}/{number}")
            entry.size = 1000 + number % 3000
            archive.addfile(entry, io.BytesIO(b"x" * entry.size))


def by_hand(cmdline):
    """The floors of what runs in the guest."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(f"{folder}/shared/out")
        make_files(f"{folder}/shared/files.tar")
        return hand_guest.run(folder, cmdline, f"{folder}/shared")


def on_host(runtime, bundle):
    """Seconds of a run of the same bundle without a guest; None where the runtime does not run here."""
    if shutil.which(runtime) is None:
        return None
    place = ("{ mountpoint -q /sys/fs/cgroup && umount -R -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; } "
             f">/dev/null 2>&1; exec {runtime} --root {bundle}/state run --bundle {bundle} bench-{os.getpid()}")
    begin = time.monotonic()
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", place], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.monotonic() - begin if done.returncode == 0 else None


def phases(world, bundle):
    program = kata_cli.built("tests/bench", "measure-run")
    done = subprocess.run([program, bundle], env=world.env, stdout=subprocess.PIPE, check=True)
    result = json.loads(done.stdout)
    assert result["status"] == 0, result
    steps = {step["name"]: (step["end_us"] - step["begin_us"]) / 1e6 for step in result["timeline"]}
    return {
        "client": result["owner_ms"] / 1e3,
        "owner": steps["check"] + steps["share"],
        "libvirt": steps["libvirt"] + steps["machine"],
        "kernel and agent": steps["kernel"],
        "sandbox": steps["agent"],
        "crun create": steps["container"],
        "crun start": steps["start"],
        "workload": result["wait_ms"] / 1e3,
        "delete": result["delete_ms"] / 1e3,
    }


def client_call(world):
    """Microseconds of a call that the owner answers by itself, beside an idle guest."""
    world.run_attached("run", "--detach", "--bundle", world.bundle("sleep", "1000"), "asked")
    done = subprocess.run([kata_cli.built("tests/bench", "measure-client"), "asked"], env=world.env,
                          stdout=subprocess.PIPE, check=True)
    world.run("delete", "--force", "asked")
    return json.loads(done.stdout)


def private_dirty(world):
    """KiB of memory nobody else has, of the owner and virtiofsd of an idle sandbox."""
    world.run_attached("run", "--detach", "--bundle", world.bundle("sleep", "1000"), "idle")
    time.sleep(2)
    found = {}
    for pid, line in world.processes():
        name = os.path.basename(line.split(" ")[0])
        if name.startswith("qemu"):
            continue
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as source:
            size = sum(int(row.split()[1]) for row in source if row.startswith("Private_Dirty"))
        found[name] = found.get(name, 0) + size
    world.run("delete", "--force", "idle")
    return found


def measure_agent():
    """The agent on this host: its figures, and its exec over crun's own."""
    program = os.path.join(kata_cli.BUILD, "tests/bench/measure-agent")
    if not os.path.exists(program):  # made with cmocka only
        return None
    done = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if done.returncode == 77:
        return None
    done.check_returncode()
    return json.loads(done.stdout)


def print_agent(agent):
    pairs = zip(agent["exec_s"], agent["crun_exec_s"])
    ratio = statistics.median(ours / cruns for ours, cruns in pairs)
    print(f"agent on this host: {agent['checks_per_s']} calls/s of Check by one caller, {agent['checks_per_s_by_30']} by "
          f"thirty at once, {agent['checks_per_s_beside_30_waits']} beside thirty calls that wait")
    print(f"  stdout through ttRPC    {agent['stdout_mib_per_s']:7} MiB/s")
    print(f"  exec of a process       {show(agent['exec_s'])}")
    print(f"  crun exec               {show(agent['crun_exec_s'])}   ratio {ratio:.2f}")
    return ratio


def show(samples):
    return f"{statistics.median(samples):7.3f} s  ({min(samples):.3f} to {max(samples):.3f})"


def collect(samples, name, value):
    if value is not None:
        samples.setdefault(name, []).extend(value if isinstance(value, list) else [value])


def take_turns(cold, template, samples, parts):
    """Each round has all that is compared, so that whatever else the machine does is in all of it."""
    bundle = {world: world.bundle("true") for world in (cold, template)}
    idle = cold.bundle("sleep", "100000")
    make_files(os.path.join(idle, "rootfs/files.tar"))
    xml = cold.run("xml", "--bundle", bundle[cold], "bench").stdout
    cmdline = re.search("<cmdline>(.*)</cmdline>", xml).group(1)
    for world in (cold, template):
        starts.run(world, bundle[world])  # fills caches
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
        to_init, in_init = raw_qemu(cmdline)
        collect(samples, "raw_s", to_init)
        collect(samples, "init_s", in_init)
        collect(samples, "cold_s", starts.run(cold, bundle[cold]))
        collect(samples, "template_s", starts.run(template, bundle[template]))
        for runtime in ("crun", "runc"):
            collect(samples, f"host_{runtime}_s", on_host(runtime, bundle[cold]))
        for name, values in by_hand(cmdline).items():
            collect(samples, f"guest_{name}", values)
        assert cold.run_attached("run", "--detach", "--bundle", idle, "bench").returncode == 0
        collect(samples, "exec_s", starts.exec_seconds(cold, hand_guest.CRUN_ROUNDS))
        collect(samples, "stdout_mb_s", starts.stdout_mb_s(cold, hand_guest.PORT_MIB))
        collect(samples, "untar_s", starts.untar_seconds(cold, number))
        cold.run("delete", "--force", "bench")
        for name, seconds in phases(cold, bundle[cold]).items():
            collect(parts, name, seconds)


def compare(samples, many):
    """What the issue of speed is judged by; nothing where a sample is missing."""
    middle = {name: statistics.median(values) for name, values in samples.items()}
    found = {"cold_over_raw": middle["cold_s"] / middle["raw_s"],
             "cold_over_floor": middle["cold_s"] / (middle["raw_s"] + middle["guest_crun_run"]),
             "template_over_cold": middle["template_s"] / middle["cold_s"],
             "exec_over_crun_exec": middle["exec_s"] / middle["guest_crun_exec"],
             "stdout_over_raw": middle["stdout_mb_s"] / middle["guest_port_mb_s"]}
    if "guest_untar" in middle:
        found["untar_over_plain_virtiofsd"] = middle["untar_s"] / middle["guest_untar"]
    if 1 in many:
        found.update({f"{count}_at_once_over_one": seconds / many[1] for count, seconds in many.items() if count > 1})
    return found


def print_figures(samples, parts, ratios):
    for name, values in samples.items():
        unit = "MB/s" if name.endswith("mb_s") else "s"
        print(f"{name:20s} {statistics.median(values):9.3f} {unit:4}  ({min(values):.3f} to {max(values):.3f})")
    print("phases of a cold run through the library:")
    for name, values in parts.items():
        print(f"  {name:18s}      {show(values)}")
    print("ratios:")
    for name, ratio in ratios.items():
        print(f"  {name:28s} {ratio:6.2f}{WANTED.get(name, '')}")


def main():
    kata_cli.require_guests()
    samples, parts = {}, {}
    cold, template, small = starts.make_world(False), starts.make_world(True), starts.make_world(True, 128)
    try:
        take_turns(cold, template, samples, parts)
        many = starts.at_once(template, template.bundle("true"))
        memory, marginal = starts.memory(small)
        dirty, client = private_dirty(cold), client_call(cold)
    finally:
        for world in (cold, template, small):
            world.close()
    agent = measure_agent()
    ratios = compare(samples, many)
    print_figures(samples, parts, ratios)
    for count, seconds in many.items():
        print(f"{count} from the template at once: {seconds:.3f} s each")
    print("memory of an idle guest of 128 MiB from a template (PSS): " +
          ", ".join(f"{name} {size:.1f} MiB" for name, size in sorted(memory.items())))
    if marginal is not None:
        print(f"each further one costs {marginal:.1f} MiB; at most 90 wanted")
    print("private dirty memory beside QEMU, idle: " +
          ", ".join(f"{name} {size} KiB" for name, size in sorted(dirty.items())) +
          f"; together {sum(dirty.values()) / 1024:.1f} MiB, at most 12 wanted")
    print(f"a client's call: median {client['median_us']} us, 99 % below {client['p99_us']} us; at most 150 wanted")
    if agent is not None:
        ratios["exec_over_crun"] = print_agent(agent)
    with open("bench.json", "w", encoding="utf-8") as out:
        json.dump({"ratios": ratios, "samples": samples, "phases_s": parts, "at_once_s": many, "memory_mib": memory,
                   "marginal_mib": marginal, "private_dirty_kib": dirty, "client_us": client, "agent": agent}, out,
                  indent=1)


if __name__ == "__main__":
    main()
