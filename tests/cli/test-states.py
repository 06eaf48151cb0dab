#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each command in each wrong state, two commands at the same moment, and commands that are killed in the middle."""
import os
import signal
import subprocess
import time

import kata_cli

TAKEN = "container with given ID already exists"
UNSAVED = "QEMU cannot save a machine that has a virtio-fs device"
ARGUMENTS = {
    "exec": ["exec", "c1", "true"], "kill": ["kill", "c1", "0"], "events": ["events", "--stats", "c1"],
    "update": ["update", "--pids-limit", "100", "c1"], "ps": ["ps", "c1"],
}
# Command -> what it says, None: it succeeds; the commands that are left out would change the state.
STATES = {
    "created": {"resume": "container not paused", "exec": None, "kill": None, "events": None, "update": None, "ps": None,
                "checkpoint": "Container cannot be checkpointed in created state", "create": TAKEN, "run": TAKEN,
                "restore": TAKEN, "state": None},
    "running": {"start": "cannot start an already running container", "resume": "container not paused", "exec": None,
                "kill": None, "events": None, "update": None, "ps": None, "checkpoint": UNSAVED, "create": TAKEN,
                "run": TAKEN, "restore": TAKEN, "state": None,
                "delete": "cannot delete container c1 that is not stopped: running"},
    "paused": {"start": "cannot start a container in the paused state", "pause": "container not running",
               "exec": "cannot exec in a paused container (use --ignore-paused to override)", "kill": None,
               "events": None, "update": None, "ps": None, "checkpoint": UNSAVED, "create": TAKEN, "run": TAKEN,
               "restore": TAKEN, "state": None, "delete": "cannot delete container c1 that is not stopped: paused"},
    "stopped": {"start": "cannot start a container that has stopped", "pause": "container not running",
                "resume": "container not paused", "exec": "cannot exec in a stopped container",
                "kill": "container not running", "events": "container with id c1 is not running",
                "update": "container not running", "ps": None,
                "checkpoint": "Container cannot be checkpointed in stopped state", "create": TAKEN, "run": TAKEN,
                "restore": TAKEN, "state": None},
}


class States(kata_cli.CliTest):
    def try_all(self, state):
        self.assertEqual(self.world.state("c1")["status"], state)
        for command, text in STATES[state].items():
            args = ARGUMENTS.get(command, [command, "c1"])
            if command in ("create", "run"):
                args = [command, "--bundle", self.path, "c1"]
            if text is None:
                self.ok(*args)
            else:
                self.fails(text, *args, status=255 if command == "exec" else 1)
            self.assertEqual(self.world.state("c1")["status"], state, f"after {command}")

    def test_each_command_in_each_state(self):
        self.path = self.world.bundle("sleep", "1000")
        self.ok("create", "--bundle", self.path, "c1")
        self.try_all("created")
        self.ok("pause", "c1")
        self.assertEqual(self.world.state("c1")["status"], "paused")
        self.ok("resume", "c1")
        self.ok("start", "c1")
        self.try_all("running")
        self.ok("pause", "c1")
        self.try_all("paused")
        self.ok("kill", "c1", "KILL")
        self.world.wait_status("c1", "stopped")
        self.try_all("stopped")
        self.ok("delete", "c1")


class AtOnce(kata_cli.CliTest):
    def together(self, *commands):
        """(status, words) of each; all have been started before the first is waited for."""
        started = [self.world.start(*args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                    text=True) for args in commands]
        results = []
        for process in started:
            words = process.communicate(timeout=kata_cli.PATIENCE)[1]
            results.append((process.returncode, words))
        return results

    def test_a_container_s_life(self):
        bundle = self.world.bundle("sleep", "1000")
        # A detached container holds the standard error it was given: one that is made here must have none of ours.
        with open(os.devnull, "wb") as null:
            makers = [self.world.start("create", "-b", bundle, "c1", stdin=null, stdout=null, stderr=null)
                      for _ in range(3)]
            self.assertEqual(sorted(maker.wait(kata_cli.PATIENCE) for maker in makers), [0, 1, 1])
        self.assertEqual(self.world.state("c1")["status"], "created")
        results = self.together(["start", "c1"], ["start", "c1"], ["start", "c1"])
        self.assertEqual(sorted(status for status, _ in results), [0, 1, 1], results)
        for status, words in results:
            self.assertEqual("cannot start an already running container" in words, status == 1, results)
        results = self.together(["pause", "c1"], ["pause", "c1"], ["state", "c1"], ["ps", "c1"], ["events", "--stats", "c1"])
        self.assertIn(0, [status for status, _ in results[:2]])
        self.assertEqual([status for status, _ in results[2:]], [0, 0, 0], results)
        self.ok("resume", "c1")
        results = self.together(*[["exec", "c1", "true"]] * 4, ["update", "--pids-limit", "50", "c1"],
                                ["update", "--pids-limit", "60", "c1"])
        self.assertEqual([status for status, _ in results], [0] * 6, results)
        results = self.together(["delete", "--force", "c1"], ["delete", "--force", "c1"], ["exec", "c1", "sleep", "100"],
                                ["kill", "c1", "9"], ["delete", "--force", "c1"])
        self.assertEqual([results[0][0], results[1][0], results[4][0]], [0, 0, 0], results)
        self.assertNotEqual(results[2][0], 0)

    def test_delete_while_it_is_made(self):
        bundle = self.world.bundle("sleep", "1000")
        for moment in (0.05, 0.5, 1.5):
            with open(os.devnull, "wb") as null:
                maker = self.world.start("create", "-b", bundle, "c1", stdin=null, stdout=null, stderr=null)
            time.sleep(moment)  # at any moment: nothing is left whoever wins
            self.ok("delete", "--force", "c1")
            maker.wait(kata_cli.PATIENCE)
            self.ok("delete", "--force", "c1")
            self.world.assert_nothing_left(60)


class KilledInTheMiddle(kata_cli.CliTest):
    def kill_at(self, moment, *args):
        with open(os.devnull, "wb") as null:
            process = self.world.start(*args, stdin=null, stdout=null, stderr=null)
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
            process.wait()

    def test_start_exec_pause_and_delete(self):
        bundle = self.world.bundle("sleep", "1000")
        self.ok("create", "--bundle", bundle, "c1")
        self.kill_at(0.01, "start", "c1")
        kata_cli.wait_for(lambda: self.world.run("start", "c1").returncode in (0, 1)
                          and self.world.state("c1")["status"] == "running", "the start")
        for moment in (0.005, 0.02, 0.1, 0.4):
            self.kill_at(moment, "exec", "c1", "sleep", "54321")
            self.kill_at(moment, "exec", "--detach", "c1", "true")
            self.kill_at(moment / 10, "ps", "c1")
        kata_cli.wait_for(lambda: "54321" not in self.ok("ps", "c1"), "processes whose exec was killed to go")
        self.kill_at(0.01, "pause", "c1")
        # What the killed command had asked for may come later than what is asked for now.
        kata_cli.wait_for(lambda: self.world.run("resume", "c1").returncode in (0, 1)
                          and self.world.run_attached("exec", "c1", "true").returncode == 0, "the container to go on")
        self.assertEqual(self.ok("exec", "c1", "echo", "fine"), "fine\n")
        for moment in (0.01, 0.05, 0.2):
            self.kill_at(moment, "delete", "--force", "c1")
        self.ok("delete", "--force", "c1")

    def test_a_pid_file_that_cannot_be_written(self):
        """The last step fails: all before it is undone."""
        self.fails("cannot write the pid file: ", "create", "--bundle", self.world.bundle("sleep", "1000"), "--pid-file",
                   self.world.path("none/pid"), "c1")
        self.world.assert_nothing_left(60)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
