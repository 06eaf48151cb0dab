#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An owner is killed while its guest runs: a new one takes the guest over, streams and exit status included."""
import glob
import os
import signal
import subprocess
import time

import kata_cli


class TakeOver(kata_cli.CliTest):
    def owner(self):
        for path in glob.glob(os.path.join(self.world.root, "s/*/owner.pid")):
            with open(path, encoding="ascii") as file:
                return int(file.read() or 0)
        return 0

    def hypervisor(self):
        return self.world.machines()[0]

    def kill_owner(self):
        pid = self.owner()
        os.kill(pid, signal.SIGKILL)
        return pid

    def test_same_guest_other_owner(self):
        self.ok("run", "--detach", "--bundle",
                self.world.bundle("sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"), "c1")
        before, first = self.hypervisor(), self.kill_owner()
        self.assertEqual(self.world.state("c1")["status"], "running")
        self.assertNotIn(self.owner(), (0, first))
        self.assertEqual(self.hypervisor(), before)
        self.assertEqual(self.ok("exec", "c1", "echo", "still here"), "still here\n")
        self.ok("kill", "c1", "TERM")
        self.world.wait_status("c1", "stopped")
        self.ok("delete", "c1")

    def test_streams_go_on(self):
        bundle = self.world.bundle("sh", "-c", "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 5")
        run = self.world.start("run", "--bundle", bundle, "c1", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.assertEqual(run.stdout.readline(), b"line 0\n")
        self.kill_owner()
        rest = run.stdout.read()
        run.stdout.close()
        self.assertTrue(rest.endswith(b"line 59\n"), rest[-100:])
        self.assertEqual(run.wait(timeout=kata_cli.PATIENCE), 5)

    def test_in_the_middle_of_much_data(self):
        """Frames are under way in both directions nearly all the time: the new owner finds their beginnings again."""
        self.ok("run", "--detach", "--bundle", self.world.bundle("sleep", "1000"), "c1")
        for _ in range(3):
            flood = self.world.start("exec", "c1", "cat", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            noise = self.world.start("exec", "c1", "cat", "/dev/zero", stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(flood.wait)
            self.addCleanup(noise.wait)
            self.addCleanup(flood.kill)
            self.addCleanup(noise.kill)
            os.set_blocking(flood.stdin.fileno(), False)
            end = time.monotonic() + 2
            while time.monotonic() < end:
                try:
                    os.write(flood.stdin.fileno(), b"x" * 65536)
                except (BlockingIOError, BrokenPipeError):
                    time.sleep(0.01)
            self.kill_owner()
            self.assertEqual(self.ok("exec", "c1", "echo", "in step"), "in step\n")
            for client in (flood, noise):
                client.kill()
                client.wait()
            flood.stdin.close()
        self.ok("delete", "--force", "c1")

    def test_guest_gone_as_well(self):
        self.ok("run", "--detach", "--bundle", self.world.bundle("sleep", "1000"), "c1")
        hypervisor = self.hypervisor()
        self.kill_owner()
        os.kill(hypervisor, signal.SIGKILL)
        self.world.wait_status("c1", "stopped")
        self.assertEqual(self.world.state("c1")["pid"], 0)
        self.ok("delete", "c1")

    def test_two_callers_at_once(self):
        """Both find the owner gone; one new owner comes, and both get their answer."""
        self.ok("run", "--detach", "--bundle", self.world.bundle("sleep", "1000"), "c1")
        self.kill_owner()
        callers = [self.world.start("exec", "c1", "echo", str(number), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, text=True) for number in range(4)]
        answers = [caller.communicate(timeout=kata_cli.PATIENCE)[0] for caller in callers]
        self.assertEqual(answers, ["0\n", "1\n", "2\n", "3\n"])
        self.ok("delete", "--force", "c1")


class GuestPanics(kata_cli.CliTest):
    def test_everybody_is_told(self):
        # This kernel is the guest's own, so a container may do to it what it likes.
        bundle = self.world.bundle("sh", "-c", "sleep 0.5; echo c > /proc/sysrq-trigger; sleep 1000")
        result = self.world.run_attached("run", "--bundle", bundle, "c1")
        self.assertEqual(result.returncode, 255, result)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
