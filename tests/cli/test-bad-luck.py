#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may go wrong around a guest: programs killed, files missing, a guest that never answers. Nothing is left."""
import glob
import hashlib
import os
import shutil
import signal
import subprocess
import time

import kata_cli


def find(world, name):
    return [pid for pid, line in world.processes() if name in line.split(" ")[0]]


class Killed(kata_cli.CliTest):
    def start_sleeper(self):
        self.ok("run", "-d", "--bundle", self.world.bundle("sleep", "1000"), "c1")

    def kill(self, name):
        pids = find(self.world, name)
        self.assertTrue(pids, self.world.processes())
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def test_hypervisor(self):
        self.start_sleeper()
        self.kill("qemu-system")
        kata_cli.wait_for(lambda: self.world.run("state", "c1").returncode != 0
                          or self.world.state("c1")["status"] == "stopped", "the end to be noticed", 5)
        self.ok("delete", "--force", "c1")

    def seconds_until_told(self):
        """From the end of a guest to that of the katactl that waits for its container."""
        process = self.world.start("run", "--bundle", self.world.bundle("sh", "-c", "echo up; sleep 1000"), "c1",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"up\n")
        begin = time.monotonic()
        self.kill("qemu-system")
        self.assertNotEqual(process.wait(20), 0)
        took = time.monotonic() - begin
        process.stdout.close()
        process.stderr.close()
        self.ok("delete", "--force", "c1")
        return took

    def test_hypervisor_under_run(self):
        """Noticed within a second; on a machine that is busy at that moment, the next time or the one after."""
        took = []
        while len(took) < 3 and min(took, default=1) >= 1:
            took.append(self.seconds_until_told())
        self.assertLess(min(took), 1, took)

    def test_owner(self):
        """A new one takes over; the container never notices."""
        self.start_sleeper()
        self.kill("containerd-shim-kata-v2")
        self.assertEqual(self.world.state("c1")["status"], "running")
        self.assertEqual(self.ok("exec", "c1", "echo", "still here"), "still here\n")
        self.ok("delete", "--force", "c1")

    def test_owner_and_hypervisor(self):
        self.start_sleeper()
        self.kill("containerd-shim-kata-v2")
        self.kill("qemu-system")
        self.ok("delete", "--force", "c1")

    def test_file_server(self):
        self.start_sleeper()
        self.kill("virtiofsd")
        self.ok("delete", "--force", "c1")

    def test_katactl_while_the_guest_starts(self):
        """At many moments: a foreground run leaves nothing by itself, a create only what it had finished."""
        bundle = self.world.bundle("sleep", "1000")
        for command in ("create", "run"):
            for moment in (0.02, 0.08, 0.3, 1.2, 2.4):
                with self.subTest(command=command, moment=moment):
                    process = self.world.start(command, "--bundle", bundle, "c1", stdin=subprocess.DEVNULL,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    time.sleep(moment)
                    process.kill()
                    if process.wait() == 0:
                        self.ok("delete", "c1")
                    self.world.assert_nothing_left(40)

    def test_given_up_while_the_guest_starts(self):
        """Ctrl-C cleans up by itself: once there is a sandbox, a machine, and a kernel that speaks."""
        bundle = self.world.bundle("sleep", "1000")
        sandboxes, consoles = (os.path.join(self.world.root, "s/*", name) for name in ("", "console.log"))
        for name, has_come in (("sandbox", lambda: glob.glob(sandboxes)), ("machine", self.world.machines),
                               ("kernel", lambda: any(os.path.getsize(path) > 0 for path in glob.glob(consoles)))):
            process = self.world.start("run", "--bundle", bundle, "c1", stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            kata_cli.wait_for(has_come, f"the {name}")
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 130, errors)
            self.world.assert_nothing_left()

    def kill_another(self, *names):
        """A second sandbox, of which these are killed one after the other; None: what stands for its container here."""
        spared = {pid for pid, _ in self.world.processes()}
        self.ok("run", "-d", "--bundle", self.world.bundle("sleep", "1000"), "c2")
        for name in names:
            pids = [pid for pid in find(self.world, name) if pid not in spared] if name else [self.world.state("c2")["pid"]]
            self.assertTrue(pids, name)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            self.assertEqual(self.ok("exec", "c1", "echo", "fine"), "fine\n")
            self.ok("state", "c2")  # by a new owner, if the old one was killed
        self.world.wait_status("c2", "stopped")
        self.ok("delete", "--force", "c2")

    def test_others_are_untouched(self):
        """By whatever is killed of another sandbox: none of their processes ends, and they work."""
        self.start_sleeper()
        mine = {pid for pid, _ in self.world.processes()}
        self.kill_another("containerd-shim-kata-v2", "virtiofsd")
        self.kill_another("qemu-system")
        self.kill_another(None)
        kata_cli.wait_for(lambda: {pid for pid, _ in self.world.processes()} == mine, "the others' processes to go", 15)
        self.assertEqual(self.ok("exec", "c1", "cat", "/proc/1/comm"), "sleep\n")
        self.ok("delete", "--force", "c1")


class Missing(kata_cli.CliTest):
    def refuse(self, text, *settings, **options):
        world = kata_cli.World(settings, **options)
        self.addCleanup(world.close)
        result = world.run("run", "--bundle", world.bundle("true"), "c1")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(text, result.stderr)
        world.assert_nothing_left()

    def test_kernel(self):
        self.refuse("/nonexistent/vmlinuz", kernel="/nonexistent/vmlinuz")

    def test_initrd(self):
        self.refuse("/nonexistent/initrd", ("hypervisor.qemu", "initrd", '"/nonexistent/initrd"'))

    def test_hypervisor(self):
        self.refuse("/nonexistent/qemu", ("hypervisor.qemu", "path", '"/nonexistent/qemu"'))

    def test_file_server(self):
        self.refuse("/nonexistent/virtiofsd", ("hypervisor.qemu", "virtio_fs_daemon", '"/nonexistent/virtiofsd"'))

    def test_not_permitted(self):
        """QEMU's user cannot read what root can; a program that is no program."""
        hidden = self.world.path("hidden")
        os.mkdir(hidden, 0o700)
        for path in (kata_cli.KERNEL, kata_cli.INITRD, "/bin/true"):
            shutil.copy(path, hidden)
        kernel, initrd = (os.path.join(hidden, os.path.basename(path)) for path in (kata_cli.KERNEL, kata_cli.INITRD))
        os.chmod(f"{hidden}/true", 0o644)
        self.refuse(f"'{kernel}': Permission denied", kernel=kernel)
        self.refuse("Permission denied", ("hypervisor.qemu", "initrd", f'"{initrd}"'))
        for setting in ("path", "virtio_fs_daemon"):
            self.refuse(f"'{hidden}/true' (setting hypervisor.qemu.{setting}): Permission denied",
                        ("hypervisor.qemu", setting, f'"{hidden}/true"'))

    def test_link_to_nowhere(self):
        """A sandbox's directory that was elsewhere, removed by one who was killed before the link to it was."""
        sandboxes = os.path.join(self.world.root, "s")
        os.makedirs(sandboxes)
        os.symlink("/run/kata/o/gone/gone", os.path.join(sandboxes, hashlib.sha256(b"c1").hexdigest()[:16]))
        self.assertEqual(self.ok("run", "--bundle", self.world.bundle("echo", "here"), "c1"), "here\n")

    def test_owner(self):
        self.world.env["KATA_OWNER"] = "/nonexistent/owner"
        self.fails("/nonexistent/owner", "run", "--bundle", self.world.bundle("true"), "c1")

    def test_guest_that_never_answers(self):
        """The end of its console tells why, if its kernel has come to that: a slow machine gets more time for it."""
        world = kata_cli.World([("hypervisor.qemu", "kernel_params", '"rdinit=/nonexistent panic=0"')])
        self.addCleanup(world.close)
        bundle = world.bundle("true")
        for seconds in (6, 24, 96):
            world.configure([("agent.kata", "dial_timeout", str(seconds))])
            begin = time.monotonic()
            result = world.run("run", "--bundle", bundle, "c1")
            took = time.monotonic() - begin
            self.assertEqual(result.returncode, 1)
            self.assertTrue(seconds <= took < seconds + 24, took)
            world.assert_nothing_left()
            if "Kernel panic" in result.stderr:
                return
        self.fail(result.stderr)

    def test_full_disk(self):
        os.mkdir(self.world.path("full"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,nr_inodes=8", "tmpfs", self.world.path("full")],
                       check=True)
        try:
            bundle = self.world.bundle("true")
            result = self.world.run("--root", self.world.path("full"), "run", "--bundle", bundle, "c1")
            self.assertEqual(result.returncode, 1)
            self.assertIn("No space left on device", result.stderr)
            self.assertEqual(glob.glob(self.world.path("full/[sc]/*")), [])
        finally:
            kata_cli.wait_for(lambda: subprocess.run(["umount", self.world.path("full")], check=False,
                                                     stderr=subprocess.DEVNULL).returncode == 0, "the unmount", 15)

    def test_disk_that_fills_up(self):
        """While a container lives: it can be looked at, stopped and deleted; what cannot be done says why."""
        full = self.world.path("full")
        os.mkdir(full)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", full], check=True)
        try:
            bundle = self.world.bundle("sleep", "1000")
            self.ok("--root", full, "run", "-d", "--bundle", bundle, "c1")
            subprocess.run(["dd", "if=/dev/zero", f"of={full}/fill", "bs=4k"], stderr=subprocess.DEVNULL, check=False)
            self.assertEqual(self.ok("--root", full, "exec", "c1", "echo", "fine"), "fine\n")
            for command in ("state", "ps", "pause", "resume"):
                self.ok("--root", full, command, "c1")
            self.ok("--root", full, "update", "--pids-limit", "50", "c1")
            self.fails("No space left on device", "--root", full, "create", "--bundle", bundle, "c2")
            self.fails("No space left on device", "--root", full, "exec", "--detach", "--pid-file", f"{full}/pid", "c1", "true",
                       status=255)
            self.ok("--root", full, "kill", "c1", "KILL")
            kata_cli.wait_for(lambda: '"stopped"' in self.ok("--root", full, "state", "c1"), "the container's end")
            self.ok("--root", full, "delete", "c1")
            self.assertEqual(glob.glob(f"{full}/[sc]/*"), [])
        finally:
            self.world.run("--root", full, "delete", "--force", "c1")
            kata_cli.wait_for(lambda: subprocess.run(["umount", full], check=False,
                                                     stderr=subprocess.DEVNULL).returncode == 0, "the unmount", 15)

    def small_disk(self, name):
        path = self.world.path(name)
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path], check=True)
        self.addCleanup(lambda: kata_cli.wait_for(lambda: subprocess.run(
            ["umount", path], check=False, stderr=subprocess.DEVNULL).returncode == 0, "the unmount", 15))
        return path

    def tearDown(self):
        if self.count_faults() > self.faults_before:
            print(self.world.owner_log())

    def test_bundle_on_a_full_disk(self):
        """What the guest writes fails as on the host, and succeeds once there is room again."""
        full = self.small_disk("full")
        bundle = shutil.copytree(self.world.bundle("sleep", "1000"), f"{full}/b", symlinks=True)
        subprocess.run(["dd", "if=/dev/zero", f"of={full}/fill", "bs=4k"], stderr=subprocess.DEVNULL, check=False)
        self.fails("No space left on device", "create", "--bundle", bundle, "--pid-file", f"{full}/pid", "c1")
        self.assertEqual(sorted(os.listdir(full)), ["b", "fill"])
        self.assertEqual(self.ok("list", "-q"), "")
        self.ok("run", "-d", "--bundle", bundle, "c1")
        write = ("exec", "c1", "sh", "-c", "dd if=/dev/zero of=/file bs=1000 count=100 && sync")
        self.fails("No space left on device", *write)
        self.assertEqual(self.ok("exec", "c1", "echo", "fine"), "fine\n")
        os.unlink(f"{full}/fill")
        self.assertEqual(self.world.run(*write).returncode, 0)
        self.assertEqual(os.path.getsize(f"{bundle}/rootfs/file"), 100000)
        self.ok("delete", "--force", "c1")

    def test_tmp_is_full(self):
        """Nobody needs room there: a container runs as ever."""
        bundle = self.world.bundle("echo", "fine")
        # This world's directory and the build's stay where they are.
        script = """set -e; mount --rbind /tmp /mnt; mount -t tmpfs -o size=16k tmpfs /tmp
            for path in $KEPT; do mkdir -p $path; mount --bind /mnt${path#/tmp} $path; done
            ! dd if=/dev/zero of=/tmp/fill bs=4k 2>/dev/null
            "$@" """
        kept = [path for path in (self.world.base, kata_cli.BUILD) if path.startswith("/tmp/")]
        result = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", kata_cli.KATACTL, "run", "--bundle", bundle, "c1"],
                                env=dict(self.world.env, KEPT=" ".join(kept)), stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, check=False, timeout=kata_cli.PATIENCE)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "fine\n", ""))
        self.world.assert_nothing_left()


class Hostile(kata_cli.CliTest):
    """Documents that mean harm: refused, or without effect on the host."""

    def test_links_out_of_the_rootfs(self):
        bundle = self.world.bundle("sh", "-c", "cat /etc/passwd")
        os.symlink("/etc/passwd", os.path.join(bundle, "rootfs/etc/passwd"))
        result = self.world.run("run", "--bundle", bundle, "c1")
        self.assertNotEqual(result.returncode, 0)
        self.assertNotIn("root:", result.stdout)

    def test_rootfs_is_a_link(self):
        bundle = self.world.bundle("true", change=lambda d: d["root"].update(path="../../../../etc"))
        result = self.world.run("run", "--bundle", bundle, "c1")
        self.assertNotEqual(result.returncode, 0)

    def test_mounts_over_links(self):
        victim = self.world.path("victim")
        os.mkdir(victim)
        bundle = self.world.bundle("sh", "-c", "echo x > /m/file; ls /m", change=lambda d: d["mounts"].append(
            {"destination": "/m/../m", "type": "tmpfs", "source": "tmpfs"}))
        os.symlink(victim, os.path.join(bundle, "rootfs/m"))
        self.world.run("run", "--bundle", bundle, "c1")
        self.assertEqual(os.listdir(victim), [])

    def test_many_mounts(self):
        bundle = self.world.bundle("sh", "-c", "wc -l < /proc/mounts", change=lambda d: d["mounts"].extend(
            {"destination": f"/tmp/m{i}", "type": "tmpfs", "source": "tmpfs"} for i in range(300)))
        result = self.world.run("run", "--bundle", bundle, "c1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertGreater(int(result.stdout), 300)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
