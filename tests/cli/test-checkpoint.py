#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers saved with their guest, and restored."""
import os
import subprocess

from kata_cli import PATIENCE, CliTest, main, require_guests, wait_for
from storage import NO_SHARE, add_mount, look, make_image, use_root, write

# What a process has in its memory alone, told on demand, and an exit code that shows it, too.
COUNTER = ('n=0; trap "echo \\$((n + 100)); exit 7" TERM; trap "n=\\$((n + 1)); echo \\$n > /data/n" USR1;'
           'while :; do sleep 0.1; done')


class CheckpointTest(CliTest):
    settings = NO_SHARE

    def start(self, image):
        bundle = self.world.bundle("sh", "-c", COUNTER, rootfs=False, change=use_root(image))
        self.ok("run", "-d", "--bundle", bundle, "c1")
        return bundle

    def count(self, container):
        """One more: what it is now."""
        before = self.ok("exec", container, "sh", "-c", "cat /data/n 2> /dev/null || true")
        self.ok("kill", container, "USR1")
        wait_for(lambda: self.ok("exec", container, "sh", "-c", "cat /data/n 2> /dev/null || true") not in (before, ""),
                 "the container to count")
        return int(self.ok("exec", container, "cat", "/data/n"))

    def test_save_and_restore(self):
        """By another id, twice from the same files; and what is damaged is refused."""
        image, saved = make_image(self.world, "root.ext4"), self.world.path("saved")
        bundle = self.start(image)
        self.assertEqual([self.count("c1"), self.count("c1")], [1, 2])
        self.ok("checkpoint", "--image-path", saved, "--work-path", self.world.path("work"), "c1")
        self.fails("does not exist", "state", "c1")
        self.world.assert_nothing_left()
        # The disk as it was, whatever became of it meanwhile.
        os.truncate(image, 0)
        os.truncate(image, 24 << 20)
        self.ok("restore", "--detach", "--image-path", saved, "--bundle", bundle, "c2")
        self.assertEqual(self.world.state("c2")["status"], "running")
        self.assertEqual(self.count("c2"), 3)
        guest, host = int(self.ok("exec", "c2", "date", "+%s")), int(subprocess.check_output(["date", "+%s"]))
        self.assertLess(abs(host - guest), PATIENCE)
        self.assertEqual([row.split()[-1] for row in self.ok("ps", "c2").splitlines()[:1]], ["CMD"])
        self.ok("pause", "c2")
        self.ok("checkpoint", "--leave-running", "--image-path", self.world.path("again"), "c2")
        self.ok("resume", "c2")
        self.assertEqual(self.count("c2"), 4)
        self.ok("delete", "--force", "c2")
        # In the foreground, as long as it lives, its output and status come here.
        process = self.world.start("restore", "--image-path", self.world.path("again"), "--bundle", bundle, "c3",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        wait_for(lambda: self.world.run("exec", "c3", "true").returncode == 0, "the container to be restored")
        self.assertEqual(self.count("c3"), 4)
        self.ok("kill", "c3", "TERM")
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, output), (7, "104\n"))
        self.assertEqual(look(image, "/data/n"), "4")
        self.check_damage(saved, bundle)

    def check_damage(self, saved, bundle):
        def refuse(text):
            self.fails(text, "restore", "--detach", "--image-path", saved, "--bundle", bundle, "c4")
            self.world.assert_nothing_left()
        with open(os.path.join(saved, "machine"), "r+b") as file:
            file.seek(1 << 20)
            byte = file.read(1)
            file.seek(1 << 20)
            file.write(bytes([byte[0] ^ 255]))
        refuse("damaged")
        [disk] = [name for name in os.listdir(saved) if name.startswith("disk-")]
        with open(os.path.join(saved, disk), "r+b") as file:
            file.seek(2048)
            file.write(b"x")
        refuse("its checksum is wrong")
        write(os.path.join(saved, "checkpoint.json"), "{")
        refuse("is not JSON")
        os.unlink(os.path.join(saved, "checkpoint.json"))
        refuse("No such file or directory")

    def test_reasons(self):
        """What cannot be saved goes on, and the reason is told."""
        image, saved = make_image(self.world, "root.ext4"), self.world.path("saved")
        bundle = self.start(image)
        write(self.world.path("file"), "not a directory")
        self.fails("Not a directory", "checkpoint", "--image-path", self.world.path("file/x"), "c1")
        self.fails("as a whole, at once and to files", "checkpoint", "--pre-dump", "--image-path", saved, "c1")
        exec_process = self.world.start("exec", "c1", "sleep", "1000")
        wait_for(lambda: "sleep 1000" in self.ok("ps", "c1"), "the executed process")
        self.fails("a process that was executed in it still runs", "checkpoint", "--image-path", saved, "c1")
        exec_process.kill()
        exec_process.wait()
        self.assertEqual(self.count("c1"), 1)
        wait_for(lambda: "sleep 1000" not in self.ok("ps", "c1"), "its end")
        self.ok("checkpoint", "--image-path", saved, "--leave-running", "c1")
        # While it runs on, its disk is nobody else's.
        self.fails("another one has it", "restore", "--detach", "--image-path", saved, "--bundle", bundle, "c2")
        other = self.world.bundle("true", rootfs=False, change=use_root(make_image(self.world, "other.ext4")))
        self.ok("restore", "--detach", "--image-path", saved, "--bundle", other, "c2")
        self.assertEqual([self.count("c2"), self.count("c1"), self.count("c1"), self.count("c2")], [2, 2, 3, 3])
        self.ok("delete", "--force", "c1")
        add_mount(other, image, "/dev/other")
        self.ok("delete", "--force", "c2")
        small = self.world.bundle("true", rootfs=False, change=use_root(make_image(self.world, "s.ext4", size="12M")))
        self.fails("the disk is too small", "restore", "--detach", "--image-path", saved, "--bundle", small, "c2")


if __name__ == "__main__":
    main(require_guests)
