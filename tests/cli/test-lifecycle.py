#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A container's life through katactl in real guests: create to delete, states, exit statuses, several at once."""
import json
import os
import struct
import subprocess
import xml.etree.ElementTree

import kata_cli


class Run(kata_cli.CliTest):
    def test_output_and_status(self):
        bundle = self.world.bundle("sh", "-c", "echo out; echo err >&2; echo $FROM $(hostname) $$ $(cat /proc/cmdline); "
                                   "exit 7")
        result = self.world.run("run", "--bundle", bundle, "c1")
        self.assertEqual((result.returncode, result.stderr), (7, "err\n"))
        with open("/proc/cmdline", encoding="utf-8") as file:
            host = file.read().strip()
        self.assertRegex(result.stdout, r"^out\nconfig box 1 \S")
        self.assertNotIn(f"1 {host}\n", result.stdout)
        self.assertEqual(self.ok("list", "-q"), "")

    def test_killed_by_a_signal(self):
        bundle = self.world.bundle("sh", "-c", "echo up; exec sleep 1000")
        process = self.world.start("run", "-b", bundle, "c1", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"up\n")
        self.ok("kill", "c1", "KILL")
        self.assertEqual(process.wait(kata_cli.PATIENCE), 137)
        process.stdout.close()

    def test_document_of_spec(self):
        """What "spec" writes runs as it is, on a terminal; here without one."""
        bundle = self.world.bundle("true")
        os.remove(os.path.join(bundle, "config.json"))
        self.ok("spec", "--bundle", bundle)
        with open(os.path.join(bundle, "config.json"), encoding="utf-8") as file:
            document = json.load(file)
        document["process"].update(terminal=False, args=["/bin/sh", "-c", "hostname; touch /x; echo $?"])
        with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as file:
            json.dump(document, file)
        result = self.world.run("run", "--bundle", bundle, "c1")
        self.assertEqual((result.returncode, result.stdout), (0, document["hostname"] + "\n1\n"), result.stderr)

    def test_mount_options_of_features(self):
        """Each that "features" names is taken, and those that can be seen are seen; remount is of no mount of its own."""
        options = json.loads(self.ok("features"))["mountOptions"]
        shown = {"ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "sync", "dirsync"}

        def change(document):
            for option in options:
                if option in ("bind", "rbind", "remount"):
                    continue
                document["mounts"].append({"destination": f"/m/{option}", "type": "tmpfs", "source": "tmpfs",
                                           "options": [option]})
            for option in ("bind", "rbind"):
                document["mounts"].append({"destination": f"/m/{option}", "type": "none", "source": self.world.base,
                                           "options": [option]})

        lines = self.ok("run", "--bundle", self.world.bundle("cat", "/proc/mounts", change=change), "c1").splitlines()
        seen = {line.split()[1]: line.split()[3].split(",") for line in lines}
        for option in options:
            if option == "remount":
                continue
            self.assertIn(f"/m/{option}", seen)
            if option in shown:
                self.assertIn(option, seen[f"/m/{option}"])

    def test_keep(self):
        # A host name that is too long for the kernel is cut, as Kubernetes's users know it.
        bundle = self.world.bundle("sh", "-c", "hostname; exit 3", change=lambda d: d.update(hostname="h" * 70))
        result = self.world.run("run", "--keep", "c1", cwd=bundle)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (3, "h" * 64 + "\n", ""))
        state = self.world.state("c1")
        self.assertEqual((state["status"], state["pid"]), ("stopped", 0))
        self.ok("delete", "c1")

    def test_program_that_is_not_there(self):
        bundle = self.world.bundle("/bin/none")
        result = self.world.run("run", "-b", bundle, "c1")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr.lower(), "executable file not found in|no such file or directory")

    def test_missing_rootfs(self):
        bundle = self.world.bundle("true", change=lambda d: d["root"].update(path="none"))
        result = self.world.run("run", "-b", bundle, "c1")
        self.assertEqual(result.returncode, 1)
        self.assertIn("none", result.stderr)


class Steps(kata_cli.CliTest):
    def test_round_trip(self):
        bundle = self.world.bundle("sh", "-c", "trap 'exit 42' TERM; while :; do sleep 0.1; done",
                                   change=lambda d: d.update(annotations={"a.b": "c"}))
        pid_file = self.world.path("pid")
        self.ok("create", "--bundle", bundle, "--pid-file", pid_file, "c1")
        with open(pid_file, encoding="utf-8") as file:
            pid = int(file.read())
        state = self.world.state("c1")
        self.assertEqual(list(state),
                         ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"])
        self.assertEqual(state["status"], "created")
        self.assertEqual((state["id"], state["pid"], state["bundle"]), ("c1", pid, bundle))
        self.assertEqual((state["rootfs"], state["owner"]), (os.path.join(bundle, "rootfs"), ""))
        self.assertEqual(state["annotations"], {"a.b": "c"})
        self.assertRegex(state["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.assertFalse(self.world.run("state", "c1").stdout.endswith("\n"))
        self.fails("container with given ID already exists", "create", "--bundle", bundle, "c1")
        self.assertEqual(self.world.state("c1")["status"], "created")

        self.ok("start", "c1")
        self.assertEqual(self.world.state("c1")["status"], "running")
        self.fails("cannot start an already running container", "start", "c1")
        self.fails("cannot delete container c1 that is not stopped: running", "delete", "c1")

        self.ok("pause", "c1")
        self.assertEqual(self.world.state("c1")["status"], "paused")
        self.fails("cannot start a container in the paused state", "start", "c1")
        self.fails("cannot delete container c1 that is not stopped: paused", "delete", "c1")
        self.fails("cannot exec in a paused container (use --ignore-paused to override)", "exec", "c1", "true",
                   status=255)
        self.ok("resume", "c1")
        self.fails("container not paused", "resume", "c1")

        listed = json.loads(self.ok("list", "--format", "json"))
        self.assertEqual([entry["id"] for entry in listed], ["c1"])
        self.assertEqual(listed[0]["owner"], "root")
        self.assertIn(f"c1          {pid}", self.ok("list"))
        self.assertEqual(self.ok("list", "-q"), "c1\n")
        self.assertIn("<domain", self.ok("xml", "c1"))
        # The picture has a bar for each step, and the steps fill the time they took together.
        chart = xml.etree.ElementTree.fromstring(self.ok("boot-chart", "c1"))
        bars = {bar[0].text.split(":")[0]: bar for bar in chart.iter("{http://www.w3.org/2000/svg}rect") if len(bar)}
        self.assertLessEqual({"libvirt", "kernel", "agent", "container", "start"}, bars.keys())
        kernel, agent = (float(bars[name].get("x")) for name in ("kernel", "agent"))
        self.assertAlmostEqual(kernel + float(bars["kernel"].get("width")), agent, delta=1)
        self.assertLess(agent, float(bars["start"].get("x")))

        self.ok("kill", "c1", "0")
        self.ok("kill", "c1", "TERM")
        self.world.wait_status("c1", "stopped")
        self.assertEqual(self.world.state("c1")["pid"], 0)
        self.fails("container not running", "kill", "c1", "TERM")
        self.fails("container not running", "kill", "c1", "9")
        self.ok("kill", "--all", "c1", "9")
        self.fails("cannot start a container that has stopped", "start", "c1")
        self.fails("cannot exec in a stopped container", "exec", "c1", "true", status=255)
        self.fails("container not running", "pause", "c1")
        self.ok("delete", "c1")
        self.fails("container does not exist", "state", "c1")

    def test_delete_created(self):
        """And what lives below another root directory is not seen."""
        self.ok("create", "--bundle", self.world.bundle("true"), "c1")
        other = self.world.path("o")
        os.mkdir(other)
        self.fails("container does not exist", "--root", other, "state", "c1")
        self.assertEqual(self.ok("--root", other, "list", "-q"), "")
        self.ok("delete", "c1")

    def test_kill_paused(self):
        self.ok("run", "-d", "--bundle", self.world.bundle("sleep", "1000"), "c1")
        self.ok("pause", "c1")
        self.ok("kill", "c1", "KILL")
        self.world.wait_status("c1", "stopped")
        self.ok("delete", "c1")

    def test_written_files_lose_privileges(self):
        """As on the host: set-user-ID and capabilities of a file go when another user writes it."""
        def change(document):
            document["process"]["user"] = {"uid": 65534, "gid": 65534}
        bundle = self.world.bundle("sh", "-c", "cd /files && echo x >>write && : >open && truncate -s 3 truncate && "
                                   "echo x >>capable && cat read", change=change)
        folder = os.path.join(bundle, "rootfs/files")
        os.mkdir(folder, 0o755)
        for name in ("write", "open", "truncate", "capable", "read"):
            path = os.path.join(folder, name)
            with open(path, "w", encoding="ascii") as file:
                file.write("hello\n")
            os.chmod(path, 0o6777)
        # vfs_cap_data, version 2, of linux/capability.h: CAP_NET_RAW.
        os.setxattr(os.path.join(folder, "capable"), "security.capability",
                    struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
        self.assertEqual(self.ok("run", "--bundle", bundle, "c1"), "hello\n")
        modes = {name: os.stat(os.path.join(folder, name)).st_mode & 0o7777 for name in os.listdir(folder)}
        self.assertEqual(modes, {"write": 0o777, "open": 0o777, "truncate": 0o777, "capable": 0o777, "read": 0o6777})
        self.assertEqual(os.listxattr(os.path.join(folder, "capable")), [])

    def test_two_at_once_are_independent(self):
        bundles = [self.world.bundle("sleep", "1000"), self.world.bundle("sleep", "1000")]
        makers = [self.world.start("run", "-d", "-b", bundle, f"c{i}", stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL) for i, bundle in enumerate(bundles)]
        self.assertEqual([maker.wait(kata_cli.PATIENCE) for maker in makers], [0, 0])
        self.assertEqual(self.ok("list", "-q"), "c0\nc1\n")
        self.ok("delete", "-f", "c0")
        self.assertEqual(self.world.state("c1")["status"], "running")
        self.assertEqual(self.ok("exec", "c1", "echo", "still here"), "still here\n")
        self.ok("delete", "-f", "c1")


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
