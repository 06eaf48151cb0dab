#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers that share a guest: what containerd, CRI-O and Podman write into config.json of those of a pod."""
import os
import threading
import time

import kata_cli

CRIO = "io.kubernetes.cri-o"
CRI = "io.kubernetes.cri"


class PodTest(kata_cli.CliTest):
    def run_container(self, container, *command, annotations=None, paths=None, fails=None, hostname="box", hooks=None):
        """paths: type of namespace -> path; "" for one of its own."""
        def change(document):
            document["hostname"] = hostname
            document["annotations"] = annotations or {}
            document["hooks"] = hooks or {}
            for entry in document["linux"]["namespaces"]:
                if (paths or {}).get(entry["type"]):
                    entry["path"] = paths[entry["type"]]

        bundle = self.world.bundle(*(command or ("sleep", "100000")), change=change)
        call = ("run", "-d", "--bundle", bundle, container)
        return self.fails(fails, *call) if fails else self.ok(*call)

    def namespaces_of(self, container, *types):
        pid = self.world.state(container)["pid"]
        return {name: f"/proc/{pid}/ns/{short}" for name, short in (("network", "net"), ("ipc", "ipc"), ("uts", "uts"),
                                                                     ("pid", "pid")) if name in types}

    def inside(self, container, *command):
        return self.ok("exec", container, *command).strip()

    def namespace(self, container, name):
        return self.inside(container, "readlink", f"/proc/self/ns/{name}")

    def members(self):
        return self.world.run("list", "-q").stdout.split()


class Podman(PodTest):
    def test_a_pod(self):
        # The infra container, as Podman makes it: nothing tells that it is one.
        self.run_container("infra", hostname="pod-name")
        shared = self.namespaces_of("infra", "network", "ipc", "uts")
        joins = {f"{CRIO}.ContainerType": "container", f"{CRIO}.SandboxID": "infra"}
        self.run_container("one", annotations=joins, paths=shared, hostname="ignored")
        self.run_container("two", annotations=joins, paths={**shared, **self.namespaces_of("infra", "pid")})
        # podman run --network container:one
        self.run_container("three", paths=self.namespaces_of("one", "network"), hostname="three")
        self.assertEqual(len(self.world.machines()), 1)
        self.assertEqual(self.members(), ["infra", "one", "three", "two"])

        for name in ("uts", "ipc"):
            self.assertEqual(self.namespace("one", name), self.namespace("infra", name))
            self.assertNotEqual(self.namespace("three", name), self.namespace("infra", name))
        self.assertEqual([self.inside(name, "hostname") for name in ("infra", "one", "two", "three")],
                         ["pod-name", "pod-name", "pod-name", "three"])
        self.assertEqual(len({self.namespace(name, "net") for name in self.members()}), 1)
        self.assertEqual(self.namespace("two", "pid"), self.namespace("infra", "pid"))
        self.assertEqual(len({self.namespace(name, "pid") for name in ("infra", "one", "three")}), 3)
        # The kill of one whose pid namespace is another's ends all of its processes, and none of the other's.
        self.ok("exec", "-d", "two", "sleep", "22222")
        self.ok("exec", "-d", "infra", "sleep", "33333")
        self.assertIn("sleep 22222", self.inside("infra", "ps"))
        self.assertIn("sleep 33333", self.inside("two", "ps"))
        self.ok("kill", "two", "KILL")
        self.world.wait_status("two", "stopped")
        kata_cli.wait_for(lambda: "sleep 22222" not in self.inside("infra", "ps"), "the other processes of the container to end")
        self.assertIn("sleep 33333", self.inside("infra", "ps"))
        self.ok("delete", "two")
        self.run_container("two", annotations=joins, paths={**shared, **self.namespaces_of("infra", "pid")})
        # One hears the other on the loopback device.
        self.ok("exec", "-d", "one", "nc", "-l", "-p", "5000", "-e", "hostname")
        kata_cli.wait_for(lambda: ":5000 " in self.inside("three", "netstat", "-tln"), "one to listen")
        self.assertEqual(self.inside("three", "nc", "127.0.0.1", "5000"), "pod-name")

        # Nobody gets a namespace of his own in the place of another's.
        for name in ("ipc", "uts", "pid"):
            paths = {name: self.namespaces_of("one", "network")["network"].replace("/net", f"/{name}")}
            self.run_container("six", paths=paths, fails=f"the {name} namespace '{paths[name]}' is in another container's guest")
        # One that fails leaves the others alone; so does deleting the one that gave the sandbox its name, twice.
        self.run_container("four", "/no/such/program", annotations=joins, paths=shared, fails="/no/such/program")
        self.assertEqual(self.members(), ["infra", "one", "three", "two"])
        self.fails("container with given ID already exists", "create", "--bundle", self.world.bundle("true"), "infra")
        self.ok("delete", "--force", "infra")
        self.ok("delete", "--force", "infra")
        self.assertEqual(self.inside("one", "echo", "alive"), "alive")
        # A container of Podman's whose pod has none of its own ("--infra=false") names the pod, which is no sandbox.
        alone = {"io.container.manager": "libpod", f"{CRIO}.ContainerType": "container", f"{CRIO}.SandboxID": "the-pod"}
        self.run_container("beside", annotations=alone, paths=self.namespaces_of("one", "network"))
        self.assertEqual(len(self.world.machines()), 1)
        self.ok("delete", "--force", "beside")
        # Made again, it gets a guest of its own, as it gets a network namespace of its own; so do those that join it then.
        self.run_container("infra", hostname="again", annotations=alone)
        self.run_container("five", annotations=joins, paths=self.namespaces_of("infra", "network", "uts"))
        self.assertEqual((self.inside("five", "hostname"), self.inside("one", "hostname")), ("again", "pod-name"))
        self.assertEqual(len(self.world.machines()), 2)
        self.ok("delete", "--force", "five")
        self.ok("delete", "--force", "infra")
        self.world.wait_status("two", "stopped")  # its pid namespace has gone
        for pid, line in self.world.processes():
            if "containerd-shim-kata-v2" in line:
                os.kill(pid, 9)
        self.assertEqual(self.inside("three", "echo", "alive"), "alive")
        self.ok("delete", "--force", "one")
        self.ok("delete", "two")
        self.assertEqual(self.members(), ["three"])
        self.ok("delete", "--force", "three")


class Kubernetes(PodTest):
    def test_containerd(self):
        self.run_container("pause", annotations={f"{CRI}.container-type": "sandbox", f"{CRI}.sandbox-id": "pause"})
        joins = {f"{CRI}.container-type": "container", f"{CRI}.sandbox-id": "pause"}
        # Several at once, some of which end at once.
        threads = [threading.Thread(target=self.run_container, args=(f"c{number}", "sleep", "0" if number % 2 else "10000"),
                                    kwargs={"annotations": joins}) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.members(), ["c0", "c1", "c2", "c3", "pause"])
        self.assertEqual(len(self.world.machines()), 1)
        for name in ("c1", "c3"):
            self.world.wait_status(name, "stopped")
            self.ok("delete", name)
        self.run_container("docker", annotations={"io.kubernetes.docker.type": "container",
                                                  "io.kubernetes.sandbox.id": "pause"})
        self.assertEqual(len(self.world.machines()), 1)
        for name in ("docker", "c0", "pause", "c2"):
            self.ok("kill", name, "KILL")
            self.world.wait_status(name, "stopped")
            self.ok("delete", name)

    def test_made_while_the_others_go(self):
        """A sandbox is not empty while one is being made: neither delete nor the owner ends it then. In CRI-O's words."""
        self.run_container("pause", annotations={f"{CRIO}.ContainerType": "sandbox", f"{CRIO}.SandboxID": "pause"})
        begun, finish = self.world.path("begun"), self.world.path("finish")
        script = f": > {begun}; while ! test -e {finish}; do /bin/sleep 0.1; done"
        late = threading.Thread(target=self.run_container, args=("late",), kwargs={
            "annotations": {f"{CRIO}.ContainerType": "container", f"{CRIO}.SandboxID": "pause"},
            "hooks": {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}})
        late.start()
        kata_cli.wait_for(lambda: os.path.exists(begun), "the hook to begin")
        self.assertEqual(len(self.world.machines()), 1)
        self.ok("delete", "--force", "pause")
        time.sleep(6)  # an owner without a maker gives an empty sandbox 5 s
        with open(finish, "w", encoding="utf-8"):
            pass
        late.join()
        self.assertEqual(self.inside("late", "echo", "alive"), "alive")
        self.assertEqual(self.members(), ["late"])
        self.ok("delete", "--force", "late")

    def test_wrong_annotations(self):
        for text, annotations in (
                ("'io.kubernetes.cri.container-type' is 'pod', neither 'sandbox' nor 'container'",
                 {f"{CRI}.container-type": "pod"}),
                ("'io.kubernetes.cri-o.SandboxID' does not say of which sandbox", {f"{CRIO}.ContainerType": "container"}),
                ("sandbox 'gone', which 'io.kubernetes.cri.sandbox-id' names, does not exist",
                 {f"{CRI}.container-type": "container", f"{CRI}.sandbox-id": "gone"}),
                ("sandbox '../x', which", {f"{CRI}.container-type": "container", f"{CRI}.sandbox-id": "../x"})):
            self.run_container("c1", annotations=annotations, fails=text)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
