#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Terminals: sent through a console socket, and katactl's own."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import kata_cli


def set_size(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read_until(fd, pattern, seconds=kata_cli.PATIENCE):
    """What comes until pattern was seen; None: until the end."""
    seen = b""
    end = time.monotonic() + seconds
    while pattern is None or not re.search(pattern, seen):
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        if not ready:
            raise AssertionError(f"waited {seconds} s for {pattern}, saw {seen}")
        try:
            chunk = os.read(fd, 65536)
        except OSError:  # EIO: the last slave is closed
            chunk = b""
        if not chunk:
            if pattern is None:
                return seen
            raise AssertionError(f"the terminal ended before {pattern}, saw {seen}")
        seen += chunk
    return seen


def start_on_terminal(world, *args):
    """katactl in a session of its own whose terminal we hold the master of."""
    pid, master = pty.fork()
    if pid == 0:
        os.execve(kata_cli.KATACTL, ["katactl", *args], world.env)
    return pid, master


def finish(pid, master):
    """What comes to the end, and the exit status."""
    rest = read_until(master, None)
    os.close(master)
    return rest, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def press_until(master, key, done):
    """Presses a key, and again each second until that has had its effect."""
    os.write(master, key)
    while not done.wait(1):
        os.write(master, key)


class Created(kata_cli.CliTest):
    def test_create(self):
        kata_cli.become_subreaper()
        bundle = self.world.bundle("sh", "-c", "stty size; until [ \"$(stty size)\" = \"22 77\" ]; do "
                                   "sleep 0.1; done; read line; echo got $line; stty size; exit 5", terminal=True)
        pid_file = self.world.path("pid")
        console = kata_cli.DescriptorSocket(self.world.path("console.sock"))
        maker = self.world.start("create", "--bundle", bundle, "--pid-file", pid_file, "--console-socket",
                                 self.world.path("console.sock"), "c1", stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL)
        master, _ = console.receive()
        set_size(master, 101, 33)
        self.assertEqual(maker.wait(kata_cli.PATIENCE), 0)
        with open(pid_file, encoding="utf-8") as file:
            pid = int(file.read())
        self.ok("start", "c1")
        read_until(master, b"33 101\r\n")
        set_size(master, 77, 22)
        os.write(master, b"hello\n")
        rest = read_until(master, None)
        os.close(master)
        # The guest's terminal echoes what was typed.
        self.assertIn(b"hello\r\ngot hello\r\n22 77\r\n", rest)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 5)
        self.ok("delete", "c1")


class OnOneContainer(kata_cli.OneContainerTest):
    def test_detached_exec_and_hang_up(self):
        kata_cli.become_subreaper()
        pid_file = self.world.path("pid")
        console = kata_cli.DescriptorSocket(self.world.path("console.sock"))
        maker = self.world.start("exec", "-d", "-t", "--pid-file", pid_file, "--console-socket",
                                 self.world.path("console.sock"), "c1", "sh", "-c", "tty; echo ready; sleep 1000",
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        master, _ = console.receive()
        self.assertEqual(maker.wait(kata_cli.PATIENCE), 0)
        self.assertRegex(read_until(master, b"ready\r\n"), rb"/dev/(pts/\d+|console)\r\n")
        with open(pid_file, encoding="utf-8") as file:
            pid = int(file.read())
        os.close(master)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 128 + signal.SIGHUP)

    def test_exec(self):
        """Its size is katactl's terminal's from the start, and follows it."""
        pid, master = start_on_terminal(self.world, "exec", "-t", "c1", "sh", "-c", "until [ \"$(stty size)\" = \"31 91\" ]; do "
                                        "sleep 0.1; done; trap 'stty size' WINCH; echo sized; until [ \"$(stty size)\" = \"20 70\" ]; "
                                        "do sleep 0.1; done; echo ready; cat; exit 4")
        set_size(master, 91, 31)
        read_until(master, b"sized\r\n")
        set_size(master, 70, 20)
        # The process is told by a signal.
        self.assertIn(b"20 70\r\n", read_until(master, b"ready\r\n"))
        os.write(master, b"text\n\x04")
        rest, status = finish(pid, master)
        self.assertIn(b"text\r\ntext\r\n", rest)
        self.assertEqual(status, 4)

    def test_exec_without_a_terminal_in_the_guest(self):
        """The terminal stays cooked: Ctrl-C becomes a signal that is passed on, Ctrl-D an end of file."""
        pid, master = start_on_terminal(self.world, "exec", "c1", "sh", "-c", "trap 'echo caught; exit 6' INT; "
                                        "echo ready; while :; do sleep 0.1; done")
        read_until(master, b"ready\r\n")
        os.write(master, b"\x03")
        rest, status = finish(pid, master)
        self.assertIn(b"caught", rest)
        self.assertEqual(status, 6)
        pid, master = start_on_terminal(self.world, "exec", "c1", "sh", "-c", "echo ready; wc -c")
        read_until(master, b"ready\r\n")
        os.write(master, b"12345\n\x04")
        rest, status = finish(pid, master)
        self.assertIn(b"6\r\n", rest)
        self.assertEqual(status, 0)


class OwnTerminal(kata_cli.CliTest):
    def test_run(self):
        """Typed characters go through, Ctrl-C is the guest's, the size follows, the mode comes back."""
        script = ("trap 'echo caught' INT; echo ready; until read line; do :; done; echo got $line; "
                  "until [ \"$(stty size)\" = \"31 91\" ]; do sleep 0.1; done; read line; stty size; exit 3")
        pid, master = start_on_terminal(self.world, "run", "--bundle", self.world.bundle("sh", "-c", script, terminal=True),
                                             "c1")
        set_size(master, 90, 30)
        before = termios.tcgetattr(master)
        read_until(master, b"ready\r\n")
        self.assertFalse(termios.tcgetattr(master)[3] & termios.ECHO)
        # A signal that comes just before the shell waits for a line is looked at only after that line, or the next signal.
        caught = threading.Event()
        presses = threading.Thread(target=press_until, args=(master, b"\x03", caught))
        presses.start()
        read_until(master, b"caught\r\n")
        caught.set()
        presses.join()
        os.write(master, b"one\n")
        read_until(master, b"got one\r\n")
        set_size(master, 91, 31)
        os.write(master, b"two\n")
        read_until(master, b"31 91\r\n")
        kata_cli.wait_for(lambda: termios.tcgetattr(master)[3] & termios.ECHO, "the mode to come back")
        self.assertEqual(termios.tcgetattr(master)[3], before[3])
        self.assertEqual(finish(pid, master)[1], 3)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
