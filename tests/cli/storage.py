# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of disks share: images, loop devices, changes of a bundle."""
import contextlib
import json
import os
import shutil
import subprocess

from kata_cli import fill_rootfs, skip, wait_for

NO_SHARE = [("hypervisor.qemu", "shared_fs", '"none"')]


def tool(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin")
    if path is None:
        skip(f"'{name}' is not installed")
    return path


def call(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout.strip()


def make_image(world, name, fstype="ext4", size="24M"):
    """A file with a file system that has busybox in it."""
    content, image = world.path(f"content-{name}"), world.path(name)
    fill_rootfs(content)
    os.makedirs(os.path.join(content, "data"))
    if fstype == "ext4":
        call("truncate", "-s", size, image)
        call(tool("mkfs.ext4"), "-q", "-d", content, image)
    elif fstype == "erofs":
        call(tool("mkfs.erofs"), image, content)
    else:
        call(tool("mksquashfs"), content, image, "-quiet", "-no-progress")
    os.chmod(image, 0o600)
    return image


@contextlib.contextmanager
def loop_device(image, *options):
    device = call(tool("losetup"), "--find", "--show", *options, image)
    try:
        yield device
    finally:
        call(tool("losetup"), "--detach", device)


def is_free(device):
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def mounted(device, place, *options):
    """Where mounts do not propagate, as in a container, whoever makes itself a mount namespace meanwhile, such as the
    owner of another test's guest, keeps a copy of this one until it ends."""
    os.makedirs(place, exist_ok=True)
    call("mount", *options, device, place)
    try:
        yield place
    finally:
        call("umount", place)
        if device.startswith("/"):
            wait_for(lambda: is_free(device), f"{device} to be nobody's", 600)


def loops_of(path):
    return call(tool("losetup"), "--noheadings", "--output", "NAME", "--associated", path)


def look(image, path):
    """A file within an image that nobody uses any more."""
    return call(tool("debugfs"), "-R", f"cat {path}", image)


def use_root(path):
    def change(document):
        document["root"]["path"] = path
    return change


def add_mount(bundle, source, destination, *options):
    change_document(bundle, lambda document: document["mounts"].append(
        {"destination": destination, "type": "bind", "source": source, "options": ["rbind", *options]}))


def change_document(bundle, change):
    path = os.path.join(bundle, "config.json")
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    change(document)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
