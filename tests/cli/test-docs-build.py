#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README and docs tell people to type in the sources: to build, to install, to write an ABI down, ./quickstart. All of it
sees the tree and the host's system directories through overlays of a mount namespace that goes with it, so that it may
build on what is built, and nothing that it writes or installs stays."""
import glob
import os
import shutil
import subprocess
import unittest

import documents
import kata_cli

SYSTEM = ["/etc", "/usr", "/var"]
# Arguments: what is seen through an overlay, "--", the script.
OVERLAYS = """\
mount -t tmpfs tmpfs "$SCRATCH"
number=0
while [ "$1" != -- ]; do
  number=$((number + 1))
  mkdir -p "$SCRATCH/$number/upper" "$SCRATCH/$number/work"
  mount -t overlay -o "lowerdir=$1,upperdir=$SCRATCH/$number/upper,workdir=$SCRATCH/$number/work" overlay "$1"
  shift
done
# Nobody makes templates in the background, of what will be gone.
mkdir -p /etc/kata/conf.d
printf '[factory]\\nenable_template = false\\n' >/etc/kata/conf.d/test.conf
exec bash -euc "$2"
"""
# What is cloned comes with what has been built of it.
GIT = """\
#!/bin/sh
set -e
[ "$*" = 'clone URL libkata' ]
'{git}' -c safe.directory='*' clone --quiet '{repository}' libkata
test -x libkata/quickstart
mount --bind '{source}' libkata
"""


def is_below(path, places):
    return any(os.path.commonpath([path, place]) == place for place in places)


def is_quickstart_check(pid):
    """The script of this tree, which works in its top directory."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
            words = file.read().split("\0")[:-1]
        return "check" in words and any(os.path.basename(word) == "quickstart" for word in words) and \
            os.path.samefile(f"/proc/{pid}/cwd", kata_cli.SOURCE)
    except OSError:
        return False


def ancestors():
    pid = os.getppid()
    while pid > 0:
        yield pid
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            pid = int(file.read().rsplit(")", 1)[1].split()[1])


class Build(kata_cli.Assertions):
    def setUp(self):
        self.world = kata_cli.World()
        self.addCleanup(self.world.close)
        os.mkdir(self.world.path("bin"))
        os.mkdir(self.world.path("scratch"))
        kept = {name: value for name, value in os.environ.items()
                if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "TESTS", "top_srcdir", "top_builddir")
                and not name.startswith("KATA_")}
        self.env = dict(kept, PATH=f"{self.world.path('bin')}:{os.environ['PATH']}:/usr/sbin:/sbin",
                        SCRATCH=self.world.path("scratch"))

    def run_unseen(self, script, directory):
        places = [*SYSTEM, kata_cli.SOURCE]
        for more in (kata_cli.BUILD, os.environ.get("PREFIX", "/usr/local")):
            if not is_below(more, places):
                places.append(more)
        with open(self.world.path("output"), "w+", encoding="utf-8") as output:
            done = subprocess.run(
                ["unshare", "--mount", "--propagation", "private", "bash", "-euc", OVERLAYS, "bash",
                 *[place for place in places if os.path.isdir(place)], "--", f"cd '{directory}'\n{script}"],
                env=self.env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=4 * kata_cli.PATIENCE,
                check=False)
            output.seek(0)
            shown = output.read()
        self.assertEqual(done.returncode, 0, f"{script}\n{shown[-8000:]}")
        self.world.assert_nothing_left()

    def test_in_the_sources(self):
        blocks = documents.of_place("the sources")
        self.assertGreaterEqual(len(blocks), 3)
        for block in blocks:
            with self.subTest(block.document, block=block.body):
                self.run_unseen(block.body, kata_cli.SOURCE)

    def test_in_a_clone(self):
        """URL is this tree, or a repository that is made of it."""
        repository = kata_cli.SOURCE
        if not os.path.exists(os.path.join(repository, ".git")):
            repository = self.world.path("repository")
            shutil.copytree(kata_cli.SOURCE, repository, symlinks=True, ignore=shutil.ignore_patterns("build*", "_build"))
            for words in (["init", "--quiet"], ["add", "--all"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet",
                                                                  "--message=all"]):
                subprocess.run(["git", "-C", repository, *words], check=True)
        with open(self.world.path("bin/git"), "w", encoding="utf-8") as file:
            file.write(GIT.format(git=shutil.which("git"), repository=repository, source=kata_cli.SOURCE))
        os.chmod(self.world.path("bin/git"), 0o755)
        blocks = documents.of_place("a clone")
        self.assertEqual(len(blocks), 1)
        os.mkdir(self.world.path("home"))
        self.run_unseen(blocks[0].body, self.world.path("home"))
        self.assertEqual(glob.glob(self.world.path("home/libkata/build/*")), [])

    def test_quickstart_check(self):
        """It has started this test, if anything shows that it works."""
        lines = [line.split("#")[0].strip() for block in documents.of_place("quickstart check") for line in block.body.splitlines()]
        self.assertEqual(lines, ["./quickstart check"])
        if not any(is_quickstart_check(pid) for pid in ancestors()):
            self.skipTest("'./quickstart check' has not started this test")


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
