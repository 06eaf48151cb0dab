#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""katactl bench: what it measures and how it ends, not what comes out."""
import glob
import json
import os
import re
import signal
import subprocess

import kata_cli

SECONDS = ("raw_s", "cold_s", "template_s", "pool_s", "exec_s")
MEMORY = ("hypervisor_mib", "virtiofsd_mib", "owner_mib", "marginal_mib")


class Bench(kata_cli.CliTest):
    settings = [("hypervisor.qemu", "default_memory", "128")]

    def setUp(self):
        super().setUp()
        self.world.env["TMPDIR"] = self.world.path("t")
        os.mkdir(self.world.env["TMPDIR"])

    def tearDown(self):
        self.assertEqual(os.listdir(self.world.env["TMPDIR"]), [])
        super().tearDown()

    def test_all_parts(self):
        """With this host's own programs; as JSON: samples of all, and what follows from them."""
        done = self.world.run("bench", "--rounds", "1", "--json", timeout=600)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        found = json.loads(done.stdout)
        self.assertEqual(found["skipped"], {})
        self.assertEqual(set(found["samples"]), {*SECONDS, *MEMORY, "stdout_mb_s"})
        for name in SECONDS:
            self.assertEqual(len(found["samples"][name]), 5 if name == "exec_s" else 1)
            self.assertGreater(min(found["samples"][name]), 0.001, name)
        middle = sorted(found["samples"]["exec_s"])[2]
        self.assertEqual(found["medians"]["exec_s"], middle)
        for ratio, over, under in (("cold_over_raw", "cold_s", "raw_s"), ("template_over_cold", "template_s", "cold_s"),
                                   ("pool_over_cold", "pool_s", "cold_s")):
            self.assertAlmostEqual(found["ratios"][ratio], found["medians"][over] / found["medians"][under], delta=0.001)
        # An idle guest cannot have more than its memory and what QEMU needs for itself, nor be without any.
        self.assertLess(found["samples"]["hypervisor_mib"][0], 128 + 64)
        self.assertGreater(found["samples"]["hypervisor_mib"][0], 20)
        self.assertEqual((found["rounds"], found["settings"]["default_memory"]), (1, 128))

    def test_chosen_parts_and_interruption(self):
        """A table of what was asked for; one that is interrupted leaves nothing."""
        rootfs = os.path.join(self.world.bundle("true"), "rootfs")
        for folder in ("sys", "dev"):
            os.makedirs(os.path.join(rootfs, folder), exist_ok=True)
        done = self.world.run("bench", "--rounds", "1", "--parts", "cold,floor", "--rootfs", rootfs, timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = re.findall(r"(?m)^(\S.*?) +[0-9.]+(?: (\S+) +\([0-9.]+ to [0-9.]+\))?$", done.stdout)
        self.assertEqual([unit for _, unit in rows], ["s", "s", ""], done.stdout)
        running = self.world.start("bench", "--parts", "exec", "--rootfs", rootfs, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        links = os.path.join(self.world.env["TMPDIR"], "kata-bench-*/r/c/*")
        kata_cli.wait_for(lambda: glob.glob(links), "a container")
        running.send_signal(signal.SIGTERM)
        output, errors = running.communicate(timeout=kata_cli.PATIENCE)
        self.assertEqual((running.returncode, output), (1, ""))
        self.assertIn("interrupted by signal 15", errors)

    def test_what_cannot_be_measured(self):
        """Named with its reason, beside what can; wrong words are errors before anything starts."""
        self.fails("--parts: 'boot' is none of floor, cold,", "bench", "--parts", "cold,boot")
        self.fails("--rounds: a number from 1 to 1000", "bench", "--rounds", "0")
        self.fails("'/nowhere' is no directory", "bench", "--rootfs", "/nowhere")
        short, self.world.env["TMPDIR"] = self.world.env["TMPDIR"], self.world.path("x" * 30)
        os.mkdir(self.world.env["TMPDIR"])
        self.fails("too long for the unix sockets below it", "bench")
        self.assertEqual(os.listdir(self.world.env["TMPDIR"]), [])
        self.world.env["TMPDIR"] = short
        with open(self.world.config, "r+", encoding="utf-8") as file:
            text = file.read().replace(f'"{kata_cli.KERNEL}"', '"/nowhere"')
            file.seek(0)
            file.write(text)
            file.truncate()
        found = json.loads(self.ok("bench", "--rounds", "1", "--json", "--parts", "cold,template"))
        self.assertEqual(found["samples"], {})
        self.assertEqual(set(found["skipped"]), {"a cold start", "a start from a template"})
        for why in found["skipped"].values():
            self.assertIn("/nowhere", why)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
