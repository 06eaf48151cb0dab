#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The process that stands for a container on the host, seen as conmon and containerd's shims see it."""
import glob
import os
import select
import signal
import socket
import subprocess

import kata_cli


class Monitor(kata_cli.CliTest):
    def setUp(self):
        super().setUp()
        kata_cli.become_subreaper()
        self.pid_file = self.world.path("pid")

    def create(self, *args, **options):
        bundle = self.world.bundle(*args)
        options.setdefault("stdout", subprocess.DEVNULL)
        maker = self.world.start("create", "--bundle", bundle, "--pid-file", self.pid_file, "c1",
                                 stdin=subprocess.DEVNULL, **options)
        self.assertEqual(maker.wait(kata_cli.PATIENCE), 0)
        with open(self.pid_file, "rb") as file:
            text = file.read()
        self.assertRegex(text, rb"^\d+$")
        return int(text)

    def wait(self, pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def parent_of(self, pid):
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])

    def test_exit_status(self):
        pid = self.create("sh", "-c", "exit 42")
        self.assertEqual(self.parent_of(pid), os.getpid())
        self.assertEqual((os.getsid(pid), os.getpgid(pid)), (pid, pid))
        self.assertEqual(self.world.state("c1")["pid"], pid)
        self.ok("start", "c1")
        self.assertEqual(self.wait(pid), 42)
        self.assertEqual(self.world.state("c1")["status"], "stopped")
        self.ok("delete", "c1")

    def test_what_callers_are_told_last(self):
        """The pid file comes last, whole: who sees it finds the container made, its terminal and pidfd sent."""
        terminal = kata_cli.DescriptorSocket(self.world.path("console.sock"))
        process = kata_cli.DescriptorSocket(self.world.path("pidfd.sock"))
        # Somebody else waits to be let in, and there is no room for two.
        process.listener.listen(0)
        before = socket.socket(socket.AF_UNIX)
        before.connect(self.world.path("pidfd.sock"))
        bundle = self.world.bundle("sh", "-c", "exit 3", terminal=True)
        maker = self.world.start("create", "--bundle", bundle, "--pid-file", self.pid_file, "--console-socket",
                                 self.world.path("console.sock"), "--pidfd-socket", self.world.path("pidfd.sock"), "c1",
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        master, _ = terminal.receive()
        kata_cli.wait_for(lambda: self.world.run("state", "c1").returncode == 0, "the container")
        self.assertEqual(self.world.state("c1")["status"], "created")
        self.assertFalse(os.path.exists(self.pid_file))
        self.assertIsNone(maker.poll())
        process.listener.accept()[0].close()
        before.close()
        pidfd, _ = process.receive()
        kata_cli.wait_for(lambda: os.path.exists(self.pid_file), "the pid file")
        with open(self.pid_file, encoding="ascii") as file:
            pid = int(file.read())
        self.assertEqual(kata_cli.pid_of(pidfd), pid)
        self.assertEqual(maker.wait(kata_cli.PATIENCE), 0)
        self.assertEqual(sorted(name for name in os.listdir(self.world.base) if "pid" in name), ["pid", "pidfd.sock"])
        self.ok("start", "c1")
        self.assertEqual(self.wait(pid), 3)
        self.assertTrue(select.select([pidfd], [], [], 0)[0])
        os.close(master)
        os.close(pidfd)
        self.ok("delete", "c1")

    def test_signals_are_passed_on(self):
        output = self.world.path("out")
        with open(output, "w", encoding="utf-8") as file:
            pid = self.create("sh", "-c", "trap 'echo usr1' USR1; trap 'echo hup' HUP; trap 'exit 9' TERM; echo up; "
                              "while :; do sleep 0.1; done", stdout=file)
        self.ok("start", "c1")

        def said(word):
            with open(output, encoding="utf-8") as file:
                return word in file.read()

        kata_cli.wait_for(lambda: said("up"), "the container to be up")
        os.kill(pid, signal.SIGUSR1)
        kata_cli.wait_for(lambda: said("usr1"), "SIGUSR1")
        os.kill(pid, signal.SIGHUP)
        kata_cli.wait_for(lambda: said("hup"), "SIGHUP")
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(self.wait(pid), 9)
        self.ok("delete", "c1")

    def check_view(self, pid):
        """Who joins its mount namespace is in the container's files, and sees no process of the host."""
        command = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "/bin/sh", "-c", "echo /*; echo /proc/[0-9]*; echo x >/tmp/joined"]
        joined = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": "/bin"})
        self.assertEqual(joined.stdout, f"/bin /dev /etc /proc /tmp\n/proc/{pid}\n")
        self.assertEqual(self.ok("exec", "c1", "cat", "/tmp/joined"), "x\n")

    def test_its_death_kills_the_container(self):
        pid = self.create("sleep", "1000")
        self.ok("start", "c1")
        self.check_view(pid)
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.wait(pid), -signal.SIGKILL)
        self.world.wait_status("c1", "stopped")
        self.ok("delete", "c1")

    def pipes_of(self, pid):
        held = [os.readlink(link) for link in glob.glob(f"/proc/{pid}/fd/*") if os.path.islink(link)]
        return [name for name in held if name.startswith("pipe:")]

    def test_it_holds_only_the_streams(self):
        read_end, write_end = os.pipe()
        other_read, other_write = os.pipe()
        pid = self.create("sh", "-c", "echo text", stdout=write_end, stderr=subprocess.DEVNULL,
                          pass_fds=[other_write])
        os.close(write_end)
        os.close(other_write)
        self.assertEqual(os.read(other_read, 1), b"")
        os.close(other_read)
        kata_cli.wait_for(lambda: len(self.pipes_of(pid)) == 1, "all pipes but the container's to be closed")
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        self.ok("start", "c1")
        with os.fdopen(read_end, "rb") as file:
            self.assertEqual(file.read(), b"text\n")
        self.assertEqual(self.wait(pid), 0)
        self.ok("delete", "c1")

    def test_failed_create_leaves_none(self):
        bundle = self.world.bundle("/bin/none")
        result = self.world.run("run", "-d", "--bundle", bundle, "--pid-file", self.pid_file, "c1")
        self.assertEqual(result.returncode, 1)
        self.assertFalse(os.path.exists(self.pid_file))
        bundle = self.world.bundle("true")
        self.fails("cannot write the pid file", "create", "--bundle", bundle, "--pid-file", self.world.path("none/pid"),
                   "c1")


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
