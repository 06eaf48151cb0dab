#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The examples, in real guests."""
import subprocess

import kata_cli


class RunContainer(kata_cli.CliTest):
    def run_example(self, *args):
        return subprocess.run([kata_cli.built("examples", "run-container"), *args], env=self.world.env, text=True,
                              capture_output=True, input="from the host\n", timeout=kata_cli.PATIENCE, check=False)

    def test_streams_and_status(self):
        done = self.run_example(self.world.bundle("sh", "-c", "read line; echo got $line; echo oops >&2; exit 9"))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (9, "got from the host\n", "oops\n"))

    def test_no_bundle(self):
        done = self.run_example(self.world.path("none"))
        self.assertEqual(done.returncode, 125)
        self.assertIn("none", done.stderr)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
