#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent and its client over vsock. Without the host's vhost-vsock the only peer is in the guest itself: katactl, in a
container, reaches the agent through the guest's loopback (context id 1, vsock(7))."""
import json
import os
import shutil
import subprocess

import kata_cli

AGENT = "vsock://1:1024"


class Vsock(kata_cli.CliTest):
    settings = [("agent.kata", "kernel_modules", '["vsock_loopback"]')]

    def call(self, *args, status=0):
        result = self.world.run_attached("exec", "c1", "/bin/katactl", "agent", "call", *args)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result

    def test_agent(self):
        bundle = self.world.bundle("sleep", "1000")
        kata_cli.add_program(os.path.join(bundle, "rootfs"), kata_cli.KATACTL, self.world.env)
        self.ok("run", "-d", "--bundle", bundle, "c1")
        self.assertEqual(json.loads(self.call(AGENT, "Health.Check").stdout), {"status": "SERVING"})
        details = json.loads(self.call(AGENT, "AgentService.GetGuestDetails").stdout)["agentDetails"]
        self.assertTrue(details["initDaemon"])
        # Two megabytes in one message, so many packets of vsock.
        data = "QUJD" * (2 << 20 >> 2)
        with open(os.path.join(bundle, "rootfs/request"), "w", encoding="utf-8") as file:
            json.dump({"path": "/run/kata-containers/shared/containers/no/such/place", "fileSize": str(len(data) * 3 // 4),
                       "fileMode": 0o100600, "data": data}, file)
        result = self.world.run_attached("exec", "c1", "sh", "-c",
                                         f"katactl agent call {AGENT} AgentService.CopyFile - </request")
        # What arrived whole is judged by what it says: the share is read-only for the guest's files.
        self.assertNotIn("protocol", result.stderr)
        self.assertRegex(result.stderr, "Read-only file system|read-only")
        self.assertIn("vsock://1:9", self.call("vsock://1:9", "Health.Check", status=1).stderr)
        # And the sandbox's owner is served as before, over its own channel.
        self.assertEqual(self.ok("exec", "c1", "echo", "fine"), "fine\n")
        self.ok("delete", "--force", "c1")


class Ports(kata_cli.CliTest):
    """The log port and the debug console, in a guest whose image has a shell."""
    settings = [("agent.kata", "kernel_modules", '["vsock_loopback"]'),
                ("hypervisor.qemu", "kernel_params",
                 '"agent.log_vport=1025 agent.debug_console agent.debug_console_vport=1026"')]

    def make_world(self):
        world = super().make_world()
        image, shell = world.path("initrd.img"), world.path("shell")
        os.makedirs(os.path.join(shell, "bin"))
        shutil.copy("/bin/busybox", os.path.join(shell, "bin/sh"))
        more = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=shell, input=b"bin\nbin/sh\n",
                              stdout=subprocess.PIPE, check=True).stdout
        # The kernel unpacks one archive after the other.
        with open(kata_cli.INITRD, "rb") as old, open(image, "wb") as new:
            shutil.copyfileobj(old, new)
            new.write(b"\0" * (-new.tell() % 512) + more)
        with open(world.config, encoding="utf-8") as file:
            settings = file.read()
        with open(world.config, "w", encoding="utf-8") as file:
            file.write(settings.replace(kata_cli.INITRD, image))
        return world

    def test_ports(self):
        bundle = self.world.bundle("sleep", "1000")
        kata_cli.add_program(os.path.join(bundle, "rootfs"), os.path.join(kata_cli.BUILD, "tests/cli/vsock-talk"), self.world.env)
        self.ok("run", "-d", "--bundle", bundle, "c1")
        with self.subTest("the log goes to who connects"):
            heard = os.path.join(bundle, "heard")
            with open(heard, "w", encoding="utf-8") as output:
                reader = self.world.start("exec", "c1", "vsock-talk", "1025", "profile-of-test", stdout=output,
                                          stdin=subprocess.DEVNULL)
            kata_cli.wait_for(lambda: "connected" in read(heard) or reader.poll() is not None, "the log port")
            self.ok("agent", "call", "--sandbox", "c1", "AgentService.ExecProcess", json.dumps(
                {"containerId": "c1", "execId": "x", "process": {
                    "Args": ["true"], "Cwd": "/", "Env": ["PATH=/bin"], "User": {}, "ApparmorProfile": "profile-of-test"}}))
            self.assertEqual(reader.wait(timeout=kata_cli.PATIENCE), 0, read(heard))
            lines = [json.loads(line) for line in read(heard).splitlines() if line.startswith("{")]
            self.assertTrue(any(line["level"] == "warning" and "profile-of-test" in line["msg"] for line in lines), lines)
        with self.subTest("a shell at the debug console"):
            result = self.world.run_attached("exec", "c1", "sh", "-c",
                                             "printf 'echo $((6*7))-is-it\\nexit\\n' | vsock-talk 1026 42-is-it")
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.ok("delete", "--force", "c1")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
