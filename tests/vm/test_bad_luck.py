#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever is killed, and whenever: everybody gets an answer, nothing is left, and other sandboxes do not notice."""
import os
import signal
import subprocess
import time

from harness import World, main, wait_for


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def owner_pid(world):
    try:
        with open(f"{world.sandbox_dir()}/owner.pid", encoding="ascii") as source:
            return int(source.read() or 0)
    except (OSError, ValueError):
        return 0


def console_says(world, size):
    try:
        return os.path.getsize(f"{world.sandbox_dir()}/console.log") >= size
    except OSError:
        return False


# Moments of a start, in their order, each as a condition to wait for.
MOMENTS = {
    "owner": owner_pid,
    "virtiofsd": lambda world: world.find_process("virtiofsd"),
    "qemu": lambda world: world.find_process("qemu-system"),
    "agent": lambda world: console_says(world, 1),
}

VICTIMS = {
    "katactl": lambda world, client: client.pid,
    "owner": lambda world, client: owner_pid(world),
    "qemu": lambda world, client: world.find_process("qemu-system"),
    "virtiofsd": lambda world, client: world.find_process("virtiofsd"),
}


def kill_during_start(victim, moment):
    with World() as world:
        bundle = world.bundle(["sleep", "100"])
        client = world.start("create", "--bundle", bundle, "c1", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        wait_for(lambda: MOMENTS[moment](world), 10, f"the moment '{moment}'")
        pid = VICTIMS[victim](world, client)
        assert pid, f"no {victim} at the moment '{moment}'"
        begin = time.monotonic()
        kill(pid)
        stderr = client.communicate(timeout=30)[1].decode()
        took = time.monotonic() - begin
        assert client.returncode != 0, f"create succeeded without its {victim}"
        if victim != "katactl":
            assert stderr.strip(), "create failed without a word"
        assert took < 10, f"create took {took:.1f} s to notice"
        # What a killed caller could not clean up itself, the next command does.
        world.katactl("delete", "--force", "c1")
        world.assert_nothing_left(5)


def test_killed_while_starting():
    for moment in MOMENTS:
        for victim in VICTIMS:
            if list(MOMENTS).index(moment) < {"katactl": 0, "owner": 0, "virtiofsd": 1, "qemu": 2}[victim]:
                continue
            try:
                kill_during_start(victim, moment)
            except AssertionError as error:
                raise AssertionError(f"{victim} killed at '{moment}': {error}") from error


def kill_while_running(victim):
    with World() as world:
        bundle = world.bundle(["sleep", "100"])
        run = world.start("run", "--bundle", bundle, "c1", stdin=subprocess.DEVNULL)
        wait_for(lambda: world.katactl("state", "c1", check=False).returncode == 0 and
                 world.state("c1")["status"] == "running", 30, "the container to run")
        begin = time.monotonic()
        kill(VICTIMS[victim](world, run))
        status = run.wait(timeout=30)
        took = time.monotonic() - begin
        assert status == 255, f"exit {status} after the {victim} was killed"
        assert took < 2.5, f"{took:.1f} s until the end was noticed"
        world.assert_nothing_left(5)


def test_qemu_killed_while_running():
    kill_while_running("qemu")


def test_virtiofsd_killed_while_running():
    kill_while_running("virtiofsd")


def test_dead_guest_is_stopped_until_deleted():
    with World() as world:
        world.run_detached(world.bundle(["sleep", "100"]), "c1")
        kill(world.find_process("qemu-system"))
        wait_for(lambda: world.state("c1")["status"] == "stopped", 3, "the state to be stopped")
        assert world.state("c1")["pid"] == 0
        assert world.katactl("kill", "c1", check=False).returncode == 1
        world.katactl("delete", "c1")
        world.assert_nothing_left()


def test_owner_killed_is_replaced():
    with World() as world:
        bundle = world.bundle(["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done"])
        out = f"{world.root}/out"
        with open(out, "wb") as sink:
            subprocess.run(world.command("run", "--detach", "--bundle", bundle, "--pid-file", f"{world.root}/pid", "c1"),
                           env=world.env, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, check=True, timeout=60)
        first = owner_pid(world)
        qemu = world.find_process("qemu-system")
        kill(first)
        assert world.state("c1")["status"] == "running"
        assert owner_pid(world) not in (0, first)
        assert world.find_process("qemu-system") == qemu, "the guest was not taken over but replaced"
        done = world.katactl("exec", "c1", "echo", "still here")
        assert done.stdout == b"still here\n", done
        world.katactl("kill", "c1", "TERM")
        wait_for(lambda: world.state("c1")["status"] == "stopped", 5, "the container to stop")
        world.katactl("delete", "c1")
        world.assert_nothing_left()


def test_owner_killed_keeps_the_streams():
    with World() as world:
        bundle = world.bundle(["sh", "-c", "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 5"])
        run = world.start("run", "--bundle", bundle, "c1", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        first = run.stdout.readline()
        assert first == b"line 0\n", first
        kill(owner_pid(world))
        rest = run.stdout.read()
        assert rest.endswith(b"line 59\n"), rest[-100:]
        assert run.wait(timeout=20) == 5
        world.assert_nothing_left(5)


def test_owner_killed_in_the_middle_of_much_data():
    # Frames are under way in both directions nearly all the time: the new owner must find their beginnings again.
    with World() as world:
        world.run_detached(world.bundle(["sleep", "100"]), "c1")
        for _ in range(3):
            flood = world.start("exec", "c1", "cat", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
            noise = world.start("exec", "c1", "cat", "/dev/zero", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 2
            try:
                while time.monotonic() < deadline:
                    flood.stdin.write(b"x" * 65536)
            except BrokenPipeError:
                pass
            kill(owner_pid(world))
            assert world.katactl("exec", "c1", "echo", "in step").stdout == b"in step\n"
            for client in (flood, noise):
                client.kill()
                client.wait()
            try:
                flood.stdin.close()
            except BrokenPipeError:
                pass
        world.katactl("delete", "--force", "c1")
        world.assert_nothing_left(5)


def test_owner_and_guest_killed():
    with World() as world:
        world.run_detached(world.bundle(["sleep", "100"]), "c1")
        kill(owner_pid(world))
        kill(world.find_process("qemu-system"))
        wait_for(lambda: world.state("c1")["status"] == "stopped", 5, "the state to be stopped")
        world.katactl("delete", "--force", "c1")
        world.assert_nothing_left()


def test_host_process_killed_ends_the_container():
    with World() as world:
        pid_file = f"{world.root}/pid"
        world.run_detached(world.bundle(["sleep", "100"]), "c1", "--pid-file", pid_file)
        with open(pid_file, encoding="ascii") as source:
            kill(int(source.read()))
        wait_for(lambda: world.state("c1")["status"] == "stopped", 5, "the container to stop")
        world.katactl("delete", "c1")
        world.assert_nothing_left()


def test_guest_panic():
    with World() as world:
        # The container may write to /proc/sysrq-trigger of its kernel: the guest's.
        config_bundle = world.bundle(["sh", "-c", "sleep 0.5; echo c > /proc/sysrq-trigger; sleep 100"])
        run = world.start("run", "--bundle", config_bundle, "c1", stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert run.wait(timeout=60) == 255
        world.assert_nothing_left(5)


def test_guest_that_never_answers():
    with World('kernel_params = "rdinit=/bin/false-that-is-not-there init=/none panic=0"\n\n[agent.kata]\ndial_timeout = 4') as world:
        begin = time.monotonic()
        done = world.katactl("run", "--bundle", world.bundle(["true"]), "c1", check=False)
        took = time.monotonic() - begin
        text = done.stderr.decode()
        assert done.returncode == 1, done
        assert "did not answer within 4 s" in text, text
        assert "last lines of the guest's console" in text and "Kernel panic" in text, text
        assert took < 10, took
        world.assert_nothing_left(5)


def test_two_sandboxes_do_not_meet():
    with World() as bystander, World() as world:
        bystander.run_detached(bystander.bundle(["sleep", "100"]), "c1")
        world.run_detached(world.bundle(["sleep", "100"]), "c1")
        kill(world.find_process("qemu-system"))
        kill(owner_pid(world))
        world.katactl("delete", "--force", "c1")
        world.assert_nothing_left(5)
        assert bystander.katactl("exec", "c1", "echo", "undisturbed").stdout == b"undisturbed\n"
        bystander.katactl("delete", "--force", "c1")
        bystander.assert_nothing_left(5)


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
