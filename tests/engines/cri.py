# SPDX-License-Identifier: LGPL-2.1-or-later
"""containerd's CRI plugin, called over its socket as a kubelet calls it, in a network namespace that stands for the host's.
Messages are dictionaries of field numbers, those of k8s.io/cri-api's runtime.v1."""
import ctypes
import glob
import json
import os
import shutil
import socket
import subprocess
import time

import grpc

import ttrpc
from containerd import Containerd
from engines import IMAGE, wait_for

PLUGINS = "/usr/lib/cni"
CLONE_NEWNET = 0x40000000
CREATED, RUNNING, EXITED = 0, 1, 2
POD, CONTAINER, NODE = 0, 1, 2
CONFIG = """\
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  stream_server_address = "127.0.0.1"
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{base}/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
{kata}
"""
NETWORK = {"cniVersion": "0.4.0", "name": "kata-cri", "plugins": [
    {"type": "bridge", "bridge": "kata-cri0", "isGateway": True},
    {"type": "portmap", "capabilities": {"portMappings": True}}]}


class Failed(Exception):
    """What the plugin answers in place of a message."""


def pairs(values):
    """A map, as messages have it."""
    return [{1: key, 2: value} for key, value in (values or {}).items()]


def text(message, field):
    return message.get(field, [b""])[0].decode()


def number(message, *path):
    for field in path[:-1]:
        message = ttrpc.decode(message.get(field, [b""])[0])
    return message.get(path[-1], [0])[0]


class Cri(Containerd):
    """kata: the runtime's table in containerd's settings, as docs/kubernetes.md gives it."""

    def __init__(self, world, kata):
        self.network = f"kata-cri-{os.getpid()}"
        self.parent = f"/kata-cri-{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self.network], check=True)
        subprocess.run(["ip", "-n", self.network, "link", "set", "lo", "up"], check=True)
        os.mkdir(world.path("net.d"))
        NETWORK["plugins"][0]["ipam"] = {"type": "host-local", "dataDir": world.path("cni-data"),
                                         "ranges": [[{"subnet": "10.71.0.0/24"}], [{"subnet": "fd71::/64"}]],
                                         "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}
        with open(world.path("net.d/10-kata.conflist"), "w", encoding="utf-8") as file:
            json.dump(NETWORK, file)
        self.patience = 180  # seconds that a call may take
        self.channel = grpc.insecure_channel("unix://" + world.path("containerd.sock"))
        super().__init__(world, CONFIG.format(image=IMAGE, plugins=PLUGINS, base=world.base, kata=kata))
        self.namespace = "k8s.io"
        self.pods = {}
        self.made = set()

    def launcher(self):
        return ["nsenter", f"--net=/run/netns/{self.network}", *super().launcher()]

    def start(self):
        super().start()
        wait_for(self.is_ready, "the CRI plugin to be ready")

    def is_ready(self):
        try:
            conditions = ttrpc.decode(self.call("Status", {})[1][0])[1]
        except Failed:
            return False
        return all(number(ttrpc.decode(condition), 2) for condition in conditions)

    def call(self, method, message, service="runtime.v1.RuntimeService"):
        function = self.channel.unary_unary(f"/{service}/{method}", request_serializer=ttrpc.encode,
                                            response_deserializer=ttrpc.decode)
        try:
            return function(message, timeout=self.patience)
        except grpc.RpcError as error:
            raise Failed(f"{method}: {error.details()}") from None

    # ---- pods ----

    def run_pod(self, name, handler="kata", annotations=None, security=None, sysctls=None, resources=None, ports=None):
        """The pod's id. security: a LinuxSandboxSecurityContext."""
        os.makedirs(self.world.path(f"pods/{name}"), exist_ok=True)
        config = {1: {1: name, 2: name, 3: "default"}, 2: name, 3: self.world.path(f"pods/{name}"),
                  4: {1: ["10.71.0.1"], 2: ["svc.cluster.local"]}, 5: ports or [], 7: pairs(annotations),
                  8: {1: self.parent, 2: security or {1: {2: CONTAINER}}, 3: pairs(sysctls)}}
        if resources:
            config[8][5] = resources
        pod = text(self.call("RunPodSandbox", {1: config, 2: handler}), 1)
        self.pods[pod] = config
        self.made.add(pod)
        return pod

    def pod_status(self, pod):
        return ttrpc.decode(self.call("PodSandboxStatus", {1: pod})[1][0])

    def pod_address(self, pod):
        return text(ttrpc.decode(self.pod_status(pod)[5][0]), 1)

    def remove_pod(self, pod):
        self.call("StopPodSandbox", {1: pod})
        self.call("RemovePodSandbox", {1: pod})
        self.pods.pop(pod, None)

    # ---- containers ----

    def create(self, pod, name, *command, attempt=0, **more):
        """more: fields of ContainerConfig by name, and those of its Linux part."""
        fields = {"envs": 6, "mounts": 7, "devices": 8, "stdin": 12, "tty": 14}
        config = {1: {1: name, 2: attempt}, 2: {1: IMAGE}, 3: list(command), 11: f"{name}.log"}
        if "annotations" in more:
            config[10] = pairs(more.pop("annotations"))
        if "labels" in more:
            config[9] = pairs(more.pop("labels"))
        linux = {}
        if "resources" in more:
            linux[1] = more.pop("resources")
        security = {3: self.pods[pod][8][2][1], 15: {1: 1}}
        security.update(more.pop("security", {}))
        linux[2] = security
        config[15] = linux
        config.update({fields[key]: value for key, value in more.items()})
        container = text(self.call("CreateContainer", {1: pod, 2: config, 3: self.pods[pod]}), 1)
        self.made.add(container)
        return container

    def run(self, pod, name, *command, **more):
        container = self.create(pod, name, *command, **more)
        self.call("StartContainer", {1: container})
        return container

    def status(self, container):
        """State, exit code, reason, message."""
        found = ttrpc.decode(self.call("ContainerStatus", {1: container})[1][0])
        return number(found, 3), number(found, 7), text(found, 10), text(found, 11)

    def wait_ended(self, container):
        wait_for(lambda: self.status(container)[0] == EXITED, "the container's end")
        return self.status(container)

    def execute(self, container, *command, timeout=0):
        """Exit code, output, errors, as an exec probe has them."""
        answer = self.call("ExecSync", {1: container, 2: list(command), 3: timeout})
        return number(answer, 3), text(answer, 1), text(answer, 2)

    def sh(self, container, script):
        status, output, errors = self.execute(container, "/bin/sh", "-c", script)
        assert status == 0, f"{script}: {status}\n{output}{errors}"
        return output

    def stop_container(self, container, grace=10):
        began = time.monotonic()
        self.call("StopContainer", {1: container, 2: grace})
        return time.monotonic() - began

    def remove_container(self, container):
        self.call("RemoveContainer", {1: container})

    def log_of(self, pod, name):
        """[(stream, text)]"""
        with open(os.path.join(self.pods[pod][3], f"{name}.log"), encoding="utf-8") as file:
            return [tuple(line.rstrip("\n").split(" ", 3)[1::2]) for line in file]

    # ---- the host ----

    def in_network(self, *command, **options):
        options.setdefault("timeout", 60)
        return subprocess.run(["ip", "netns", "exec", self.network, *command], capture_output=True, text=True, check=False,
                              **options)

    def connect(self, address):
        """A socket is of the namespace it is made in."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/run/netns/{self.network}", "rb") as there:
            assert libc.setns(there.fileno(), CLONE_NEWNET) == 0
            try:
                return socket.create_connection(address)
            finally:
                assert libc.setns(home.fileno(), CLONE_NEWNET) == 0

    # ---- the end ----

    def remove_all(self):
        for pod in list(self.pods):
            try:
                self.remove_pod(pod)
            except Failed as error:
                print(f"pod {pod}: {error}")

    def sandboxes_left(self):
        """Of ours: below /run/kata/k8s.io there may be those of others."""
        return [path for path in super().sandboxes_left() if os.path.basename(path) in self.made]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.channel.close()
        subprocess.run(["ip", "netns", "del", self.network], check=False)
        for path in glob.glob(f"/sys/fs/cgroup/*{self.parent}") + glob.glob(f"/sys/fs/cgroup{self.parent}"):
            os.rmdir(path)
        shutil.rmtree(self.world.path("pods"), ignore_errors=True)
