#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""katactl env and katactl config check: what settings there are, where they are from, what is wrong with a file."""
import json
import os

import kata_cli

# A file of a Kata user in our syntax: section -> lines. OURS have an effect, OTHERS have none.
OURS = {
    "hypervisor.qemu": ['path = "/usr/bin/qemu-system-x86_64"', 'kernel = "/k"', 'initrd = "/i"', 'machine_type = "q35"',
                        'kernel_params = ""', 'firmware = ""', "default_vcpus = 1", "default_maxvcpus = 0",
                        "default_memory = 2048", 'shared_fs = "virtio-fs"', 'virtio_fs_daemon = "/usr/libexec/virtiofsd"',
                        'virtio_fs_cache = "auto"', 'virtio_fs_extra_args = ["--thread-pool-size=1"]',
                        "disable_block_device_use = false", "reclaim_guest_freed_memory = false", "pcie_root_port = 0",
                        'block_device_aio = "io_uring"', "block_device_cache_set = false",
                        "block_device_cache_direct = false", "block_device_cache_noflush = false",
                        "block_device_num_queues = 1", "block_device_logical_sector_size = 0",
                        "block_device_physical_sector_size = 0", "enable_iothreads = false", "rx_rate_limiter_max_rate = 0",
                        "disable_vhost_net = false", "network_queues = 1", "tx_rate_limiter_max_rate = 0", 'enable_annotations = ["enable_iommu", "kernel_params"]',
                        'valid_hypervisor_paths = ["/usr/bin/qemu-system-x86_64"]',
                        'valid_virtio_fs_daemon_paths = ["/usr/libexec/virtiofsd"]', "enable_debug = true"],
    "factory": ["enable_template = false", 'template_path = "/run/vc/vm/template"'],
    "agent.kata": ["enable_debug = true", "kernel_modules = []", "debug_console_enabled = false", "dial_timeout = 45"],
    "runtime": ["enable_debug = true", "static_sandbox_resource_mgmt = false", "create_container_timeout = 60"],
}
OTHERS = {
    "hypervisor.qemu": ['image = "/m"', 'rootfs_type = "ext4"', 'kernel_verity_params = ""', 'firmware_volume = ""',
                        'machine_accelerators = ""', 'cpu_features = "pmu=off"', 'entropy_source = "/dev/urandom"',
                        "pflashes = []", "disable_image_nvdimm = false", "use_legacy_serial = false", "memory_slots = 10",
                        "default_maxmemory = 0", "memory_offset = 0", "enable_virtio_mem = false",
                        "enable_mem_prealloc = false", "enable_hugepages = false",
                        "enable_guest_swap = false", "default_bridges = 1", "overhead_vcpus = 0.2", "overhead_memory = 32",
                        "enable_numa = false", "numa_mapping = []", "virtio_fs_cache_size = 0",
                        "virtio_fs_queue_size = 1024", "msize_9p = 8192", 'block_device_driver = "virtio-scsi"',
                        "block_device_queue_size = 128", "indep_iothreads = 0", "enable_vhost_user_store = false",
                        'vhost_user_store_path = "/var/run/kata-containers/vhost-user"', 'hot_plug_vfio = "no-port"',
                        'cold_plug_vfio = "no-port"', "pcie_switch_port = 0", "enable_iommu = false",
                        "enable_iommu_platform = false",
                        "valid_jailer_paths = []", "valid_vhost_user_store_paths = []", "valid_entropy_sources = []",
                        "rootless = false # as it is", 'seccompsandbox = ""', 'seccomp_sandbox = ""',
                        "disable_selinux = false", "disable_guest_selinux = true", "confidential_guest = false",
                        'guest_hook_path = ""', 'extra_monitor_socket = ""', 'guest_memory_dump_path = ""',
                        "disable_nesting_checks = true"],
    "factory": ['vm_cache_endpoint = "/var/run/kata-containers/cache.sock"'],
    "agent.kata": ["enable_tracing = false", "cdh_api_timeout = 50", "dial_timeout_ms = 10", "reconnect_timeout_ms = 3000"],
    "agent.kata.mem_agent": ["mem_agent_enable = false"],
    "runtime": ['internetworking_model = "tcfilter"', "disable_guest_seccomp = true", "enable_vcpus_pinning = false",
                'guest_selinux_label = ""', "enable_tracing = false", 'jaeger_endpoint = ""', 'jaeger_user = ""',
                'jaeger_password = ""', "disable_new_netns = false", "sandbox_cgroup_only = false",
                "sandbox_bind_mounts = []", 'vfio_mode = "guest-kernel"', "disable_guest_empty_dir = true",
                'emptydir_mode = "shared-fs"', "experimental = []", "enable_pprof = false", 'dan_conf = ""',
                'kubelet_root_dir = ""', 'pod_resource_api_sock = ""', 'name = "virt_container"',
                'hypervisor_name = "qemu"', 'agent_name = "kata"', "keep_abnormal = false", "use_passfd_io = false",
                'log_level = "info"'],
    "hypervisor.clh": ['path = "/usr/bin/cloud-hypervisor"'],
}
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

    def test_a_file_of_a_kata_user(self):
        lines, silent = [], []
        for section in {**OURS, **OTHERS}:
            lines += [f"[{section}]"] + OURS.get(section, [])
            for line in OTHERS.get(section, []):
                lines.append(line)
                silent.append((len(lines), line.split()[0]))
        result = self.check("\n".join(lines) + "\n")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        *warnings, last = result.stdout.splitlines()
        self.assertEqual(len(warnings), len(silent))
        for warning, (number, key) in zip(warnings, silent):
            self.assertTrue(warning.startswith(f"{self.world.path('some.conf')}:{number}: warning: '{key}' has no effect: "),
                            (warning, number, key))
        self.assertTrue(last.endswith(": ok"))

    def test_no_protection_is_promised_that_is_not_given(self):
        self.refused("[hypervisor.qemu]\nconfidential_guest = true\n", ":2: ", "'confidential_guest' can only be false here")
        self.refused("[hypervisor.qemu]\n\nrootless = true # !\n", ":3: ", "'rootless' can only be false here")
        self.refused('[runtime]\nguest_selinux_label = "x"\n', ":2: ", "'guest_selinux_label' can only be")
        self.refused("[hypervisor.qemu]\nmsize_9 = 1\n", ":2: ", "no key 'msize_9'")
        self.refused("[hypervisor.xen]\nmsize_9p = 1\n", ":2: ", "unknown section [hypervisor.xen]")

    def test_the_one_in_use_with_its_drop_ins(self):
        self.assertEqual(self.ok("config", "check"), f"{self.world.config}: ok\n")
        write(self.world.path("conf.d/10-wrong.conf"), "[runtime]\nenable_debug = 2\n")
        self.fails("conf.d/10-wrong.conf:2: ", "config", "check")
        self.fails("conf.d/10-wrong.conf:2: ", "env")


class Env(kata_cli.CliTest):
    def test_each_setting_has_its_source(self):
        drop_in = write(self.world.path("conf.d/10-more.conf"), "# more\n[hypervisor.qemu]\ndefault_vcpus = 3\nmsize_9p = 1\n")
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
        self.assertEqual([(one["key"], one["source"]) for one in document["ignored"]], [("msize_9p", f"{drop_in}:4")])
        text = self.ok("env")
        self.assertIn(f"[hypervisor.qemu] msize_9p  # {drop_in}:4: ", text)
        self.assertIn(f"default_vcpus = 3  # {drop_in}:3\n", text)
        self.assertIn("[runtime]\nenable_debug = false  # default\n", text)

    def test_annotations_are_a_source(self):
        name = "io.katacontainers.config.hypervisor.default_vcpus"
        write(self.world.path("conf.d/10.conf"), '[hypervisor.qemu]\nenable_annotations = ["default_vcpus"]\n')

        def annotate(**annotations):
            return self.world.bundle("true", rootfs=False, change=lambda document: document.update(annotations=annotations))

        bundle = annotate(**{name: "2"})
        self.assertIn(f"default_vcpus = 2  # annotation {name}\n", self.ok("env", "--bundle", bundle))
        settings = {one["key"]: one for one in json.loads(self.ok("env", "--json", "-b", bundle))["settings"]}
        self.assertEqual((settings["default_vcpus"]["value"], settings["default_vcpus"]["source"]), (2, f"annotation {name}"))
        self.assertIn("default_vcpus = 1  # default\n", self.ok("env"))
        self.fails("default_memory", "env", "--bundle",
                   annotate(**{"io.katacontainers.config.hypervisor.default_memory": "512"}))
        self.fails("cannot open bundle", "env", "--bundle", self.world.path("none"))

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
