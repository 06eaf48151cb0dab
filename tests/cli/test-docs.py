#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README and docs tell people to type works: a document's blocks are run one after the other, in an empty directory;
documents.py says how a block is marked, and who runs those that want another place."""
import glob
import os
import re
import subprocess
import unittest

import documents
import kata_cli
import storage

COMMANDS = ("apt", "apt-get", "autoreconf", "bash", "cc", "cd", "configure", "containerd", "cp", "ctr", "docker", "echo", "gcc",
            "git", "go", "katactl", "kubectl", "ln", "make", "mkdir", "pip", "podman", "python3", "quickstart", "sh", "sudo")


class Form(unittest.TestCase):
    def test_no_block_goes_unseen(self):
        """Commands stand in fences whose marks some test follows."""
        for document in documents.NAMES:
            for block in documents.blocks(document):
                with self.subTest(document, block=block.body[:60]):
                    self.assertNotEqual(block.kind, "", "a fence without a word")
                    self.assertNotIn(block.kind, ("bash", "shell"), "sh or console")
                    if block.comment:
                        self.assertTrue(block.file or block.place in documents.PLACES or block.comment == "second terminal",
                                        block.comment)
                    if block.place == "containerd":
                        self.assertEqual((document, block.kind), ("docs/containerd.md", "console"))
                    elif block.place:
                        self.assertEqual(block.kind, "sh")
            for line in documents.BLOCK.sub("", documents.read(document)).splitlines():
                word = re.match(r" {4,}(?:[#$] )?(?:\S*/)?([\w-]+) (?!-->)", line)
                self.assertFalse(word and word[1] in COMMANDS, f"{document}: not in a fence: {line}")


class Run(kata_cli.Assertions):
    @classmethod
    def setUpClass(cls):
        cls.world = kata_cli.World()
        cls.addClassCleanup(cls.world.close)
        cls.addClassCleanup(cls.free_disks)
        programs = cls.world.path("bin")
        os.mkdir(programs)
        os.symlink(kata_cli.KATACTL, os.path.join(programs, "katactl"))
        cls.write_pkgconfig()
        cls.world.env.update(
            PATH=f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin", HOME=cls.world.base, PKG_CONFIG_PATH=cls.world.base,
            KATA_LIBRARY=os.path.join(kata_cli.BUILD, "lib/.libs/libkata.so.0"), PYTHONDONTWRITEBYTECODE="1",
            PYTHONPATH=os.path.join(kata_cli.SOURCE, "bindings/python"))

    @classmethod
    def free_disks(cls):
        """Of a document that did not come to its end."""
        for image in glob.glob(cls.world.path("*/disk")):
            for device in storage.loops_of(image).split():
                subprocess.run([storage.tool("losetup"), "--detach", device], check=False)

    @classmethod
    def write_pkgconfig(cls):
        """What pkg-config says once libkata is installed, of the one that was just built."""
        with open(cls.world.path("libkata.pc"), "w", encoding="utf-8") as file:
            file.write(f"Name: libkata\nDescription: built\nVersion: 0\nLibs: -L{kata_cli.BUILD}/lib/.libs -lkata\n"
                       f"Cflags: -I{kata_cli.SOURCE}/include -I{kata_cli.BUILD}/include\n")

    def run_block(self, script, directory):
        # Containers in the background may keep the streams: these are files.
        with open(self.world.path("output"), "w+", encoding="utf-8") as output:
            done = subprocess.run(["bash", "-euc", script], cwd=directory, env=self.world.env, stdin=subprocess.DEVNULL,
                                  stdout=output, stderr=subprocess.STDOUT, timeout=2 * kata_cli.PATIENCE, check=False)
            output.seek(0)
            shown = output.read()
        self.assertEqual(done.returncode, 0, f"{script}\n{shown}\n{self.world.owner_log()}")
        return shown

    def run_document(self, document):
        directory = self.world.path(document.replace("/", "-"))
        os.mkdir(directory)
        with documents.Terminals(directory, self.world.env) as terminals:
            self.run_blocks(document, directory, terminals)
        self.world.assert_nothing_left()

    def run_blocks(self, document, directory, terminals):
        shown = ""
        for block in documents.blocks(document):
            if block.file:
                with open(os.path.join(directory, block.file), "w", encoding="utf-8") as file:
                    file.write(block.body)
            elif block.place:
                continue
            elif block.kind == "sh":
                shown = self.run_block(block.body, directory)
            elif block.kind == "console":
                terminals.type_block(block)
            elif block.kind == "output":
                self.assertTrue(documents.matches(block.body, shown), f"{document} says:\n{block.body}shown is:\n{shown}")

    def test_documents(self):
        ran = 0
        for document in documents.NAMES:
            if any(block.is_shell and not block.place for block in documents.blocks(document)):
                with self.subTest(document):
                    self.run_document(document)
                ran += 1
        self.assertGreaterEqual(ran, 4)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
