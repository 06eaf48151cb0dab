#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""katactl is killed while its container is there: what nobody can ask for any more goes by itself, the rest stays as
with runc."""
import glob
import os
import signal
import socket
import subprocess
import time

import kata_cli

GONE_WITHIN = 40


class KilledRunning(kata_cli.CliTest):
    def run_foreground(self, *args, flags=()):
        bundle = self.world.bundle("sh", "-c", *args)
        client = self.world.start("run", *flags, "--bundle", bundle, "c1", stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(client.stdout.close)
        return client

    def kill(self, client):
        client.kill()
        client.wait()

    def test_foreground_run(self):
        client = self.run_foreground("echo up; trap '' TERM; sleep 1000 & wait")
        self.assertEqual(client.stdout.readline(), b"up\n")
        self.kill(client)
        self.world.assert_nothing_left(GONE_WITHIN)

    def test_foreground_run_that_is_paused(self):
        client = self.run_foreground("echo up; sleep 1000")
        self.assertEqual(client.stdout.readline(), b"up\n")
        self.ok("pause", "c1")
        self.kill(client)
        self.world.assert_nothing_left(GONE_WITHIN)

    def test_foreground_run_while_it_deletes(self):
        """Stopped at the container's end, so that the moment is between the end and the last call, whichever it is."""
        for delay in (0, 0.05, 0.2):
            with self.subTest(delay=delay):
                client = self.run_foreground("echo up; sleep 0.5")
                self.assertEqual(client.stdout.readline(), b"up\n")
                client.stdout.read()  # ends with the container
                time.sleep(delay)
                self.kill(client)
                self.world.assert_nothing_left(GONE_WITHIN)

    def test_foreground_run_and_owner(self):
        """Nobody is left to clean up, but the next command that asks finds nothing running and removes all."""
        client = self.run_foreground("echo up; sleep 1000")
        self.assertEqual(client.stdout.readline(), b"up\n")
        with open(glob.glob(os.path.join(self.world.root, "s/*/owner.pid"))[0], encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        self.kill(client)
        self.world.run("state", "c1")
        self.world.assert_nothing_left(GONE_WITHIN)

    def test_foreground_run_that_keeps(self):
        client = self.run_foreground("echo up; sleep 1000", flags=["--keep"])
        self.assertEqual(client.stdout.readline(), b"up\n")
        self.kill(client)
        self.world.wait_status("c1", "stopped")
        self.ok("delete", "c1")

    def test_delete(self):
        """The sandbox goes although the one who took its last container never came to say so."""
        self.ok("run", "-d", "--bundle", self.world.bundle("sleep", "1000"), "c1")
        self.ok("kill", "c1", "KILL")
        self.world.wait_status("c1", "stopped")
        link = os.path.join(self.world.root, "c/c1")
        client = self.world.start("delete", "c1", stdin=subprocess.DEVNULL)
        kata_cli.wait_for(lambda: not os.path.lexists(link), "the container to be gone")
        self.kill(client)
        self.world.assert_nothing_left(GONE_WITHIN)

    def listen_to_nobody(self):
        """A socket whose queue is full: who connects to it waits."""
        path = self.world.path("socket")
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(path)
        server.listen(0)
        try:
            while True:
                client = socket.socket(socket.AF_UNIX)
                self.addCleanup(client.close)
                client.setblocking(False)
                client.connect(path)
        except BlockingIOError:
            return path

    def test_detached_before_anybody_is_told(self):
        """The container is there, but its pid has not been told to anybody: create and run -d both wait for that."""
        path = self.listen_to_nobody()
        for command in (["create"], ["run", "--detach"]):
            with self.subTest(command=command):
                client = self.world.start(*command, "--pidfd-socket", path, "--bundle",
                                          self.world.bundle("sleep", "1000"), "c1", stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL)
                kata_cli.wait_for(lambda: self.world.run("state", "c1").returncode == 0, "the container")
                self.kill(client)
                self.world.assert_nothing_left(GONE_WITHIN)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
