#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README and docs tell people to type works: a document's blocks are run one after the other, in an empty directory.

    ```sh       is run, with bash -eu; what it starts it ends
    ```output   what the block before it shows; "..." stands for any text
    ```console  is not run; the line before says why: <!-- not run: REASON -->
    <!-- file: NAME -->  the block that follows is the file NAME
"""
import glob
import os
import re
import subprocess
import unittest

import kata_cli

DOCUMENTS = ["README.md", "bindings/go/README.md", "bindings/python/README.md", "tests/bindings/README.md"] + sorted(
    os.path.relpath(path, kata_cli.SOURCE) for path in glob.glob(os.path.join(kata_cli.SOURCE, "docs/*.md")))
COMMANDS = ("apt", "apt-get", "autoreconf", "bash", "cc", "cd", "configure", "containerd", "cp", "ctr", "docker", "echo", "gcc",
            "git", "go", "katactl", "kubectl", "ln", "make", "mkdir", "pip", "podman", "python3", "quickstart", "sh", "sudo")
BLOCK = re.compile(r"(?ms)^((?:<!-- [^\n]* -->\n)?)( *)```(\w*)\n(.*?)^ *```$")


def read(document):
    with open(os.path.join(kata_cli.SOURCE, document), encoding="utf-8") as file:
        return file.read()


def as_pattern(output):
    return ".*".join(re.escape(part) for part in re.split(r" *\.\.\. *", output))


class Form(unittest.TestCase):
    def test_no_block_goes_unseen(self):
        """Commands stand in fences that say whether they are run, and if not, why."""
        for document in DOCUMENTS:
            text = read(document)
            for comment, _, kind, body in BLOCK.findall(text):
                with self.subTest(document, block=body[:60]):
                    self.assertNotEqual(kind, "", "a fence without a word")
                    self.assertNotIn(kind, ("bash", "shell"), "sh or console")
                    self.assertEqual(kind == "console", comment.startswith("<!-- not run: "))
            for line in BLOCK.sub("", text).splitlines():
                word = re.match(r" {4,}(?:[#$] )?(?:\S*/)?([\w-]+) (?!-->)", line)
                self.assertFalse(word and word[1] in COMMANDS, f"{document}: not in a fence: {line}")


class Run(kata_cli.Assertions):
    @classmethod
    def setUpClass(cls):
        cls.world = kata_cli.World()
        cls.addClassCleanup(cls.world.close)
        programs = cls.world.path("bin")
        os.mkdir(programs)
        os.symlink(kata_cli.KATACTL, os.path.join(programs, "katactl"))
        cls.write_pkgconfig()
        cls.world.env.update(
            PATH=f"{programs}:{os.environ['PATH']}", HOME=cls.world.base, PKG_CONFIG_PATH=cls.world.base,
            KATA_LIBRARY=os.path.join(kata_cli.BUILD, "lib/.libs/libkata.so.0"), PYTHONDONTWRITEBYTECODE="1",
            PYTHONPATH=os.path.join(kata_cli.SOURCE, "bindings/python"))

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
        shown = ""
        for comment, indent, kind, body in BLOCK.findall(read(document)):
            body = re.sub(rf"(?m)^{indent}", "", body)
            name = re.match(r"<!-- file: (\S+) -->", comment)
            if name:
                with open(os.path.join(directory, name[1]), "w", encoding="utf-8") as file:
                    file.write(body)
            elif kind == "sh":
                shown = self.run_block(body, directory)
            elif kind == "output":
                self.assertRegex(shown, re.compile(f"^{as_pattern(body)}$", re.S), document)
        self.world.assert_nothing_left()

    def test_documents(self):
        ran = 0
        for document in DOCUMENTS:
            if "```sh\n" in read(document):
                with self.subTest(document):
                    self.run_document(document)
                ran += 1
        self.assertGreaterEqual(ran, 3)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
