#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The examples in C, Python and Go, in real guests: each topic does the same in each language."""
import hashlib
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import tarfile
import time
import unittest

import kata_cli

LANGUAGES = ["c", "python"] + (["go"] if shutil.which("go") else [])


def program(language, name):
    if language == "python":
        return [sys.executable, os.path.join(kata_cli.SOURCE, "examples", name.replace("-", "_") + ".py")]
    if language == "go":
        return [os.path.join(kata_cli.BUILD, "examples/built-go", name)]
    return [kata_cli.built("examples", name)]


class Example(kata_cli.Assertions):
    @classmethod
    def setUpClass(cls):
        cls.world = kata_cli.World()
        cls.addClassCleanup(cls.world.close)
        cls.world.env.update(KATA_LIBRARY=os.path.join(kata_cli.BUILD, "lib/.libs/libkata.so.0"), PYTHONDONTWRITEBYTECODE="1",
                             PYTHONPATH=os.path.join(kata_cli.SOURCE, "bindings/python"))

    @classmethod
    def tearDownClass(cls):
        cls.world.assert_nothing_left()

    def run_example(self, language, name, *args, text="from the host\n"):
        return subprocess.run([*program(language, name), *args], env=self.world.env, text=True, capture_output=True,
                              input=text, timeout=2 * kata_cli.PATIENCE, check=False)

    def in_each(self, check):
        for language in LANGUAGES:
            with self.subTest(language):
                check(language)


class OwnGuest(Example):
    def test_run_container(self):
        bundle = self.world.bundle("sh", "-c", "read line; echo got $line; echo oops >&2; exit 9")

        def check(language):
            done = self.run_example(language, "run-container", bundle)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (9, "got from the host\n", "oops\n"))
            done = self.run_example(language, "run-container", self.world.path("none"))
            self.assertEqual(done.returncode, 125, done)
            self.assertIn("none", done.stderr)

        self.in_each(check)

    def test_parallel(self):
        bundle = self.world.bundle("echo", "here")

        def check(language):
            done = self.run_example(language, "parallel", "2", bundle)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "here\nhere\n", "2 of 2 ended well\n"))

        self.in_each(check)

    def test_custom_machine(self):
        bundle = self.world.bundle("sh", "-c", "nproc; cat /sys/fs/cgroup/pids.max", change=lambda document: document[
            "mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}))

        def check(language):
            done = self.run_example(language, "custom-machine", bundle)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"planned: \d+ bytes[^\0]*>320<[^\0]*>2<[^\0]*\n2\n50\n$")

        self.in_each(check)

    def make_layout(self):
        """An OCI image layout of two layers, as skopeo writes it."""
        layout, folder = self.world.path("layout"), self.world.path("blobs")
        blobs = os.path.join(layout, "blobs/sha256")
        os.makedirs(blobs)

        def add(data):
            digest = hashlib.sha256(data).hexdigest()
            with open(os.path.join(blobs, digest), "wb") as file:
                file.write(data)
            return {"digest": f"sha256:{digest}", "size": len(data)}

        kata_cli.fill_rootfs(os.path.join(folder, "1"))
        os.makedirs(os.path.join(folder, "2/srv"))
        with open(os.path.join(folder, "2/srv/word"), "w", encoding="utf-8") as file:
            file.write("second layer\n")
        layers = []
        for name in ("1", "2"):
            with tarfile.open(os.path.join(folder, "layer.tar.gz"), "w:gz", compresslevel=1) as archive:
                archive.add(os.path.join(folder, name), ".")
            with open(os.path.join(folder, "layer.tar.gz"), "rb") as file:
                layers.append(add(file.read()))
        config = add(json.dumps({"config": {"Entrypoint": ["sh", "-c"], "Cmd": ["cat word; echo $WHO; read x; echo $x"],
                                            "Env": ["PATH=/bin", "WHO=image"], "WorkingDir": "/srv"}}).encode())
        manifest = add(json.dumps({"schemaVersion": 2, "config": config, "layers": layers}).encode())
        with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as file:
            json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)
        return layout

    def test_tiny_engine(self):
        layout = self.make_layout()

        def check(language):
            done = self.run_example(language, "tiny-engine", layout, self.world.path(f"engine-{language}"))
            self.assertEqual((done.returncode, done.stdout, done.stderr),
                             (0, "second layer\nimage\nfrom the host\n", ""))
            done = self.run_example(language, "tiny-engine", self.world.path("none"), self.world.path(f"no-{language}"))
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("none", done.stderr)

        self.in_each(check)


class SharedGuest(Example):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        result = cls.world.run_attached("run", "-d", "--bundle", cls.world.bundle("sleep", "100000"), "c1")
        assert result.returncode == 0, result.stderr

    @classmethod
    def tearDownClass(cls):
        result = cls.world.run("delete", "--force", "c1")
        assert result.returncode == 0, result.stderr
        super().tearDownClass()

    def test_exec_pipes(self):
        def check(language):
            done = self.run_example(language, "exec-pipes", "c1", "sh", "-c", 'read x; echo "got $x"; echo no >&2; exit 4')
            self.assertEqual((done.returncode, sorted(done.stdout.splitlines()), done.stderr),
                             (4, ["errors: no", "output: got from the host"], ""))
            done = self.run_example(language, "exec-pipes", "absent", "true")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("absent", done.stderr)

        self.in_each(check)

    def test_events(self):
        def check(language):
            with subprocess.Popen([*program(language, "events"), "c1"], env=self.world.env, text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE) as watcher:
                first = watcher.stdout.readline()
                self.ok("pause", "c1")
                lines = watcher.stdout.readline()
                while "pause" not in lines.splitlines()[-1]:
                    lines += watcher.stdout.readline()
                self.ok("resume", "c1")
                watcher.communicate("\n", timeout=kata_cli.PATIENCE)
            self.assertEqual(watcher.returncode, 0)
            self.assertIn("start", first)

        self.in_each(check)

    def test_terminal(self):
        def check(language):
            pid, terminal = pty.fork()
            if pid == 0:
                argv = [*program(language, "terminal"), "c1"]
                os.execvpe(argv[0], argv, self.world.env)
            seen, end = b"", time.monotonic() + kata_cli.PATIENCE
            typed = False
            while b"42-here" not in seen:
                self.assertLess(time.monotonic(), end, seen)
                if b"# " in seen and not typed:
                    os.write(terminal, b"echo $((40+2))-here; exit 3\r")
                    typed = True
                if select.select([terminal], [], [], 1)[0]:
                    seen += os.read(terminal, 1000)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 3)
            os.close(terminal)

        self.in_each(check)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
