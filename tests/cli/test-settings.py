#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""katactl env and katactl config check: what settings there are, where they are from, what is wrong with a file."""
import json
import os

import kata_cli

KERNEL_VERSION = "6.1.0-test (someone@somewhere) #1 SMP"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def write_kernel(path):
    """The head of a bzImage: the magic, and where its version's text begins."""
    head = bytearray(4096)
    head[0x202:0x206] = b"HdrS"
    head[0x20e:0x210] = (0x400).to_bytes(2, "little")
    head[0x600:0x600 + len(KERNEL_VERSION)] = KERNEL_VERSION.encode()
    with open(path, "wb") as file:
        file.write(head)


class Config(kata_cli.CliTest):
    def check(self, text):
        return self.world.run("config", "check", write(self.world.path("some.conf"), text))

    def refused(self, text, *words):
        result = self.check(text)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        for word in (self.world.path("some.conf"), *words):
            self.assertIn(word, result.stderr.replace('\\"', '"'))

    def test_a_right_file(self):
        result = self.check("[hypervisor.qemu]\ndefault_vcpus = 2\n")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout, self.world.path("some.conf") + ": ok\n")
        self.assertEqual(self.check("").returncode, 0)

    def test_what_is_wrong_is_named(self):
        self.refused("[hypervisor.qemu]\n\ndefault_vcpu = 2\n", ":3: ", "'default_vcpu'", "'default_vcpus'")
        self.refused("[hypervisor.qemu]\ndefault_vcpus = 1000\n", ":2: ", "'default_vcpus' takes", "from -1 to 240")
        self.refused("[hypervisor.qemu]\naccelerator = \"xen\"\n", ":2: ", "'accelerator'", '"kvm"', '"tcg"')
        self.refused("[runtime]\nenable_debug = 1\n", ":2: ", "'enable_debug' takes true or false")
        self.refused("[nothing]\na = 1\n", ":2: ", "unknown section [nothing]")
        self.fails("cannot read the settings", "config", "check", self.world.path("none"))

    def test_the_one_in_use_with_its_drop_ins(self):
        self.assertEqual(self.ok("config", "check"), f"{self.world.config}: ok\n")
        write(self.world.path("conf.d/10-wrong.conf"), "[runtime]\nenable_debug = 2\n")
        self.fails("conf.d/10-wrong.conf:2: ", "config", "check")
        self.fails("conf.d/10-wrong.conf:2: ", "env")


class Env(kata_cli.CliTest):
    def test_each_setting_has_its_source(self):
        drop_in = write(self.world.path("conf.d/10-more.conf"), "# more\n[hypervisor.qemu]\ndefault_vcpus = 3\n")
        document = json.loads(self.ok("env", "--json"))
        settings = {(one["section"], one["key"]): one for one in document["settings"]}
        vcpus = settings["hypervisor.qemu", "default_vcpus"]
        self.assertEqual((vcpus["value"], vcpus["default"], vcpus["source"]), (3, 1, f"{drop_in}:3"))
        self.assertEqual(vcpus["allowed"], "a whole number from -1 to 240")
        with open(self.world.config, encoding="utf-8") as file:
            line = file.read().splitlines().index("default_memory = 256") + 1
        self.assertEqual(settings["hypervisor.qemu", "default_memory"]["source"], f"{self.world.config}:{line}")
        self.assertEqual(settings["runtime", "enable_debug"]["source"], "default")
        self.assertEqual((document["root"], document["config_file"]), (self.world.root, self.world.config))
        text = self.ok("env")
        self.assertIn(f"default_vcpus = 3  # {drop_in}:3\n", text)
        self.assertIn("[runtime]\nenable_debug = false  # default\n", text)

    def test_versions_guest_and_host(self):
        kernel, initrd = self.world.path("vmlinuz"), self.world.path("none.img")
        write_kernel(kernel)
        write(self.world.path("conf.d/10.conf"), f'[hypervisor.qemu]\nkernel = "{kernel}"\ninitrd = "{initrd}"\n'
              'virtio_fs_daemon = "/bin/false"\n')
        document = json.loads(self.ok("env", "--json"))
        versions, guest, host = document["versions"], document["guest"], document["host"]
        for name in ("katactl", "libkata", "owner", "libvirt"):
            self.assertRegex(versions[name], r"^\d+\.\d+\.\d+")
        self.assertRegex(versions["hypervisor"], r"^QEMU emulator version \d+\.")
        self.assertEqual(versions["virtio_fs_daemon"], "unknown: '/bin/false --version' failed")
        self.assertEqual((guest["kernel"]["version"], guest["kernel"]["bytes"]), (KERNEL_VERSION, 4096))
        self.assertEqual(guest["initrd"], {"path": initrd, "exists": False})
        self.assertEqual((host["kernel"], host["machine"]), (os.uname().release, os.uname().machine))
        self.assertEqual(host["cpus"], os.cpu_count())
        self.assertGreater(host["memory_mib"], 100)
        self.assertFalse({one["name"]: one["ok"] for one in host["checks"]}["guest image"])
        text = self.ok("env")
        self.assertRegex(text, rf"kernel version +{KERNEL_VERSION[:5]}")
        self.assertRegex(text, r"(?m)^   libvirt +\d")


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_katactl)
