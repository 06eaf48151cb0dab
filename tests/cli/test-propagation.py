#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is mounted on the host below a volume while the container runs, and unmounted, comes and goes in the guest, unless
the volume's mount is private; the other way never. What runc 1.1 does with the same config.json is what is expected."""
import contextlib
import os
import signal
import time

import kata_cli
from kata_cli import wait_for
from storage import call, is_free, loop_device, make_image, write

PLACES = {"/slave": ["rbind", "rslave"], "/shared": ["rbind", "rshared"], "/flat": ["bind", "slave"],
          "/ro": ["rbind", "ro", "rslave"], "/silent": ["rbind"], "/bind": ["bind"], "/top-private": ["rbind", "private"],
          "/private": ["rbind", "rprivate"], "/flat-private": ["bind", "private"]}
FOLLOW = ("/slave", "/shared", "/flat", "/ro", "/silent", "/bind")
NEVER = ("/private", "/flat-private")
FLAT = ("/flat", "/bind", "/flat-private")


class Propagation(kata_cli.CliTest):
    def setUp(self):
        super().setUp()
        self.source = self.world.path("source")
        self.mounts = contextlib.ExitStack()
        self.addCleanup(self.mounts.close)
        os.mkdir(self.source)
        self.mount("tmpfs", "")
        call("mount", "--make-shared", self.source)
        for name in ("before", "later", "disk", "inside", "last"):
            os.mkdir(os.path.join(self.source, name))
        self.mount("tmpfs", "before")
        os.mkdir(self.host("before/in"))
        write(self.host("before/file"), "before\n")

    def host(self, name):
        return os.path.join(self.source, name)

    def mount(self, what, name):
        call("mount", *(["-t", "tmpfs"] if what == "tmpfs" else []), what, self.host(name))
        self.mounts.callback(lambda: os.path.ismount(self.host(name)) and call("umount", "-l", self.host(name)))

    def start(self, places=PLACES, further=lambda document: None):
        def change(document):
            further(document)
            for place in places:
                document["mounts"].append({"destination": place, "type": "bind", "source": self.source,
                                           "options": PLACES[place]})
            document["process"]["capabilities"] = {part: ["CAP_SYS_ADMIN", "CAP_KILL"] for part in
                                                   ("bounding", "effective", "permitted")}
        self.ok("run", "--detach", "--bundle", self.world.bundle("sleep", "100000", change=change), "c1")

    def look(self, path):
        return self.world.run("exec", "c1", "cat", path).stdout

    def wait_to_be(self, text, name, places=FOLLOW):
        for place in places:
            wait_for(lambda path=f"{place}/{name}": self.look(path) == text, f"{text!r} at '{place}/{name}'", 30)

    def test_mounts_come_and_go(self):
        image = make_image(self.world, "disk.img")
        self.start()
        self.check_first_ones()
        with loop_device(image) as device:
            self.check_device(device)
        self.check_top()
        # Nor is anything lost on the way to another owner.
        owner = next(pid for pid, line in self.world.processes() if "containerd-shim-kata-v2" in line)
        os.kill(owner, signal.SIGKILL)
        self.mount("tmpfs", "last")
        write(self.host("last/file"), "last\n")
        self.wait_to_be("last\n", "last/file")
        self.ok("delete", "--force", "c1")
        for name in ("last", "before/in", "before", ""):
            call("umount", self.host(name))

    def check_first_ones(self):
        self.assertEqual([place for place in PLACES if self.look(f"{place}/before/file") == "before\n"],
                         [place for place in PLACES if place not in FLAT])
        self.mount("tmpfs", "later")
        write(self.host("later/file"), "later\n")
        self.wait_to_be("later\n", "later/file")
        os.mkdir(self.host("later/deep"))
        self.mount("tmpfs", "later/deep")
        write(self.host("later/deep/file"), "deep\n")
        self.wait_to_be("deep\n", "later/deep/file")
        # Below what was mounted already, "private" without its r is not of this mount.
        self.mount("tmpfs", "before/in")
        write(self.host("before/in/file"), "in\n")
        self.wait_to_be("in\n", "before/in/file", [place for place in (*FOLLOW, "/top-private") if place not in FLAT])
        self.assertEqual([self.look(f"{place}/before/in/file") for place in NEVER], [""] * len(NEVER))
        self.assertEqual([self.look(f"{place}/later/file") for place in (*NEVER, "/top-private")], [""] * (len(NEVER) + 1))
        self.ok("exec", "c1", "sh", "-c", "echo back > /slave/later/deep/file")
        with open(self.host("later/deep/file"), encoding="ascii") as file:
            self.assertEqual(file.read(), "back\n")
        self.assertNotEqual(self.world.run("exec", "c1", "touch", "/ro/later/deep/no").returncode, 0)
        # What the guest has seen does not keep the host from unmounting.
        call("umount", self.host("later/deep"))
        call("umount", self.host("later"))
        self.wait_to_be("", "later/file")
        # Those that were there before go as well.
        self.ok("exec", "c1", "mount", "-t", "tmpfs", "x", "/shared/inside")
        self.assertFalse(os.path.ismount(self.host("inside")))
        self.assertEqual(self.look("/private/before/file"), "before\n")

    def test_all_private(self):
        def change(document):
            document["linux"]["rootfsPropagation"] = "rprivate"
        self.start(("/slave", "/silent"), change)
        self.mount("tmpfs", "later")
        write(self.host("later/file"), "later\n")
        time.sleep(3)
        self.assertEqual([self.look(f"{place}/later/file") for place in ("/slave", "/silent")], ["", ""])
        self.ok("delete", "--force", "c1")
        self.mounts.close()

    def check_top(self):
        """Upon the volumes' own top: over them, with what is mounted below; a disk is let go of."""
        follow = [place for place in FOLLOW if place != "/top-private"]
        image = make_image(self.world, "top.img")
        with loop_device(image) as device:
            call("mount", device, self.source)
            write(self.host("text"), "top\n")
            os.mkdir(self.host("below"))
            self.wait_to_be("top\n", "text", follow)
            self.assertEqual([self.look(f"{place}/text") for place in (*NEVER, "/top-private")], [""] * (len(NEVER) + 1))
            self.assertEqual(self.look("/slave/before/file"), "")
            self.mount("tmpfs", "below")
            write(self.host("below/file"), "below\n")
            self.wait_to_be("below\n", "below/file", follow)
            self.assertNotEqual(self.world.run("exec", "c1", "touch", "/ro/no").returncode, 0)
            call("umount", self.host("below"))
            call("umount", self.source)
            self.wait_to_be("before\n", "before/file", [place for place in follow if place not in FLAT])
            self.wait_to_be("", "text", follow)
            wait_for(lambda: is_free(device), f"{device} to be nobody's", 600)

    def check_device(self, device):
        self.mount(device, "disk")
        write(self.host("disk/text"), "disk\n")
        self.wait_to_be("disk\n", "disk/text")
        call("umount", self.host("disk"))
        # Without another look at it by anybody in the guest.
        wait_for(lambda: is_free(device), f"{device} to be nobody's", 600)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
