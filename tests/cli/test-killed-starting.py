#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each part of a sandbox is killed at each moment of its start: the caller gets an error at once, and nothing is left."""
import glob
import os
import signal
import subprocess
import time

import kata_cli


def owner(world):
    for path in glob.glob(os.path.join(world.root, "s/*/owner.pid")):
        with open(path, encoding="ascii") as file:
            return int(file.read() or 0)
    return 0


def helper(name):
    def find(world):
        return next((pid for pid, line in world.processes() if name in line.split(" ")[0]), 0)
    return find


def console_has_output(world):
    return any(os.path.getsize(path) > 0 for path in glob.glob(os.path.join(world.root, "s/*/console.log")))


# Moments of a start in their order, and who is there to be killed from which moment on.
MOMENTS = {"owner": owner, "virtiofsd": helper("virtiofsd"), "qemu": helper("qemu-system"), "kernel": console_has_output}
VICTIMS = {"katactl": ("owner", None), "owner": ("owner", owner), "virtiofsd": ("virtiofsd", helper("virtiofsd")),
           "qemu": ("qemu", helper("qemu-system"))}
# A caller whose guest is gone is told within seconds, even on a busy machine, and not when some time-out passes.
TOLD_WITHIN = 15
# An owner that was never called waits 10 s for its maker (shim/serve.c).
GONE_WITHIN = 40


class KilledStarting(kata_cli.CliTest):
    def kill_at(self, moment, victim):
        bundle = self.world.bundle("sleep", "1000")
        client = self.world.start("create", "--bundle", bundle, "c1", stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        kata_cli.wait_for(lambda: MOMENTS[moment](self.world), f"the moment '{moment}'")
        pid = client.pid if victim == "katactl" else VICTIMS[victim][1](self.world)
        self.assertNotEqual(pid, 0)
        begin = time.monotonic()
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            self.fail(f"no {victim} to kill")
        errors = client.communicate(timeout=kata_cli.PATIENCE)[1]
        self.assertNotEqual(client.returncode, 0)
        self.assertLess(time.monotonic() - begin, TOLD_WITHIN)
        if victim != "katactl":
            self.assertNotEqual(errors.strip(), "", "create failed without a word")
        # By itself: nobody calls "delete --force".
        self.world.assert_nothing_left(GONE_WITHIN)

    def test_every_part_at_every_moment(self):
        order = list(MOMENTS)
        for victim, (first, _) in VICTIMS.items():
            for moment in order[order.index(first):]:
                with self.subTest(victim=victim, moment=moment):
                    self.kill_at(moment, victim)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
