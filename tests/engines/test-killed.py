#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Podman, conmon and katactl killed in the middle of what they do for a container: "podman rm --force" cleans up, and
nothing is left on the host. The moments are those of a seed, which a failure names: KATA_TEST_SEED=N repeats it."""
import os
import random
import signal
import subprocess
import time

import engines
from engines import IMAGE, EngineTest, EngineWorld, Podman, wait_for

SEED = int(os.environ.get("KATA_TEST_SEED") or random.randrange(1 << 32))
# What is named by the beginning of its command line.
VICTIMS = {"podman": "podman ", "conmon": "/usr/bin/conmon ", "katactl": f"{engines.kata_cli.KATACTL} "}
# A guest's start takes this long, about; where none is made all is over sooner.
LONG, SHORT = 4.0, 1.0


class Killed(EngineTest):
    @classmethod
    def setUpClass(cls):
        cls.shared = EngineWorld()
        cls.addClassCleanup(cls.shared.close)
        cls.podman = Podman(cls.shared)
        cls.random = random.Random(SEED)

    def setUp(self):
        self.faults_before = self.count_faults()
        self.world = self.shared

    def find(self, victim):
        for pid, line in self.world.processes():
            if line.startswith(VICTIMS[victim]) and (victim != "katactl" or "--bundle" in line.split()):
                yield pid

    def kill_in(self, command, victim, patience):
        """Starts podman, and kills what is there of the victim after a while."""
        moment = self.random.uniform(0, patience)
        print(f"seed {SEED}: podman {command[0]}: {victim} killed after {moment:.2f} s")
        with open(os.devnull, "wb") as null:
            process = subprocess.Popen(self.podman.command(*command), env=self.world.engine_env, stdin=null, stdout=null,
                                       stderr=null)
        time.sleep(moment)
        for pid in list(self.find(victim)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if victim != "podman":
            process.wait(engines.PATIENCE)
        else:
            process.kill()
            process.wait()

    def end_what_podman_forgot(self):
        """Podman 4.3 forgets a container without a signal to it when conmon and then its own "podman stop" were killed:
        under runc as under katactl it runs on, where the runtime's list shows it."""
        for container in self.world.run("list", "--quiet").stdout.split():
            if self.world.state(container)["status"] == "running":
                print(f"podman forgot a running container: {container}")
                self.world.run("kill", container, "KILL")

    def clean_up(self, forgets=False):
        """As a user would: what a first try does not remove, since something of it is still going on, a later one does."""
        def is_removed():
            self.podman.run("rm", "--force", "--time", "0", "k")
            return self.podman.run("container", "exists", "k").returncode == 1
        wait_for(is_removed, "podman to forget the container", 60)
        if forgets:
            self.end_what_podman_forgot()
        # Podman 4.3 does not delete a container whose conmon is gone; it costs no guest any more, and can be deleted.
        wait_for(lambda: not [line for _, line in self.world.processes() if "qemu" in line or "virtiofsd" in line],
                 "the guest to go", 60)
        for container in self.world.run("list", "--quiet").stdout.split():
            self.assertEqual(self.world.state(container)["status"], "stopped")
            self.ok("delete", container)
        self.world.assert_nothing_left(60)

    def test_create(self):
        for victim in ("podman", "conmon", "katactl"):
            with self.subTest(victim=victim, seed=SEED):
                self.kill_in(["run", "-d", "--name", "k", "--network", "none", IMAGE, "sleep", "1000"], victim, LONG)
                self.clean_up()

    def test_what_a_container_lives_through(self):
        podman = self.podman
        for command, victim in ((["exec", "k", "sleep", "2"], "podman"), (["exec", "k", "sleep", "2"], "conmon"),
                                (["stop", "--time", "5", "k"], "podman"), (["rm", "--force", "--time", "0", "k"], "podman")):
            with self.subTest(command=command[0], victim=victim, seed=SEED):
                if podman.run("container", "exists", "k").returncode == 1:
                    podman.ok("run", "-d", "--name", "k", "--network", "none", IMAGE, "sleep", "1000")
                self.kill_in(command, victim, SHORT)
        self.clean_up(forgets=True)


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("podman", "conmon"))
