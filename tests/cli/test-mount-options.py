#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each mount option that "katactl features" names works in a guest; and the guest has name servers of its own."""
import base64
import json
import os

import kata_cli

# What /proc/mounts shows of an option, where it shows it.
SHOWN = {"dirsync": "dirsync", "lazytime": "lazytime", "mand": "mand", "noatime": "noatime", "nodev": "nodev",
         "nodiratime": "nodiratime", "noexec": "noexec", "nosuid": "nosuid", "ro": "ro", "sync": "sync",
         "rnodev": "nodev", "rnoexec": "noexec", "rnosuid": "nosuid", "rro": "ro", "rrw": "rw", "relatime": "relatime",
         "rw": "rw"}
# What /proc/self/mountinfo shows of how mounts propagate.
PROPAGATION = {"shared": r"shared:\d+", "rshared": r"shared:\d+", "unbindable": "unbindable", "runbindable": "unbindable",
               **dict.fromkeys(("private", "rprivate", "slave", "rslave", "rw"), "")}
NAME_SERVERS = "nameserver 10.9.8.7\nsearch example.test\n"


class MountOptions(kata_cli.CliTest):
    def test_all_in_one_guest(self):
        words = json.loads(self.ok("features"))["mountOptions"]
        source = self.world.path("source")
        os.mkdir(source)
        with open(self.world.path("resolv.conf"), "w", encoding="utf-8") as file:
            file.write(NAME_SERVERS)

        def mount(word):
            if word in ("bind", "rbind"):
                return {"destination": f"/m/{word}", "type": "bind", "source": source, "options": [word]}
            return {"destination": f"/m/{word}", "type": "tmpfs", "source": "tmpfs", "options": [word]}

        def change(document):
            document["mounts"] += [mount(word) for word in words]
            document["mounts"].append({"destination": "/etc/resolv.conf", "type": "bind", "options": ["bind", "ro"],
                                       "source": self.world.path("resolv.conf")})

        self.ok("run", "-d", "--bundle", self.world.bundle("sleep", "100000", change=change), "c1")
        shown = {}
        for line in self.ok("exec", "c1", "cat", "/proc/mounts").splitlines():
            _, place, _, options = line.split()[:4]
            shown[place] = options.split(",")
        for word in words:
            self.assertIn(f"/m/{word}", shown)
            if word in SHOWN:
                self.assertIn(SHOWN[word], shown[f"/m/{word}"], word)
        for line in self.ok("exec", "c1", "cat", "/proc/self/mountinfo").splitlines():
            _, _, _, _, place, _, *propagation = line.split(" - ")[0].split()
            if os.path.basename(place) in PROPAGATION and place.startswith("/m/"):
                self.assertRegex(" ".join(propagation), f"^{PROPAGATION[os.path.basename(place)]}$", place)
        self.assertNotEqual(self.world.run("exec", "c1", "touch", "/m/rro/file").returncode, 0)
        # What the pod asks its name servers, the guest itself does too.
        self.assertEqual(self.read_of_guest("/etc/resolv.conf"), NAME_SERVERS)
        self.ok("delete", "--force", "c1")

    def call(self, method, **request):
        return json.loads(self.ok("agent", "call", "--sandbox", "c1", method, json.dumps(request)) or "{}")

    def read_of_guest(self, path):
        """A file of the guest's own root, which only the agent can give a container."""
        spec = {"Version": "1.0.2", "Root": {"Path": "/run/kata-containers/c1/rootfs"},
                "Process": {"Args": ["cat", "/tmp/file"], "Env": ["PATH=/bin"], "Cwd": "/", "User": {}},
                "Mounts": [{"destination": "/tmp/file", "type": "bind", "source": path, "options": ["bind", "ro"]}],
                "Linux": {"Namespaces": [{"Type": "mount"}, {"Type": "pid"}]}}
        self.call("CreateContainer", container_id="looks", OCI=spec)
        self.call("StartContainer", container_id="looks")
        said = self.call("ReadStdout", container_id="looks", len=4096)
        self.call("WaitProcess", container_id="looks")
        self.call("RemoveContainer", container_id="looks")
        return base64.b64decode(said["data"]).decode()


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
