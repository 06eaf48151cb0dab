#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a cold container in a virtual machine costs over the bare machine: raw QEMU to the guest's first process, and
a whole run through libkata, in turn on the same kernel and image; and what the agent does in a second, as a process of
this host, its exec in turn with crun's. Prints medians, phases and ratios, and writes bench.json. `make bench` runs it; BENCH_ROUNDS says how often."""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))
import kata_cli  # pylint: disable=wrong-import-position

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
READY = re.compile(rb"kata-agent: ready, process 1 began at ([0-9.]+) s, now ([0-9.]+) s")


def raw_qemu(cmdline):
    """Seconds from exec to the guest's first process, and from there to the agent being ready."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        command = ["/usr/bin/qemu-system-x86_64", "-machine", "q35,usb=off,vmport=off,smm=off", "-accel", "tcg", "-cpu", "max",
                   "-m", "256", "-bios", "/usr/share/qemu/qboot.rom", "-display", "none", "-nodefaults", "-no-user-config",
                   "-no-hpet", "-kernel", kata_cli.KERNEL, "-initrd", kata_cli.INITRD,
                   "-append", cmdline, "-serial", "stdio", "-device", "virtio-serial-pci",
                   "-chardev", f"socket,id=a,path={folder}/a.sock,server=on,wait=off",
                   "-device", "virtserialport,chardev=a,name=kata.agent.0"]
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


def kata_run(world, bundle):
    begin = time.monotonic()
    done = world.run("run", "--bundle", bundle, "bench")
    assert done.returncode == 0, done
    return time.monotonic() - begin


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


def main():
    kata_cli.require_guests()
    raw, init, run, parts = [], [], [], {}
    world = kata_cli.World()
    try:
        bundle = world.bundle("true")
        xml = world.run("xml", "--bundle", bundle, "bench").stdout
        cmdline = re.search("<cmdline>(.*)</cmdline>", xml).group(1)
        kata_run(world, bundle)
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
            to_init, in_init = raw_qemu(cmdline)
            raw.append(to_init)
            init.append(in_init)
            run.append(kata_run(world, bundle))
            for name, seconds in phases(world, bundle).items():
                parts.setdefault(name, []).append(seconds)
        memory = private_dirty(world)
        client = client_call(world)
    finally:
        world.close()
    over = [total - floor for total, floor in zip(run, raw)]
    print(f"raw QEMU to process 1     {show(raw)}")
    print(f"process 1 to agent ready  {show(init)}")
    print(f"katactl run true          {show(run)}")
    print(f"over raw QEMU             {show(over)}   at most 1.2 s wanted")
    print("phases of a run through the library:")
    for name, samples in parts.items():
        print(f"  {name:18s}      {show(samples)}")
    print("private dirty memory beside QEMU, idle: " +
          ", ".join(f"{name} {size} KiB" for name, size in sorted(memory.items())) +
          f"; together {sum(memory.values()) / 1024:.1f} MiB, at most 12 wanted")
    print(f"a client's call           median {client['median_us']} us, 99 % below {client['p99_us']} us; at most 150 wanted")
    ratios = {"cold_over_raw": statistics.median(total / floor for total, floor in zip(run, raw))}
    agent = measure_agent()
    if agent is not None:
        ratios["exec_over_crun"] = print_agent(agent)
    with open("bench.json", "w", encoding="utf-8") as out:
        json.dump({"ratios": ratios, "raw_s": raw, "init_s": init, "run_s": run, "phases_s": parts,
                   "private_dirty_kib": memory, "client_us": client, "agent": agent}, out, indent=1)


if __name__ == "__main__":
    main()
