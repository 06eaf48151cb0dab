#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks of the host in the guest: root file systems, volumes, devices; guests without a shared directory."""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys

from kata_cli import OWNER, SOURCE, CliTest, fill_rootfs, main, require_guests, wait_for
from storage import (NO_SHARE, add_mount, call, change_document, loop_device, loops_of, look, make_image, mounted, tool,
                     use_root, write)

sys.path.insert(0, os.path.join(SOURCE, "tests/engines"))
import ttrpc  # noqa: E402  pylint: disable=wrong-import-position


class StorageTest(CliTest):
    def exec(self, container, script):
        return self.ok("exec", container, "sh", "-c", script)


class NoShareTest(StorageTest):
    """Guests without a shared directory: disks, and copies."""
    settings = NO_SHARE

    def test_root_that_is_written(self):
        image = make_image(self.world, "root.ext4")
        script = "echo kept > /data/file; grep -c ' / ext4 rw' /proc/mounts; cat /etc/note"
        bundle = self.world.bundle("sh", "-c", script, rootfs=False, change=use_root(image))
        write(self.world.path("note"), "a file of the host\n")
        add_mount(bundle, self.world.path("note"), "/etc/note")
        self.assertEqual(self.ok("run", "--bundle", bundle, "c1"), "1\na file of the host\n")
        wait_for(lambda: loops_of(image) == "", "the loop device to go")
        self.assertEqual(look(image, "/data/file"), "kept")
        call(tool("e2fsck"), "-fn", image)

    def test_device(self):
        """A device as the root, for its one user: neither the host nor another guest gets it meanwhile."""
        image = make_image(self.world, "root.ext4")
        with loop_device(image) as device:
            bundle = self.world.bundle("sleep", "1000", rootfs=False, change=use_root(device))
            with mounted(device, self.world.path("mnt")):
                self.fails("the host has mounted it; unmount it there first", "run", "-d", "--bundle", bundle, "c1")
            self.ok("run", "-d", "--bundle", bundle, "c1")
            self.fails("another one has it", "run", "-d", "--bundle", bundle, "c2")
            result = subprocess.run(["mount", device, self.world.path("mnt")], capture_output=True, check=False)
            self.assertNotEqual(result.returncode, 0)
            self.exec("c1", "echo on the device > /data/file")
            self.ok("delete", "--force", "c1")
            with mounted(device, self.world.path("mnt"), "-o", "ro") as place:
                with open(os.path.join(place, "data/file"), encoding="utf-8") as file:
                    self.assertEqual(file.read(), "on the device\n")

    def test_mount_of_the_host(self):
        """A directory where the host has mounted a device: taken if nobody can write to it, refused otherwise."""
        image = make_image(self.world, "root.squashfs", "squashfs")
        bundle = self.world.bundle("sh", "-c", "grep -c ' / overlay rw' /proc/mounts; echo x > /data/file; cat /data/file",
                                   rootfs=False)
        with loop_device(image, "--read-only") as device, mounted(device, os.path.join(bundle, "rootfs"), "-o", "ro"):
            self.assertEqual(self.ok("run", "--bundle", bundle, "c1"), "1\nx\n")
        image = make_image(self.world, "other.ext4")
        with loop_device(image) as device, mounted(device, os.path.join(bundle, "rootfs")):
            self.fails("give it as a block device or as an image file", "run", "--bundle", bundle, "c1")
        self.fails("give it as a block device or as an image file", "run", "--bundle", self.world.bundle("true"), "c1")

    def test_root_from_containerd(self):
        """The root file system as a mount in the request, of a device as devmapper gives it and of an image."""
        images = [make_image(self.world, "root.ext4"), make_image(self.world, "root.squashfs", "squashfs")]
        with loop_device(images[0]) as device:
            for number, mount in enumerate(({1: "ext4", 2: device, 4: "discard"},
                                            {1: "squashfs", 2: images[1], 4: "loop"})):
                bundle = self.world.bundle("sh", "-c", "echo kept > /data/file && grep -c ' / [eo]' /proc/mounts && exit 5",
                                           rootfs=False)
                write(self.world.path("out"), "")
                self.assertEqual(self.run_as_containerd(f"t{number}", bundle, mount), 5)
                with open(self.world.path("out"), encoding="utf-8") as file:
                    self.assertEqual(file.read(), "1\n")
        self.assertEqual(look(images[0], "/data/file"), "kept")

    def make_layer(self, name, fill):
        content, image = self.world.path(f"content-{name}"), self.world.path(f"{name}.erofs")
        os.makedirs(content)
        fill(content)
        call(tool("mkfs.erofs"), image, content)
        return image

    def make_layers(self):
        """The topmost first: one that adds; one that changes, takes away and hides what was in a directory; busybox."""
        def change(content):
            os.makedirs(f"{content}/etc")
            os.makedirs(f"{content}/hidden")
            write(f"{content}/etc/motd", "changed\n")
            os.mknod(f"{content}/gone", stat.S_IFCHR, os.makedev(0, 0))
            write(f"{content}/hidden/new", "")
            os.setxattr(f"{content}/hidden", "trusted.overlay.opaque", b"y")

        def fill(content):
            fill_rootfs(content)
            os.makedirs(f"{content}/hidden")
            for name in ("etc/motd", "gone", "hidden/old"):
                write(f"{content}/{name}", "of the lowest\n")
        return [self.make_layer("top", lambda content: write(f"{content}/top", "added\n")), self.make_layer("changes", change),
                self.make_layer("lowest", fill)]

    def test_root_of_layers(self):
        """As containerd's erofs snapshotter has it since 2.2: the guest joins them; what is written goes to memory, or to a
        disk of the snapshot's own."""
        layers = [{1: "erofs", 2: image, 4: ["ro", "loop"]} for image in self.make_layers()]
        written = self.world.path("rwlayer.img")
        call("truncate", "-s", "16M", written)
        call(tool("mkfs.ext4"), "-q", written)
        upper = ["X-containerd.mkdir.path={{ mount 0 }}/upper:0755", "X-containerd.mkdir.path={{ mount 0 }}/work:0755",
                 "workdir={{ mount 0 }}/work", "upperdir={{ mount 0 }}/upper", "lowerdir={{ overlay 1 3 }}"]
        memory = [f"workdir={self.world.path('work')}", f"upperdir={self.world.path('upper')}", "lowerdir={{ overlay 0 2 }}",
                  "index=off"]
        script = "cat /top /etc/motd; ls /gone /hidden 2>/dev/null; echo kept >/hidden/file; rm /top; cat /hidden/file /top; " \
            "grep -c ' / overlay rw' /proc/mounts; grep -c ' vd' /proc/partitions; exit 5"
        for number, (first, options) in enumerate((([], memory), ([{1: "ext4", 2: written, 4: ["rw", "loop"]}], upper))):
            bundle = self.world.bundle("sh", "-c", script, rootfs=False)
            mounts = [*first, *layers, {1: "format/mkdir/overlay", 2: "overlay", 4: options}]
            write(self.world.path("out"), "")
            self.assertEqual(self.run_as_containerd(f"l{number}", bundle, mounts), 5)
            with open(self.world.path("out"), encoding="utf-8") as file:
                self.assertEqual(file.read(), f"added\nchanged\n/hidden:\nnew\nkept\n1\n{3 + number}\n")
        self.assertEqual(look(written, "/upper/hidden/file"), "kept")
        call(tool("e2fsck"), "-fn", written)
        for image in (written, *(layer[2] for layer in layers)):
            wait_for(lambda image=image: loops_of(image) == "", "the loop devices to go")

    def test_too_many_layers(self):
        """More than a machine has ports: refused by name, and nothing is left."""
        lowest = self.make_layers()[2]
        images = [shutil.copy(lowest, self.world.path(f"{number}.erofs")) for number in range(9)]
        mounts = [{1: "erofs", 2: image, 4: ["ro"]} for image in images]
        mounts.append({1: "format/overlay", 2: "overlay", 4: ["lowerdir={{ overlay 0 8 }}"]})
        with self.assertRaisesRegex(AssertionError, r"cannot plug '.*/8\.erofs' .*all 8 ports are taken .*pcie_root_port"):
            self.run_as_containerd("many", self.world.bundle("true", rootfs=False), mounts)
        for image in images:
            wait_for(lambda image=image: loops_of(image) == "", "the loop devices to go", 20)

    def run_as_containerd(self, container, bundle, mount):
        flags = ["-namespace", "kata", "-id", container, "-root", self.world.root]
        address = subprocess.run([OWNER, *flags, "start"], env=dict(self.world.env, KATA_CONF_FILE=self.world.config),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, cwd=bundle).stdout
        client = ttrpc.Client(address.strip())
        self.addCleanup(client.close)

        def task(method, message):
            status, answer = client.call("containerd.task.v2.Task", method, message)
            self.assertEqual(status, "OK", f"{method}: {answer}")
            return answer
        try:
            task("Create", {1: container, 2: bundle, 3: mount, 6: "file://" + self.world.path("out")})
            task("Start", {1: container})
            status = task("Wait", {1: container})[1][0]
            task("Delete", {1: container})
        finally:
            task("Shutdown", {1: container})
        return status

    def test_bad_images(self):
        image = self.world.path("empty")
        call("truncate", "-s", "1M", image)
        bundle = self.world.bundle("true", rootfs=False, change=use_root(image))
        self.fails("no file system is found on it", "run", "--bundle", bundle, "c1")
        change_document(bundle, use_root(self.world.path("missing")))
        self.fails("No such file or directory", "run", "--bundle", bundle, "c1")
        change_document(bundle, use_root("/dev/null"))
        self.fails("give it as a block device", "run", "--bundle", bundle, "c1")

    def test_copies(self):
        """What config.json mounts comes as a copy, and changes of a projected volume come after it."""
        volume = self.world.path("volume")
        os.makedirs(os.path.join(volume, "..1", "deep"))
        write(os.path.join(volume, "..1", "key"), "first")
        write(os.path.join(volume, "..1", "deep", "file"), "x" * 3000000)
        os.symlink("..1", os.path.join(volume, "..data"))
        os.symlink("..data/key", os.path.join(volume, "key"))
        os.mkfifo(os.path.join(volume, "left-out"))
        image = make_image(self.world, "root.erofs", "erofs")
        bundle = self.world.bundle("sleep", "1000", rootfs=False, change=use_root(image))
        add_mount(bundle, volume, "/data/volume")
        self.ok("run", "-d", "--bundle", bundle, "c1")
        self.assertEqual(self.exec("c1", "cat /data/volume/key; ls /data/volume; wc -c < /data/volume/..data/deep/file"),
                         "firstkey\n3000000\n")
        os.makedirs(os.path.join(volume, "..2"))
        write(os.path.join(volume, "..2", "key"), "second")
        os.symlink("..2", os.path.join(volume, "..new"))
        os.rename(os.path.join(volume, "..new"), os.path.join(volume, "..data"))
        wait_for(lambda: self.exec("c1", "cat /data/volume/key") == "second", "the change to come")
        self.ok("delete", "--force", "c1")
        with open(os.path.join(volume, "big"), "w", encoding="utf-8") as file:
            file.truncate(65 << 20)
        self.fails("has more than 4096 files or 64 MiB", "run", "-d", "--bundle", bundle, "c1")


class DevicesTest(StorageTest):
    """Disks beside a shared directory."""

    def test_devices(self):
        """By bind mount and by the list of devices, read-only and not; the guest's numbers are other ones."""
        images = [self.world.path(f"disk{i}") for i in range(5)]
        for number, image in enumerate(images):
            write(image, f"disk {number}\n")
            os.truncate(image, 1 << 20)
        with contextlib.ExitStack() as stack:
            devices = [stack.enter_context(loop_device(image)) for image in images]
            numbers = [os.stat(device).st_rdev for device in devices]

            def change(document):
                document["linux"]["devices"] = [{"path": f"/dev/disk{i}", "type": "b", "major": os.major(numbers[i]),
                                                 "minor": os.minor(numbers[i])} for i in range(3)]
                document["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}] + [
                    {"allow": True, "type": "b", "major": os.major(numbers[i]), "minor": os.minor(numbers[i]),
                     "access": access} for i, access in ((0, "rwm"), (1, "r"), (3, "rw"), (4, "rwm"))]}
            bundle = self.world.bundle("sleep", "1000", change=change)
            add_mount(bundle, devices[3], "/mounted")
            add_mount(bundle, devices[4], "/dev/in-dev", "ro")
            self.ok("run", "-d", "--bundle", bundle, "c1")
            # Nobody has asked for the third, as with all others of the host in a privileged container.
            self.assertEqual(self.exec("c1", "ls /dev | grep disk; head -n 1 /dev/disk0; head -n 1 /dev/disk1;"
                                             "head -n 1 /mounted; head -n 1 /dev/in-dev"),
                             "disk0\ndisk1\ndisk 0\ndisk 1\ndisk 3\ndisk 4\n")
            self.assertEqual(self.exec("c1", "exec 2> /dev/null; echo new > /dev/disk0; echo x > /dev/disk1 || echo kept;"
                                             "echo x > /dev/in-dev || echo kept;"
                                             "echo more > /mounted; sync"), "kept\nkept\n")
            # The owner's end is not the disks'.
            for path in glob.glob(os.path.join(self.world.root, "s/*/owner.pid")):
                with open(path, encoding="utf-8") as file:
                    os.kill(int(file.read()), signal.SIGKILL)
            self.assertEqual(self.exec("c1", "head -n 1 /dev/in-dev"), "disk 4\n")
            for number in (0, 3):
                with self.assertRaises(OSError):
                    os.close(os.open(devices[number], os.O_RDWR | os.O_EXCL))
            self.ok("delete", "--force", "c1")
            for device in devices:
                os.close(os.open(device, os.O_RDWR | os.O_EXCL))
        for image, start in zip(images, ("new\n", "disk 1", "disk 2", "more\n", "disk 4")):
            with open(image, encoding="utf-8", errors="replace") as file:
                self.assertTrue(file.read(8).startswith(start), image)


    def test_memory(self):
        """/dev/shm and emptyDir in memory are the guest's own, as large as the host's; a directory of the host is not."""
        shm, volumes = self.world.path("shm"), self.world.path("volumes/kubernetes.io~empty-dir")
        with contextlib.ExitStack() as stack:
            for place, fstype, options in ((shm, "tmpfs", "size=3m,mode=1777"),
                                           (volumes + "/memory", "tmpfs", "size=2m,mode=770,gid=7"),
                                           (volumes + "/pages", "hugetlbfs", "pagesize=2M,mode=750,gid=8")):
                os.makedirs(place)
                stack.enter_context(mounted(fstype, place, "-t", fstype, "-o", options))
            os.makedirs(volumes + "/disk")
            bundle = self.world.bundle("sleep", "1000", change=lambda document: document["linux"].update(
                resources={"hugepageLimits": [{"pageSize": "2MB", "limit": 8 << 20}]}))
            for source, destination in ((shm, "/dev/shm"), (volumes + "/memory", "/memory"), (volumes + "/disk", "/disk"),
                                        (volumes + "/pages", "/pages")):
                add_mount(bundle, source, destination)
            self.ok("run", "-d", "--bundle", bundle, "c1")
            self.assertEqual(self.exec("c1", "df -k /dev/shm /memory | awk 'NR > 1 {print $1, $2}';"
                                             "stat -c '%a %g' /dev/shm /memory; echo x | tee /dev/shm/a /memory/a /disk/a"),
                             "tmpfs 3072\ntmpfs 2048\n1777 0\n770 7\nx\n")
            self.assertEqual(self.exec("c1", "stat -c '%a %g' /pages; awk '/HugePages_Total/ { print $2 }' /proc/meminfo;"
                                             "grep -c ' /pages hugetlbfs rw,.*pagesize=2M' /proc/mounts"), "750 8\n4\n1\n")
            self.assertEqual([os.listdir(place) for place in (shm, volumes + "/memory", volumes + "/disk")],
                             [[], [], ["a"]])
            self.ok("delete", "--force", "c1")


class DiskSettingsTest(StorageTest):
    """How QEMU serves disks, as the settings have it."""
    settings = [("hypervisor.qemu", "default_vcpus", "2"), ("hypervisor.qemu", "enable_iothreads", "true"),
                ("hypervisor.qemu", "block_device_aio", '"native"'), ("hypervisor.qemu", "block_device_num_queues", "2"),
                ("hypervisor.qemu", "block_device_logical_sector_size", "4096"),
                ("hypervisor.qemu", "block_device_physical_sector_size", "4096")]

    def drivers(self):
        """Of its disks, as libvirt has them."""
        (path,) = glob.glob(os.path.join(self.world.root, "s/*/v/run/qemu/kata.xml"))
        with open(path, encoding="utf-8") as file:
            return re.findall(r"<driver name='qemu' type='raw'.*/>", file.read())

    def test_settings(self):
        """A written and a read disk, with another thread, two queues and larger sectors; then by io_uring, unsafely."""
        images = [self.world.path(f"disk{i}") for i in range(2)]
        for number, image in enumerate(images):
            write(image, f"disk {number}\n")
            os.truncate(image, 1 << 20)
        with contextlib.ExitStack() as stack:
            devices = [stack.enter_context(loop_device(image)) for image in images]
            bundle = self.world.bundle("sleep", "1000")
            add_mount(bundle, devices[0], "/written")
            add_mount(bundle, devices[1], "/read", "ro")
            change_document(bundle, lambda document: document["mounts"].append(
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}))
            self.ok("run", "-d", "--bundle", bundle, "c1")
            self.assertEqual(self.exec("c1", "head -n 1 /written /read; cd /sys/block/vda; ls mq; cat queue/*ical_block_size;"
                                             "echo more >/written; sync"),
                             "==> /written <==\ndisk 0\n\n==> /read <==\ndisk 1\n0\n1\n4096\n4096\n")
            (machine,) = self.world.machines()
            names = []
            for path in glob.glob(f"/proc/{machine}/task/*/comm"):
                with open(path, encoding="utf-8") as file:
                    names.append(file.read())
            self.assertEqual(len([name for name in names if name.startswith("IO iothread1")]), 1, names)
            # The memory that Linux' asynchronous I/O shares with a process that uses it.
            with open(f"/proc/{machine}/maps", encoding="utf-8") as file:
                self.assertIn("/[aio]", file.read())
            written, read = self.drivers()
            self.assertIn("cache='none' io='native'", written)
            self.assertIn("cache='writeback'", read)
            self.assertNotIn("native", read)
            self.ok("delete", "--force", "c1")
            self.world.configure([("hypervisor.qemu", "block_device_aio", '"io_uring"'),
                                  ("hypervisor.qemu", "block_device_cache_set", "true"),
                                  ("hypervisor.qemu", "block_device_cache_noflush", "true")])
            self.ok("run", "-d", "--bundle", bundle, "c1")
            self.assertEqual(self.exec("c1", "head -n 1 /written; echo last >/written; sync; head -n 1 /read"), "more\ndisk 1\n")
            for driver in self.drivers():
                self.assertIn("cache='unsafe' io='io_uring'", driver)
            self.ok("delete", "--force", "c1")
        with open(images[0], encoding="utf-8", errors="replace") as file:
            self.assertTrue(file.read(8).startswith("last\n"))
        for more, text in (({"block_device_logical_sector_size": "1000"}, "is 1000: it must be 0 or a power of two from 512"),
                           ({"block_device_logical_sector_size": "8192"}, "greater than block_device_physical_sector_size"),
                           ({"block_device_aio": '"posix"'}, "'block_device_aio' takes one of"),
                           ({"block_device_cache_direct": "true"}, "cannot both be true")):
            known = dict(self.world.settings)
            self.world.configure([("hypervisor.qemu", key, value) for key, value in more.items()])
            self.fails(text, "run", "--bundle", bundle, "c1")
            self.world.configure([(*key, value) for key, value in known.items()])


class DirectVolumeTest(StorageTest):
    """Block devices that a CSI driver leaves for the guest to mount."""

    def direct_volume(self, command, *args, path=None):
        return ["direct-volume", command, "--volume-path", path or self.world.path("published"), *args]

    def test_direct_volume(self):
        """Two containers of a pod have one disk; it is measured and made larger meanwhile, also by another owner."""
        image, published = self.world.path("disk"), self.world.path("published")
        call("truncate", "-s", "16M", image)
        call(tool("mkfs.ext4"), "-q", image)
        os.mkdir(published)
        self.addCleanup(self.world.run, *self.direct_volume("remove"))
        with loop_device(image) as device:
            info = {"volume-type": "block", "device": device, "fstype": "ext4", "options": ["noatime"],
                    "metadata": {"fsGroup": "3000"}}
            self.ok(*self.direct_volume("add", "--mount-info", json.dumps(info)))
            kind, name = "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"
            for container, options in (("c1", []), ("c2", ["ro"])):
                annotations = {kind: "sandbox" if container == "c1" else "container", name: "c1"}
                bundle = self.world.bundle("sleep", "1000", change=lambda document, annotations=annotations:
                                           document.update(annotations=annotations))
                add_mount(bundle, published, "/volume", *options)
                self.ok("run", "-d", "--bundle", bundle, container)
            self.assertEqual(self.exec("c1", "echo text > /volume/file; stat -c '%g %a' /volume; grep -c noatime /proc/mounts"),
                             "3000 2775\n1\n")
            self.assertEqual(self.exec("c2", "cat /volume/file; touch /volume/x 2> /dev/null || echo kept"), "text\nkept\n")
            self.assertEqual(os.listdir(published), [])
            self.assertIn(f"{published}  {device}  c1\n", self.ok("direct-volume", "list"))
            with self.assertRaises(OSError):
                os.close(os.open(device, os.O_RDWR | os.O_EXCL))
            usage = json.loads(self.ok(*self.direct_volume("stats")))["usage"]
            self.assertEqual([entry["unit"] for entry in usage], [1, 2])
            self.assertTrue(8 << 20 < usage[0]["total"] <= 16 << 20, usage)
            self.assertTrue(0 < usage[0]["used"] < usage[0]["total"] >= usage[0]["available"], usage)
            # The first one's end, and the owner's, are not the second one's.
            self.ok("delete", "--force", "c1")
            for path in glob.glob(os.path.join(self.world.root, "s/*/owner.pid")):
                with open(path, encoding="utf-8") as file:
                    os.kill(int(file.read()), signal.SIGKILL)
            self.assertEqual(self.exec("c2", "cat /volume/file"), "text\n")
            self.fails("its disk has 16777216", *self.direct_volume("resize", "--size", str(32 << 20)))
            os.truncate(image, 32 << 20)
            call(tool("losetup"), "--set-capacity", device)
            self.ok(*self.direct_volume("resize", "--size", str(32 << 20)))
            self.assertGreater(json.loads(self.ok(*self.direct_volume("stats")))["usage"][0]["total"], 20 << 20)
            self.ok("delete", "--force", "c2")
            self.fails("no running sandbox has", *self.direct_volume("stats"))
            with mounted(device, self.world.path("mnt"), "-o", "ro") as place:
                with open(os.path.join(place, "file"), encoding="utf-8") as file:
                    self.assertEqual(file.read(), "text\n")
        self.ok(*self.direct_volume("remove"))
        self.ok(*self.direct_volume("remove"))
        self.assertNotIn(published, self.ok("direct-volume", "list"))

    def test_wrong_volumes(self):
        """Refused before a guest starts, with the volume's name."""
        published = self.world.path("published")
        os.mkdir(published)
        self.addCleanup(self.world.run, *self.direct_volume("remove"))
        bundle = self.world.bundle("true")
        add_mount(bundle, published, "/volume")
        for info, words in (('{"device": "/no/such/device"}', "cannot open its device '/no/such/device'"),
                            (json.dumps({"device": bundle + "/config.json"}), "no file system is found on it")):
            self.ok(*self.direct_volume("add", "--mount-info", info))
            self.fails(words, "run", "--bundle", bundle, "c1")
        for args, words in ((["add", "--mount-info", '{"device": "x"}'], "absolute path"), (["add"], "--mount-info"),
                            (["resize"], "--size"), (["resize", "--size", "2G"], "--size"), (["stats"], "no running sandbox")):
            self.fails(words, *self.direct_volume(*args))
        self.fails("--volume-path", "direct-volume", "stats")


class RefusingGuestTest(StorageTest):
    settings = [("hypervisor.qemu", "kernel_params", '"acpiphp.disable=1"')]

    def test_refusal(self):
        """A guest that takes nothing in: the creation ends with the reason, and the host gets its disk back."""
        image = make_image(self.world, "root.ext4")
        with loop_device(image) as device:
            self.fails("03.0/00", "run", "-d", "--bundle",
                       self.world.bundle("true", rootfs=False, change=use_root(device)), "c1")
            wait_for(lambda: not self.world.left_overs(), "everything to go")
            os.close(os.open(device, os.O_RDWR | os.O_EXCL))


if __name__ == "__main__":
    main(require_guests)
