#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Buildah, and Podman's build, with katactl as their runtime: what RUN does in a guest is in the image."""
import os

import engines
from engines import EngineTest, Podman

CONTAINERFILE = """\
FROM localhost/box:1
RUN uname -r >/srv/kernel && chown user:staff /srv/kernel && chmod 4750 /srv/kernel && ln /srv/kernel /srv/hard
COPY copied /srv/copied
USER user
RUN cat /srv/copied && echo kernel $(uname -r) && id -un >/tmp/who && rm /etc/not-executable 2>/dev/null; true
"""


class BuildahTest(EngineTest):
    def setUp(self):
        super().setUp()
        self.podman = Podman(self.world)
        self.context = self.world.path("context")
        os.mkdir(self.context)
        for name, text in (("Containerfile", CONTAINERFILE), ("copied", "copied text\n")):
            with open(os.path.join(self.context, name), "w", encoding="utf-8") as file:
                file.write(text)

    def buildah(self, *args, **options):
        result = self.world.engine("buildah", *args, **options)
        self.assertEqual(result.returncode, 0, f"buildah {' '.join(args)}\n{result.stdout}{result.stderr}")
        return result.stdout

    def test_build_and_run(self):
        runtime = ("--runtime", self.world.runtime("kata"), "--isolation", "oci")
        self.assertIn("copied text\n", self.buildah("build", *runtime, "--network", "none", "-t", "localhost/built:1", self.context))
        container = self.buildah("from", "localhost/built:1").strip()
        root = self.buildah("mount", container).strip()
        with open(os.path.join(root, "srv/kernel"), encoding="utf-8") as file:
            self.assertNotIn(file.read().strip(), (os.uname().release, ""))
        status = os.stat(os.path.join(root, "srv/kernel"))
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o7777, status.st_nlink), (1000, 50, 0o4750, 2))
        with open(os.path.join(root, "tmp/who"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "user\n")
        self.buildah("umount", container)
        failed = self.world.engine("buildah", "run", *runtime, "--network", "none", container, "--", "sh", "-c", "exit 9")
        self.assertEqual(failed.returncode, 9, failed.stderr)
        self.buildah("rm", container)

    def test_podman_build(self):
        said = self.podman.ok("build", "--isolation", "oci", "--network", "none", "-t", "localhost/built:2", self.context)
        self.assertRegex(said, "kernel [0-9]")
        self.assertNotIn(f"kernel {os.uname().release}", said)
        self.assertIn("localhost/built", self.podman.ok("images"))


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("buildah", "podman"))
