#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Buildah, and Podman's build, with katactl as their runtime: what RUN does in a guest is in the image."""
import glob
import os
import re
import shutil
import subprocess
import unittest

import engines
from engines import EngineTest, Podman

CONTAINERFILE = """\
FROM localhost/box:1
RUN uname -r >/srv/kernel && chown user:staff /srv/kernel && chmod 4750 /srv/kernel && ln /srv/kernel /srv/hard
COPY copied /srv/copied
USER user
RUN cat /srv/copied && echo kernel $(uname -r) && id -un >/tmp/who && rm /etc/not-executable 2>/dev/null; true
"""


# What of this machine's Debian is in the small tree, with what these need.
PACKAGES = ("base-passwd", "bash", "coreutils", "dash", "diffutils", "dpkg", "findutils", "grep", "hostname", "libc-bin",
            "login", "mawk", "passwd", "perl-base", "sed")
DEBIAN_BUILD = """\
FROM localhost/debian:1
COPY served.deb /
RUN dpkg -i /served.deb && rm /served.deb
"""
CONTROL = "Package: served\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody\nDescription: a user and his files\nDepends: passwd\n"
POSTINST = "#!/bin/sh\nset -e\nuseradd -r -d /srv/served served\nchown -R served /srv/served\nchmod 4750 /srv/served/program\n"


def with_dependencies(packages):
    """Names of installed packages, as dpkg has them."""
    found, todo = set(), list(packages)
    while todo:
        name = todo.pop()
        said = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status},${Pre-Depends},${Depends}", name], capture_output=True,
                              text=True, check=False)
        if not said.stdout.startswith("installed,") or name in found:
            continue  # an alternative that is not installed
        found.add(name)
        todo += [re.split("[ :(]", one.strip())[0] for one in re.split("[,|]", said.stdout)[1:] if one.strip()]
    return sorted(found)


def make_debian_tree(root):
    """The files of some of this machine's packages, and dpkg's own notes of them."""
    packages = with_dependencies(PACKAGES)
    for name in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(os.path.join(root, "usr", name))
        os.symlink(f"usr/{name}", os.path.join(root, name))
    for name in ("dev", "etc", "proc", "root", "run", "srv", "sys", "tmp", "var/log", "var/lib/dpkg/info", "var/lib/dpkg/updates"):
        os.makedirs(os.path.join(root, name))
    listed = subprocess.run(["dpkg", "-L", *packages], capture_output=True, text=True, check=True).stdout.split("\n")
    files = [line for line in listed if line.startswith("/") and not line.startswith(("/usr/share/doc", "/usr/share/man",
             "/usr/share/locale")) and os.path.lexists(line) and (os.path.islink(line) or not os.path.isdir(line))]
    for pattern in [f"{name}{end}" for name in packages for end in (".*", ":*")]:
        files += glob.glob(f"/var/lib/dpkg/info/{pattern}")
    packed = subprocess.run(["tar", "-C", "/", "-c", "--no-recursion", "-T", "-"], check=True, capture_output=True,
                            input="\n".join(path[1:] for path in files).encode()).stdout
    subprocess.run(["tar", "-C", root, "-x"], input=packed, check=True)
    for name in ("passwd", "group"):
        shutil.copy(f"/usr/share/base-passwd/{name}.master", os.path.join(root, "etc", name))
    with open("/var/lib/dpkg/status", encoding="utf-8") as file:
        known = [part for part in file.read().split("\n\n") if part.split("\n")[0][len("Package: "):] in packages]
    with open(os.path.join(root, "var/lib/dpkg/status"), "w", encoding="utf-8") as file:
        file.write("\n\n".join(known) + "\n\n")


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

    @unittest.skipIf(shutil.which("dpkg-deb") is None, "no dpkg-deb is installed")
    def test_debian(self):
        """A package is installed in a guest, into an image of Debian's programs; another guest runs and removes it."""
        root, package = self.world.path("debian"), self.world.path("package")
        make_debian_tree(root)
        subprocess.run(["tar", "-C", root, "-cf", self.world.path("debian.tar"), "."], check=True)
        self.podman.ok("import", self.world.path("debian.tar"), "localhost/debian:1")
        os.makedirs(os.path.join(package, "srv/served"))
        os.makedirs(os.path.join(package, "DEBIAN"))
        for name, text, mode in (("DEBIAN/control", CONTROL, 0o644), ("DEBIAN/postinst", POSTINST, 0o755),
                                 ("srv/served/program", "#!/bin/bash\nid -un\n", 0o755), ("srv/served/file", "text\n", 0o644)):
            with open(os.path.join(package, name), "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(os.path.join(package, name), mode)
        os.link(os.path.join(package, "srv/served/file"), os.path.join(package, "srv/served/hard"))
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", package, os.path.join(self.context, "served.deb")],
                       check=True, capture_output=True)
        with open(os.path.join(self.context, "Debianfile"), "w", encoding="utf-8") as file:
            file.write(DEBIAN_BUILD)
        said = self.podman.ok("build", "--isolation", "oci", "--network", "none", "-f", "Debianfile", "-t", "localhost/debian:2",
                              self.context)
        self.assertIn("Setting up served (1.0)", said)
        script = ("dpkg -V served; dpkg-query -W -f '${Status}\\n' served; stat -c '%U %a %h' /srv/served/program /srv/served/hard;"
                  "chroot --userspec=served / /srv/served/program; ls /served.deb 2>&1 | grep -c 'No such file';"
                  "dpkg --purge served >/dev/null && userdel served && ls /srv; dpkg -l | grep -c served; perl -e 'print 6*7'")
        self.assertEqual(self.podman.ok("run", "--rm", "--network", "none", "localhost/debian:2", "bash", "-c", script).splitlines(),
                         ["install ok installed", "served 4750 1", "served 644 2", "served", "1", "0", "42"])


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("buildah", "podman"))
