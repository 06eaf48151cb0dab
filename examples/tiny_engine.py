#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""tiny_engine.py LAYOUT DIRECTORY: a container engine in small. Pulls the first image of an OCI image layout apart into a
bundle below DIRECTORY, which must not exist, and runs it in a virtual machine of its own. Files that a layer takes away
from those below it (whiteouts) it does not take away."""
import json
import os
import subprocess
import sys

import kata


def blob(layout, descriptor):
    algorithm, digest = descriptor["digest"].split(":")
    return os.path.join(layout, "blobs", algorithm, os.path.basename(digest))


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def make_bundle(layout, bundle):
    rootfs = os.path.join(bundle, "rootfs")
    os.makedirs(rootfs)
    manifest = read_json(blob(layout, read_json(os.path.join(layout, "index.json"))["manifests"][0]))
    for layer in manifest["layers"]:
        subprocess.run(["tar", "-x", "-C", rootfs, "--exclude=.wh.*", "-f", blob(layout, layer)], check=True)
    image = read_json(blob(layout, manifest["config"])).get("config", {})
    config = {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {
            "args": (image.get("Entrypoint") or []) + (image.get("Cmd") or []),
            "env": image.get("Env") or [],
            "cwd": image.get("WorkingDir") or "/",
            "user": {"uid": 0, "gid": 0},
        },
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "network"}]},
    }
    with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: tiny_engine.py LAYOUT DIRECTORY")
    layout, bundle = sys.argv[1:]
    try:
        make_bundle(layout, bundle)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        sys.exit(f"tiny_engine.py: {layout} is no OCI image layout: {error!r}")
    return kata.run(bundle, stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (kata.KataError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"tiny_engine.py: {error}")
