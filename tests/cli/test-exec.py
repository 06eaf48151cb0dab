#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""katactl exec in a real guest: one container, many processes."""
import glob
import json
import os
import re
import signal
import subprocess

import kata_cli


class Exec(kata_cli.OneContainerTest):
    settings = [("hypervisor.qemu", "msize_9p", "8192"), ("runtime", "vfio_mode", '"vfio"')]

    def write(self, name, document):
        path = self.world.path(name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        return path

    def test_settings_without_effect_are_told_once(self):
        told = []
        for path in glob.glob(self.world.path("r/s/*/owner.log")):
            with open(path, encoding="utf-8") as file:
                told += [line for line in file if "msize_9p" in line or "vfio_mode" in line]
        self.assertEqual(len(told), 1, told)
        self.assertIn("[hypervisor.qemu] msize_9p (files are shared by virtio-fs)", told[0])
        self.assertIn("[runtime] vfio_mode (devices are not passed through)", told[0])

    def test_in_the_foreground(self):
        result = self.world.run("exec", "c1", "sh", "-c", "echo out; echo err >&2; exit 9")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (9, "out\n", "err\n"))
        self.assertEqual(self.world.run("exec", "c1", "sh", "-c", "kill -15 $$").returncode, 143)
        self.assertEqual(self.ok("exec", "c1", "ls", "-d", "--", "/bin"), "/bin\n")
        self.assertEqual(self.world.run("exec", "c1", "cat", stdin=None, input="to and fro").stdout, "to and fro")

        # What it is started with.
        self.assertEqual(self.ok("exec", "--cwd", "/tmp", "c1", "pwd"), "/tmp\n")
        self.assertEqual(self.ok("exec", "-e", "A=1 2", "--env=B=3", "c1", "sh", "-c", "echo $FROM-$A-$B"),
                         "config-1 2-3\n")
        self.assertEqual(self.ok("exec", "--user", "5:6", "-g", "7", "c1", "sh", "-c", "id -u; id -g; id -G"),
                         "5\n6\n6 7\n")
        path = self.write("process.json", {"args": ["sh", "-c", "echo $X; pwd; exit 4"], "env": ["PATH=/bin", "X=y"],
                                           "cwd": "/etc", "user": {"uid": 0, "gid": 0}})
        result = self.world.run("exec", "--process", path, "c1")
        self.assertEqual((result.returncode, result.stdout), (4, "y\n/etc\n"))

        # As engines send it on hosts with SELinux and AppArmor: it runs, and only the log tells what is not applied.
        path = self.write("labels.json", {"args": ["echo", "runs"], "env": ["PATH=/bin"], "cwd": "/",
                                          "selinuxLabel": "system_u:system_r:container_t:s0:c1,c2",
                                          "apparmorProfile": "profile-of-exec"})
        result = self.world.run("exec", "--process", path, "c1")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "runs\n", ""))
        self.assertIn("process.selinuxLabel 'system_u:system_r:container_t:s0:c1,c2' is left out", self.world.owner_log())
        self.assertIn("process.apparmorProfile 'profile-of-exec' is left out", self.world.owner_log())

        # What cannot be started.
        pid_file = self.world.path("no-pid")
        missing = "(?i)executable file not found in|no such file or directory"
        for command in ("none", "/bin/none"):
            for flags in ([], ["-d", "--pid-file", pid_file]):
                text = self.fails("exec failed: ", "exec", *flags, "c1", command, status=255)
                self.assertRegex(text, missing)
                self.assertFalse(os.path.exists(pid_file))
        self.fails("exec args cannot be empty", "exec", "c1", status=255)
        self.fails("Cwd must be an absolute path", "exec", "--cwd", "x", "c1", "ls", status=255)
        self.fails("bad user 'nobody'", "exec", "--user", "nobody", "c1", "ls", status=255)
        self.fails("exec failed: ", "exec", "--process", self.world.path("none"), "c1", status=255)
        for document in ({}, [], {"args": [], "cwd": "/"}, {"args": ["ls"], "cwd": "x"}, {"args": ["a\0"], "cwd": "/"}):
            self.fails("exec failed: ", "exec", "--process", self.write("bad.json", document), "c1", status=255)
        self.fails("cannot allocate tty if runc will detach without setting console socket", "exec", "-d", "-t", "c1",
                   "sh", status=255)
        self.assertEqual(self.world.state("c1")["status"], "running")

    def guest_memory(self):
        """MiB of the host's memory that the guest has."""
        qemu, = self.world.machines()
        with open(f"/proc/{qemu}/smaps", encoding="ascii", errors="replace") as file:
            found = re.search(r"/memfd:.*\n(?:.*\n)*?Rss: +(\d+)", file.read())
        return int(found[1]) / 1024

    def test_memory_that_was_freed_goes_back(self):
        before = self.guest_memory()
        self.ok("exec", "c1", "dd", "if=/dev/zero", "of=/dev/fill", "bs=1M", "count=100", "status=none")
        filled = self.guest_memory()
        self.assertGreater(filled, 100)
        self.ok("exec", "c1", "rm", "/dev/fill")
        # The kernel tells of it after two seconds.
        kata_cli.wait_for(lambda: self.guest_memory() < min(filled - 80, before + 30), "the memory to go back", 60)

    def test_pidfd(self):
        """A descriptor of the process that stands for the executed one."""
        kata_cli.become_subreaper()
        listener = kata_cli.DescriptorSocket(self.world.path("pidfd.sock"))
        pid_file, output = self.world.path("pid"), self.world.path("pidfd.out")
        with open(output, "w", encoding="utf-8") as file:
            maker = self.world.start("exec", "-d", "--pid-file", pid_file, "--pidfd-socket", self.world.path("pidfd.sock"), "c1",
                                     "sh", "-c", "trap 'exit 11' USR2; echo up; while :; do sleep 0.1; done",
                                     stdin=subprocess.DEVNULL, stdout=file)
        pidfd, _ = listener.receive()
        self.addCleanup(os.close, pidfd)
        self.assertEqual(maker.wait(kata_cli.PATIENCE), 0)
        kata_cli.wait_for(lambda: os.path.getsize(output) > 0, "the process to be up")
        with open(pid_file, encoding="utf-8") as file:
            pid = int(file.read())
        self.assertEqual(kata_cli.pid_of(pidfd), pid)
        signal.pidfd_send_signal(pidfd, signal.SIGUSR2)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 11)

    def test_detached(self):
        """Its pid is a child of the nearest subreaper, ends with its status and passes signals on."""
        kata_cli.become_subreaper()
        pid_file = self.world.path("pid")
        for end, expected in ((lambda pid: None, 6), (lambda pid: os.kill(pid, 15), 8)):
            output = self.world.path(f"out{expected}")
            with open(output, "w", encoding="utf-8") as file:
                maker = self.world.start("exec", "--detach", "--pid-file", pid_file, "c1", "sh", "-c",
                                         "trap 'echo got; exit 8' TERM; echo up; "
                                         + ("sleep 1; exit 6" if expected == 6 else "while :; do sleep 0.1; done"),
                                         stdin=subprocess.DEVNULL, stdout=file)
                self.assertEqual(maker.wait(kata_cli.PATIENCE), 0)
            with open(pid_file, encoding="utf-8") as file:
                text = file.read()
            self.assertRegex(text, r"^\d+$")
            kata_cli.wait_for(lambda: os.path.getsize(output) > 0, "the process to be up")
            end(int(text))
            _, status = os.waitpid(int(text), 0)
            self.assertEqual(os.waitstatus_to_exitcode(status), expected)
        with open(self.world.path("out8"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "up\ngot\n")

        # kill -9 of what stands for it ends it.
        maker = self.world.start("exec", "-d", "--pid-file", pid_file, "c1", "sleep", "4321", stdin=subprocess.DEVNULL)
        self.assertEqual(maker.wait(kata_cli.PATIENCE), 0)
        self.assertIn("sleep 4321", self.ok("exec", "c1", "ps"))
        with open(pid_file, encoding="utf-8") as file:
            os.kill(int(file.read()), 9)
        kata_cli.wait_for(lambda: "sleep 4321" not in self.ok("exec", "c1", "ps"), "the process to end")


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
