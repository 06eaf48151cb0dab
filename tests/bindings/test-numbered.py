#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The numbered tests of README.md, in every language, in one guest."""
import os
import re
import shutil
import subprocess
import sys
import unittest

TOP = os.path.abspath(os.environ.get("top_srcdir", "."))
sys.path.insert(0, os.path.join(TOP, "tests/cli"))
import kata_cli  # pylint: disable=wrong-import-position
import storage  # pylint: disable=wrong-import-position

HERE = os.path.join(TOP, "tests/bindings")
SUCCESS = r"^(?:ok |--- PASS: Test)(\d{3})"
TALK = "read line; echo got $line; echo oops >&2; exit 9"
SLEEP = "exec sleep 100000"
GROWING = [("runtime", "static_sandbox_resource_mgmt", "false")]


def numbers_of_list():
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
        return re.findall(r"^\| (\d{3}) \|", file.read(), flags=re.M)


class Numbered(kata_cli.Assertions):
    @classmethod
    def setUpClass(cls):
        world = cls.world = kata_cli.World(GROWING)
        cls.addClassCleanup(world.close)
        bundles = world.path("bundles")
        os.mkdir(bundles)
        for name, script in (("talk", TALK), ("sleep", SLEEP), ("terminal", "stty size")):
            os.rename(world.bundle("sh", "-c", script, terminal=name == "terminal"), os.path.join(bundles, name))
        world.env.update(KATA_TEST_BUNDLES=bundles, KATA_TEST_ID="one", KATA_TEST_CHECKPOINT=cls.save_one(bundles),
                         KATA_TEST_STORE=world.path("store"),
                         KATA_LIBRARY=os.path.join(kata_cli.BUILD, "lib/.libs/libkata.so.0"),
                         PYTHONPATH=os.path.join(TOP, "bindings/python"))
        done = world.run_attached("run", "--detach", "--bundle", world.bundle("sleep", "100000"), "one")
        assert done.returncode == 0, done.stderr

    @classmethod
    def save_one(cls, bundles):
        """A checkpoint of a container whose guest has no shared directory; its bundle is "disk"."""
        other = kata_cli.World(GROWING + storage.NO_SHARE)
        cls.addClassCleanup(other.close)
        image = storage.make_image(other, "root.ext4")
        os.rename(other.bundle("sleep", "100000", rootfs=False, change=storage.use_root(image)),
                  os.path.join(bundles, "disk"))
        saved = other.path("saved")
        for args in (("run", "--detach", "--bundle", os.path.join(bundles, "disk"), "saved"),
                     ("checkpoint", "--image-path", saved, "saved")):
            done = other.run_attached(*args)
            assert done.returncode == 0, done.stderr
        other.assert_nothing_left()
        return saved

    @classmethod
    def tearDownClass(cls):
        done = cls.world.run("delete", "--force", "one")
        assert done.returncode == 0, done.stderr
        cls.world.assert_nothing_left()

    def numbered(self, language, command, **options):
        """Runs one language's tests; each says "ok NUMBER" on a line of its own."""
        env = dict(self.world.env, KATA_TEST_LANGUAGE=language, PYTHONDONTWRITEBYTECODE="1")
        done = subprocess.run(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=600, check=False, **options)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:] + self.world.owner_log())
        self.assertEqual(sorted(re.findall(SUCCESS, done.stdout, flags=re.M)), sorted(numbers_of_list()))

    def test_c(self):
        self.numbered("c", [kata_cli.built("tests/bindings", "numbered")])

    @unittest.skipIf(shutil.which("go") is None, "go is not installed")
    def test_go(self):
        self.numbered("go", [os.path.join(kata_cli.BUILD, "tests/bindings/numbered-go"), "-test.v"])

    def test_python(self):
        python = os.environ.get("KATA_TEST_PYTHON", sys.executable)
        self.numbered("python", [python, "-W", "error", os.path.join(HERE, "numbered.py")])


if __name__ == "__main__":
    kata_cli.require_guests()
    unittest.main(verbosity=2)
