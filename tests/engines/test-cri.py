#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pods by containerd's CRI plugin, called as a kubelet calls it; the handlers "kata", and "katactl" in runc's place,
beside "runc"."""
import concurrent.futures
import json
import os
import re
import subprocess
import unittest

import engines
from engines import EngineWorld, wait_for

try:
    import cri
    from cri import Cri, Failed
    from websocket import WebSocket
except ImportError as missing:
    engines.kata_cli.skip(f"{missing} (python3-grpcio)")

SLEEPER = ["/bin/sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"]
MIB = 1 << 20


class CriTest(unittest.TestCase):
    """Two pods for all tests: "one" as most pods are; "two" privileged, with one process namespace."""

    @classmethod
    def setUpClass(cls):
        cls.world = EngineWorld()
        cls.addClassCleanup(cls.world.close)
        cls.daemon = Cri(cls.world, engines.documented("Add to `config.toml", None, "docs/kubernetes.md") +
                         engines.documented("config.toml", cls.world.runtime("kata")))
        cls.addClassCleanup(cls.end)
        cls.daemon.import_image()
        cls.make_volumes()
        cls.one = cls.daemon.run_pod("one", sysctls={"net.core.somaxconn": "333", "kernel.shm_rmid_forced": "1"},
                                     ports=[{1: 0, 2: 80, 3: 8071}])
        cls.two = cls.daemon.run_pod("two", security={1: {2: cri.POD, 3: cri.NODE}, 6: True}, resources={4: 64 * MIB})
        cls.box = cls.daemon.run(cls.one, "box", *SLEEPER, resources={4: 96 * MIB})

    @classmethod
    def end(cls):
        try:
            cls.daemon.remove_all()
            cls.daemon.assert_nothing_left()
        finally:
            cls.daemon.stop()

    # Volumes that the kubelet changes as a whole, and where containers have them.
    published = {"projected": "/projected", "plugins/kubernetes.io~configmap/conf": "/conf",
                 "plugins/kubernetes.io~secret/inner": "/conf/inner"}

    @classmethod
    def make_volumes(cls):
        """As a kubelet has them, seen by containerd alone."""
        for name in ("plugins/kubernetes.io~empty-dir/memory", "plugins/kubernetes.io~empty-dir/disk", "host/sub"):
            os.makedirs(cls.world.path(f"volumes/{name}"))
        for name in cls.published:
            os.makedirs(cls.world.path(f"volumes/{name}/..1"))
            cls.write(f"{name}/..1/key", "old\n")
            os.symlink("..1", cls.world.path(f"volumes/{name}/..data"))
            os.symlink("..data/key", cls.world.path(f"volumes/{name}/key"))
        cls.write("host/sub/file", "of the host\n")
        cls.write("ended", "")
        subprocess.run(["nsenter", f"--mount=/proc/{cls.daemon.process.pid}/ns/mnt", "mount", "-t", "tmpfs", "-o", "size=8m",
                        "tmpfs", cls.world.path("volumes/plugins/kubernetes.io~empty-dir/memory")], check=True)

    @classmethod
    def write(cls, name, text):
        with open(cls.world.path(f"volumes/{name}"), "w", encoding="utf-8") as file:
            file.write(text)

    def volume(self, name, place, read_only=False):
        return {1: place, 2: self.world.path(f"volumes/{name}"), 3: read_only}

    def setUp(self):
        self.run_box, self.sh = self.daemon.run, self.daemon.sh

    def finish(self, container):
        self.daemon.stop_container(container, 0)
        self.daemon.remove_container(container)

    def new(self, pod, name, *command, **more):
        container = self.run_box(pod, name, *(command or SLEEPER), **more)
        self.addCleanup(self.finish, container)
        return container

    # ---- lives ----

    def test_life(self):
        """States, exit codes, log; a signal and its grace; init containers, a restart beside others."""
        daemon = self.daemon
        first = daemon.create(self.one, "first", "/bin/sh", "-c", "echo out; echo err >&2; exit 3", envs=[{1: "A", 2: "b"}])
        self.assertEqual(daemon.status(first)[0], cri.CREATED)
        daemon.call("StartContainer", {1: first})
        self.assertEqual(daemon.wait_ended(first)[:3], (cri.EXITED, 3, "Error"))
        wait_for(lambda: sorted(daemon.log_of(self.one, "first")) == [("stderr", "err"), ("stdout", "out")], "the log")
        daemon.remove_container(first)
        for attempt in range(2):
            again = self.run_box(self.one, "again", "/bin/sh", "-c", f"trap 'exit {7 + attempt}' TERM; echo {attempt}; "
                                 "while :; do sleep 0.1; done", attempt=attempt)
            wait_for(lambda: daemon.log_of(self.one, "again")[-1:] == [("stdout", str(attempt))], "its line")
            self.assertEqual(daemon.status(again)[0], cri.RUNNING)
            daemon.stop_container(again, 120)
            self.assertEqual(daemon.status(again)[:2], (cri.EXITED, 7 + attempt))
            daemon.remove_container(again)
        stubborn = self.run_box(self.one, "stubborn", "/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
        daemon.stop_container(stubborn, 1)
        self.assertEqual(daemon.status(stubborn)[:2], (cri.EXITED, 137))
        daemon.remove_container(stubborn)
        missing = daemon.create(self.one, "missing", "/no/such/program")
        with self.assertRaisesRegex(Failed, "no such file|not found"):
            daemon.call("StartContainer", {1: missing})
        self.assertEqual(daemon.status(missing)[:3], (cri.EXITED, 128, "StartError"))
        daemon.remove_container(missing)
        self.assertEqual(daemon.status(self.box)[0], cri.RUNNING)

    def test_probes(self):
        self.assertEqual(self.daemon.execute(self.box, "/bin/sh", "-c", "echo out; echo err >&2; exit 3"), (3, "out\n", "err\n"))
        with self.assertRaisesRegex(Failed, "timeout|deadline"):
            self.daemon.execute(self.box, "/bin/sleep", "4321", timeout=1)
        wait_for(lambda: "4321" not in self.sh(self.box, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "the probe's end")
        with self.assertRaisesRegex(Failed, "no such file|not found"):
            self.daemon.execute(self.box, "/no/such/probe")

    def test_streams(self):
        """Exec and Attach as kubectl has them, and a port of the guest's loopback."""
        def follow(method, message):
            return WebSocket(cri.text(self.daemon.call(method, message), 1), self.daemon.connect)
        plain = follow("Exec", {1: self.box, 2: ["/bin/sh", "-c", "read x; echo \"<$x>\"; echo err >&2; exit 6"],
                                4: True, 5: True, 6: True})
        plain.send(0, "line\n")
        found = plain.read_all()
        self.assertEqual((found[1], found[2]), (b"<line>\n", b"err\n"))
        self.assertEqual(json.loads(found[3])["details"]["causes"][0]["message"], "6")
        terminal = follow("Exec", {1: self.box, 2: ["/bin/sh"], 3: True, 4: True, 5: True})
        terminal.send(4, json.dumps({"Width": 123, "Height": 45}))
        terminal.send(0, "until [ \"$(stty size)\" = '45 123' ]; do sleep 0.1; done; tty; exit 5\n")
        terminal.read_until(1, b"/dev/pts/")
        self.assertIn(b'"5"', terminal.read_all()[3])
        cat = self.new(self.one, "cat", "/bin/cat", stdin=True)
        attached = follow("Attach", {1: cat, 2: True, 4: True, 5: True})
        attached.send(0, "said\n")
        attached.read_until(1, b"said\n")
        attached.close()
        wait_for(lambda: ("stdout", "said") in self.daemon.log_of(self.one, "cat"), "the line in the log")
        log = os.path.join(self.daemon.pods[self.one][3], "cat.log")
        os.rename(log, log + ".1")
        self.daemon.call("ReopenContainerLog", {1: cat})
        attached = follow("Attach", {1: cat, 2: True, 4: True, 5: True})
        attached.send(0, "again\n")
        attached.read_until(1, b"again\n")
        attached.close()
        wait_for(lambda: self.daemon.log_of(self.one, "cat") == [("stdout", "again")], "the line in the new log")
        server = self.new(self.one, "server", "/bin/sh", "-c", "echo page >/tmp/page; exec httpd -f -p 127.0.0.1:8080 -h /tmp")
        self.sh(server, "until wget -q -O - 127.0.0.1:8080/page; do sleep 0.1; done")
        forward = WebSocket(cri.text(self.daemon.call("PortForward", {1: self.one, 2: 8080}), 1) + "?port=8080",
                            self.daemon.connect)
        forward.send(0, "GET /page HTTP/1.0\r\n\r\n")
        forward.read_until(0, b"page\n")
        forward.close()

    def test_network(self):
        """Pods of both handlers reach each other, and the host a pod; a published port."""
        server = self.new(self.one, "web", "/bin/sh", "-c", "echo page >/tmp/page; exec httpd -f -p 80 -h /tmp")
        self.sh(server, "until wget -q -O - 127.0.0.1/page; do sleep 0.1; done")
        address = self.daemon.pod_address(self.one)
        self.assertRegex(self.sh(server, "ip -o addr show eth0"), rf"inet {re.escape(address)}/24 .*\n.*inet6 fd71::")
        self.assertEqual(self.sh(server, "cat /etc/resolv.conf"), "search svc.cluster.local\nnameserver 10.71.0.1\n")
        other = self.new(self.two, "client")
        self.assertEqual(self.sh(other, f"wget -q -O - http://{address}/page"), "page\n")
        beside = self.daemon.run_pod("beside", handler="runc")
        self.addCleanup(self.daemon.remove_pod, beside)
        client = self.run_box(beside, "client", *SLEEPER)
        self.assertEqual(self.sh(client, f"wget -q -O - http://{address}/page"), "page\n")
        self.sh(server, f"ping -c 1 -w 30 {self.daemon.pod_address(beside)}")
        for place in (address, "10.71.0.1:8071"):
            self.assertEqual(self.daemon.in_network("busybox", "wget", "-q", "-O", "-", f"http://{place}/page").stdout,
                             "page\n", place)

    def test_refused(self):
        """The pod fails, the words say why, nothing is left of it."""
        kept = set(self.world.left_overs())
        host_network = {1: {1: cri.NODE, 2: cri.CONTAINER}}
        for words, more in (("a virtual machine cannot share the host's network", {"security": host_network}),
                            ("'io.katacontainers.config.hypervisor.path': a pod may not set",
                             {"annotations": {"io.katacontainers.config.hypervisor.path": "/bin/sh"}})):
            with self.assertRaisesRegex(Failed, words) as caught:
                self.daemon.run_pod("refused", **more)
            self.assertNotIn("code=", str(caught.exception))
        wait_for(lambda: set(self.world.left_overs()) <= kept, "all of the refused pods to go")

    # ---- what a pod's containers share ----

    def test_one_machine(self):
        """One shim, one QEMU; hostname, IPC, memory at /dev/shm and sysctls are the pod's, processes on request."""
        second = self.new(self.one, "second")
        self.assertEqual(len(self.world.machines()), 2)
        lines = [line for _, line in self.world.processes()]
        self.assertEqual(len([line for line in lines if "containerd-shim-kata" in line.split()[0]]), 2, lines)
        show = "for n in uts ipc net pid mnt; do readlink /proc/self/ns/$n; done"
        mine, other = self.sh(self.box, show).split(), self.sh(second, show).split()
        self.assertEqual(mine[:3], other[:3])
        self.assertFalse(set(mine[3:]) & set(other[3:]))
        self.assertEqual(self.sh(second, "hostname; cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shm_rmid_forced"),
                         "one\n333\n1\n")
        self.sh(self.box, "echo shared >/dev/shm/file")
        self.assertEqual(self.sh(second, "cat /dev/shm/file; df -k /dev/shm | awk 'END { print $2 }'"), "shared\n65536\n")
        self.assertNotIn("1000000", self.sh(second, "ps"))
        # hostIPC: the guest's, with half of its memory.
        half = self.sh(self.new(self.two, "host-ipc"), "awk '/MemTotal/ { print int($2 / 2) }' /proc/meminfo; "
                       "df -k /dev/shm | awk 'END { print $2 }'; ls /dev/shm").split()
        self.assertAlmostEqual(int(half[1]), int(half[0]), delta=1024)
        self.assertEqual(len(half), 2)
        shown, beside = self.new(self.two, "shown", "/bin/sleep", "123456"), self.new(self.two, "beside")
        self.assertIn("123456", self.sh(beside, "ps"))
        self.assertIn("1000000", self.sh(beside, "cat /proc/1/cmdline"))
        self.sh(beside, "kill -9 $(ps | awk '/[1]23456/ { print $1 }')")
        self.assertEqual(self.daemon.wait_ended(shown)[1], 137)

    def test_by_the_runc_shim(self):
        """katactl in runc's place, as docs/engines.md has it: containers that come and go in the one guest of their pod."""
        daemon = self.daemon
        before = len(self.world.machines())
        pod = daemon.run_pod("by-runc", handler="katactl", sysctls={"net.core.somaxconn": "333"}, ports=[{1: 0, 2: 80, 3: 8072}])
        self.addCleanup(self.assert_none_of, daemon.made)
        self.addCleanup(daemon.remove_pod, pod)
        web = self.run_box(pod, "web", "/bin/sh", "-c", "echo page >/tmp/page; exec httpd -f -p 80 -h /tmp")
        other = self.run_box(pod, "other", *SLEEPER, resources={4: 96 * MIB})
        self.assertEqual(len(self.world.machines()), before + 1)
        self.assertEqual(self.sh(other, "until wget -q -O - 127.0.0.1/page; do sleep 0.1; done; hostname; "
                                 "cat /proc/sys/net/core/somaxconn /sys/fs/cgroup/memory.max"), f"page\nby-runc\n333\n{96 * MIB}\n")
        show = "for n in uts ipc net pid mnt; do readlink /proc/self/ns/$n; done"
        mine, others = self.sh(web, show).split(), self.sh(other, show).split()
        self.assertEqual(mine[:3], others[:3])
        self.assertFalse(set(mine[3:]) & set(others[3:]))
        for place in (daemon.pod_address(pod), "10.71.0.1:8072"):
            self.assertEqual(daemon.in_network("busybox", "wget", "-q", "-O", "-", f"http://{place}/page").stdout, "page\n", place)
        self.assertEqual(daemon.execute(other, "/bin/sh", "-c", "echo said; exit 5")[:2], (5, "said\n"))
        daemon.stop_container(web, 0)
        daemon.remove_container(web)
        for number in range(2):
            late = self.run_box(pod, "late", "/bin/sh", "-c", f"exit {number}", attempt=number)
            self.assertEqual(daemon.wait_ended(late)[:2], (cri.EXITED, number))
            daemon.remove_container(late)
        daemon.stop_container(other, 60)
        self.assertEqual(daemon.status(other)[:2], (cri.EXITED, 7))

    def test_many_at_once(self):
        """Pods that are made, answer, and are removed side by side; make bench does it with 30."""
        before, many = len(self.world.machines()), 5
        with concurrent.futures.ThreadPoolExecutor(many) as pool:
            pods = list(pool.map(lambda number: self.daemon.run_pod(f"many{number}"), range(many)))
            boxes = list(pool.map(lambda pod: self.run_box(pod, "box", *SLEEPER), pods))
            self.assertEqual(len(self.world.machines()), before + many)
            self.assertEqual(list(pool.map(lambda box: self.sh(box, "hostname"), boxes)), [f"many{number}\n" for number in range(many)])
            list(pool.map(self.daemon.remove_pod, pods))
        wait_for(lambda: len(self.world.machines()) == before, "their machines to go", 20)
        wait_for(lambda: not [path for path in self.daemon.sandboxes_left() if os.path.basename(path) in pods + boxes],
                 "all of them to go", 20)

    def assert_none_of(self, ids):
        """Of these in the directory that containerd gives katactl, which others may use as well."""
        wait_for(lambda: not [path for path in engines.sandboxes_below(f"/run/containerd/runc/{self.daemon.namespace}")
                              if os.path.basename(path) in ids], "everything of the pod to go", 20)

    def test_volumes(self):
        """emptyDir in memory and on disk, hostPath, a sub-path, a projected volume that changes, the termination log."""
        mounts = [self.volume("plugins/kubernetes.io~empty-dir/memory", "/memory"),
                  self.volume("plugins/kubernetes.io~empty-dir/disk", "/disk"), self.volume("host", "/host", True),
                  self.volume("host/sub", "/sub"), self.volume("host/sub/file", "/one-file"),
                  self.volume("ended", "/dev/termination-log"),
                  *(self.volume(name, place, True) for name, place in self.published.items())]
        # One within another, for which the kubelet makes a place there.
        os.mkdir(self.world.path("volumes/plugins/kubernetes.io~configmap/conf/inner"))
        first, second = self.new(self.one, "v1", mounts=mounts), self.new(self.one, "v2", mounts=mounts)
        self.sh(first, "echo m >/memory/f; echo d >/disk/f; echo s >/sub/new; echo bye >/dev/termination-log")
        self.assertEqual(self.sh(second, "cat /memory/f /disk/f /sub/new /host/sub/new /one-file"),
                         "m\nd\ns\ns\nof the host\n")
        self.assertRegex(self.sh(second, "df -k /memory | tail -1"), r"tmpfs +8192 ")
        self.assertEqual(self.daemon.execute(first, "/bin/touch", "/host/x")[0], 1)
        self.assertFalse(os.listdir(self.world.path("volumes/plugins/kubernetes.io~empty-dir/memory")))
        for name, text in (("plugins/kubernetes.io~empty-dir/disk/f", "d\n"), ("host/sub/new", "s\n"), ("ended", "bye\n")):
            with open(self.world.path(f"volumes/{name}"), encoding="utf-8") as file:
                self.assertEqual(file.read(), text)
        self.assertEqual(self.sh(first, "cat /projected/key /conf/key /conf/inner/key; grep -c ' /conf[a-z/]* tmpfs ro' /proc/mounts"),
                         "old\nold\nold\n2\n")
        for name, place in self.published.items():
            os.mkdir(self.world.path(f"volumes/{name}/..2"))
            self.write(f"{name}/..2/key", "new\n")
            os.symlink("..2", self.world.path(f"volumes/{name}/..tmp"))
            os.rename(self.world.path(f"volumes/{name}/..tmp"), self.world.path(f"volumes/{name}/..data"))
            wait_for(lambda place=place: self.sh(first, f"cat {place}/key") == "new\n", "the new file")

    # ---- limits ----

    def test_limits(self):
        """Limits and their change, statistics, the end for memory; a machine's size by the pod's limits."""
        limited = self.new(self.one, "limited", labels={"role": "limited"},
                           resources={1: 100000, 2: 50000, 3: 512, 4: 64 * MIB, 5: 500})
        show = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu.weight; cat /proc/1/oom_score_adj"
        self.assertEqual(self.sh(limited, show).split()[:3], [str(64 * MIB), "50000", "100000"])
        self.daemon.call("UpdateContainerResources", {1: limited, 2: {1: 100000, 2: 20000, 4: 48 * MIB}})
        self.assertEqual(self.sh(limited, show).split()[:3], [str(48 * MIB), "20000", "100000"])
        stats = cri.ttrpc.decode(self.daemon.call("ContainerStats", {1: limited})[1][0])
        self.assertGreater(cri.number(stats, 2, 2, 1), 1000000)
        self.assertTrue(4096 < cri.number(stats, 3, 2, 1) <= 48 * MIB, stats)
        # All containers' at once: of one, of a pod, of those with a label; none where both cannot be.
        for which, wanted in (({1: limited}, [limited]), ({2: self.one}, [limited, self.box]),
                              ({3: cri.pairs({"role": "limited"})}, [limited]), ({2: self.two}, []),
                              ({1: limited, 2: self.two}, [])):
            listed = self.daemon.call("ListContainerStats", {1: which}).get(1, [])
            found = {cri.text(cri.ttrpc.decode(one[1][0]), 1): one for one in map(cri.ttrpc.decode, listed)}
            self.assertEqual(sorted(found), sorted(wanted), which)
            for one in found.values():
                self.assertGreater(cri.number(one, 2, 2, 1), 1000000)
                self.assertGreaterEqual(cri.number(one, 3, 2, 1), 4096)
        size = "awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo"
        sizes = [int(self.sh(box, size)) for box in (self.box, self.new(self.two, "sized"))]
        self.assertTrue(sizes[0] < 256 < sizes[1] <= 256 + 64, sizes)
        hungry = self.new(self.one, "hungry", "/bin/tail", "/dev/zero", resources={4: 24 * MIB})
        self.assertEqual(self.daemon.wait_ended(hungry)[1], 137)
        wait_for(lambda: self.daemon.status(hungry)[2] == "OOMKilled", "the reason")
        self.assertEqual(self.daemon.status(limited)[0], cri.RUNNING)

    def test_security(self):
        """Capabilities, seccomp, users, read-only roots, hidden files, privileged containers."""
        profile = self.world.path("profile.json")
        with open(profile, "w", encoding="utf-8") as file:
            json.dump({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                       "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}, file)
        tun = {1: "/dev/net/tun", 2: "/dev/net/tun", 3: "rw"}
        bare = self.new(self.one, "bare", devices=[tun], security={1: {1: ["NET_ADMIN"], 2: ["ALL"]}, 5: {1: 0}, 8: [4242], 7: True, 11: True,
                                                   13: ["/proc/timer_list"], 14: ["/proc/sys"], 15: {1: 2, 2: profile}})
        status = self.sh(bare, "cat /proc/self/status")
        self.assertRegex(status, r"CapEff:\t0000000000001000\n")
        self.assertRegex(status, r"NoNewPrivs:\t1\n")
        self.assertRegex(status, r"Seccomp:\t2\n")
        self.assertRegex(status, r"Groups:\t.*\b4242\b")
        self.assertIn("Read-only file system", self.daemon.execute(bare, "/bin/touch", "/x")[2])
        self.assertIn("Operation not permitted", self.daemon.execute(bare, "/bin/mkdir", "/dev/shm/x")[2])
        self.assertEqual(self.sh(bare, "cat /proc/timer_list"), "")
        # A network of its own, as a VPN makes it, over the guest's device.
        self.assertRegex(self.sh(bare, "tunctl -t vpn0 >/dev/null && ip addr add 10.9.0.1/24 dev vpn0 && ip link set vpn0 up && "
                                 "ip -o addr show vpn0; tunctl -d vpn0 >/dev/null"), r"vpn0 .*10\.9\.0\.1/24")
        self.assertIn("can't open", self.daemon.execute(self.box, "/bin/tunctl", "-t", "vpn1")[2])
        user = self.new(self.one, "user", security={5: {1: 1000}, 12: {1: 50}, 15: {1: 0}})
        self.assertRegex(self.sh(user, "id; grep Seccomp: /proc/self/status"),
                         r"^uid=1000\(user\) gid=50\(staff\).*\nSeccomp:\t2\n")
        privileged = self.new(self.two, "privileged", security={2: True})
        # All that containerd itself has.
        capabilities = r"CapEff:\t([0-9a-f]+)\n"
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="utf-8") as file:
            self.assertEqual(re.search(capabilities, self.sh(privileged, "cat /proc/self/status")).group(1),
                             re.search(capabilities, file.read()).group(1))
        self.sh(privileged, "mkdir /m; mount -t tmpfs none /m; umount /m; echo 1 >/proc/sys/net/ipv4/ip_forward")
        # Not one block device of the host.
        self.assertEqual(self.sh(privileged, "find /dev -type b"), "")

    # ---- the end ----

    def test_zz_containerd_killed(self):
        """Pods go on without it, and it finds them again."""
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.daemon.status(self.box)[0], cri.RUNNING)
        self.assertEqual(self.sh(self.box, "echo again"), "again\n")
        self.daemon.call("StopPodSandbox", {1: self.one})
        self.assertEqual(cri.number(self.daemon.pod_status(self.one), 3), 1)
        self.assertEqual(self.daemon.status(self.box)[:2], (cri.EXITED, 137))


if __name__ == "__main__":
    engines.kata_cli.main(lambda: engines.require("containerd", "ctr", "umoci", "ip", "iptables", "nsenter",
                                                  f"{cri.PLUGINS}/bridge"))
