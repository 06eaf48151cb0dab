#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python package is built into a wheel, and installed with pip, without a compiler and without a network."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

TOP = os.path.abspath(os.environ.get("top_srcdir", "."))
BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
OFFLINE = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check",
           "--no-cache-dir"]
# The one whose packages apt-get installs: pip, setuptools, wheel.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
SCRIPT = "import kata, sys; print(kata.version(), kata.__file__)"


def pip(folder, *args):
    subprocess.run([PYTHON, "-m", "pip", *args], check=True, cwd=folder,
                   env=dict(os.environ, CC="false", PIP_CONFIG_FILE="/dev/null", PIP_ROOT_USER_ACTION="ignore"))


def version_of_build():
    with open(os.path.join(BUILD, "include/kata/version.h"), encoding="utf-8") as file:
        return file.read().split('#define KATA_VERSION "')[1].split('"')[0]


def check(folder):
    source = os.path.join(folder, "source")
    # pip builds inside of the source, which may be read-only.
    shutil.copytree(os.path.join(TOP, "bindings/python"), source,
                    ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    subprocess.run(["chmod", "-R", "u+w", source], check=True)
    pip(source, "wheel", *OFFLINE, "--wheel-dir", "wheels", ".")
    [wheel] = glob.glob(os.path.join(source, "wheels/*.whl"))
    version = version_of_build()
    assert os.path.basename(wheel) == f"kata-{version}-py3-none-any.whl", wheel
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("kata/")}
    wanted = {f"kata/{os.path.basename(path)}" for path in glob.glob(os.path.join(TOP, "bindings/python/kata/*"))
              if not path.endswith("__pycache__")}
    assert packed == wanted, packed ^ wanted
    for what in (wheel, "."):
        target = os.path.join(folder, f"installed-{len(what)}")
        pip(source, "install", *OFFLINE, "--target", target, what)
        done = subprocess.run([PYTHON, "-c", SCRIPT], check=True, text=True, stdout=subprocess.PIPE, cwd="/",
                              env=dict(os.environ, PYTHONPATH=target,
                                       KATA_LIBRARY=os.path.join(BUILD, "lib/.libs/libkata.so.0")))
        assert done.stdout.split() == [version, os.path.join(target, "kata/__init__.py")], done.stdout
    print(f"{os.path.basename(wheel)} works")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        check(scratch)
