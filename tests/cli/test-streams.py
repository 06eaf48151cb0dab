#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Streams through real guests: much data arrives whole, slow readers lose nothing, ends of file arrive."""
import hashlib
import os
import signal
import subprocess
import threading
import time

import kata_cli

SIZE = 200 << 20
CHUNK = 1 << 20


def pattern(seed):
    """CHUNK bytes in which no two places look alike."""
    return b"".join(hashlib.sha256(b"%d-%d" % (seed, i)).digest() for i in range(CHUNK // 32))


class Streams(kata_cli.OneContainerTest):
    def popen(self, *args, **options):
        return self.world.start("exec", "c1", *args, stderr=subprocess.PIPE, **options)

    def test_200_mib_in(self):
        process = self.popen("sha256sum", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        digest = hashlib.sha256()
        for seed in range(SIZE // CHUNK):
            chunk = pattern(seed % 8)
            digest.update(chunk)
            process.stdin.write(chunk)
        process.stdin.close()
        self.assertEqual(process.stdout.read().split()[0].decode(), digest.hexdigest())
        self.assertEqual(process.wait(kata_cli.PATIENCE), 0)
        process.stdout.close()
        process.stderr.close()

    def test_both_directions_at_once(self):
        process = self.popen("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        sent, received = hashlib.sha256(), hashlib.sha256()

        def feed():
            for seed in range(32):
                sent.update(pattern(seed))
                process.stdin.write(pattern(seed))
            process.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        while chunk := process.stdout.read(CHUNK):
            received.update(chunk)
        feeder.join()
        self.assertEqual(sent.hexdigest(), received.hexdigest())
        self.assertEqual(process.wait(kata_cli.PATIENCE), 0)
        process.stdout.close()
        process.stderr.close()

    def test_slow_reader_stops_the_writer(self):
        """Then it goes on where it was."""
        lines = 4000  # 4 MB: more than all buffers on the way
        process = self.popen("sh", "-c", "pad=$(head -c 1000 /dev/zero | tr '\\0' x); i=0; "
                             f"while [ $i -lt {lines} ]; do i=$((i+1)); echo $i $pad; echo $i > /tmp/at; done",
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        before, at = -1, 0
        while at != before:
            time.sleep(3)
            before, at = at, int(self.ok("exec", "c1", "cat", "/tmp/at") or before - 1)  # "": just being written
        self.assertTrue(0 < at < lines, at)
        text = process.stdout.read().decode()
        self.assertEqual(process.wait(kata_cli.PATIENCE), 0)
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(text, "".join(f"{i} {'x' * 1000}\n" for i in range(1, lines + 1)))

    def test_ends(self):
        """A closed stdin is an end of file; a reader that goes away is a SIGPIPE for the one that writes."""
        self.assertEqual(self.world.run("exec", "c1", "wc", "-c").stdout, "0\n")
        closed = subprocess.run(f"exec {kata_cli.KATACTL} exec c1 wc -c <&-", shell=True, env=self.world.env,
                                stdout=subprocess.PIPE, text=True, timeout=kata_cli.PATIENCE, check=False)
        self.assertEqual(closed.stdout, "0\n")
        process = self.popen("yes", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        process.stdout.read(10)
        process.stdout.close()
        self.assertEqual(process.wait(kata_cli.PATIENCE), 128 + signal.SIGPIPE)
        process.stderr.close()
        process = self.popen("sh", "-c", "yes; echo $? >&2; sleep 0.2; exit 3", stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE)
        process.stdout.read(10)
        process.stdout.close()
        self.assertEqual(process.stderr.read(), b"141\n")
        self.assertEqual(process.wait(kata_cli.PATIENCE), 3)
        process.stderr.close()

    def test_no_descriptor_stays_with_us(self):
        """Readers get their end of file when a detached process ends, and as long as it runs they get none."""
        read_end, write_end = os.pipe()
        maker = self.world.start("exec", "-d", "c1", "sh", "-c", "echo first; sleep 2; echo last",
                                 stdin=subprocess.DEVNULL, stdout=write_end, stderr=subprocess.DEVNULL)
        os.close(write_end)
        self.assertEqual(maker.wait(kata_cli.PATIENCE), 0)
        with os.fdopen(read_end, "rb") as file:
            self.assertEqual(file.read(), b"first\nlast\n")


class Pipes(kata_cli.CliTest):
    def test_200_mib_out(self):
        """Of the container itself."""
        bundle = self.world.bundle("sh", "-c", f"for i in $(seq {SIZE // CHUNK // 8}); do dd if=/data bs=64k 2>/dev/null; done")
        with open(os.path.join(bundle, "rootfs/data"), "wb") as file:
            for seed in range(8):
                file.write(pattern(seed))
        run = self.world.start("run", "--bundle", bundle, "c1", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        digest, length = hashlib.sha256(), 0
        while chunk := run.stdout.read(CHUNK):
            digest.update(chunk)
            length += len(chunk)
        self.assertEqual(run.wait(kata_cli.PATIENCE), 0)
        run.stdout.close()
        expected = hashlib.sha256()
        for i in range(SIZE // CHUNK):
            expected.update(pattern(i % 8))
        self.assertEqual((length, digest.hexdigest()), (SIZE, expected.hexdigest()))

    def test_run_whose_reader_goes_away(self):
        """The first process of a pid namespace gets no SIGPIPE, but its writes fail, so it ends."""
        run = self.world.start("run", "--bundle", self.world.bundle("yes"), "c1", stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        head = subprocess.run(["head", "-n", "1"], stdin=run.stdout, stdout=subprocess.PIPE, check=True)
        run.stdout.close()
        self.assertEqual(head.stdout, b"y\n")
        self.assertEqual(run.wait(kata_cli.PATIENCE), 1, run.stderr.read())
        run.stderr.close()

    def test_full_disk(self):
        """What cannot be written fails for the writer too, and is not just lost."""
        bundle = self.world.bundle("sh", "-c", "echo x; sleep 1; until ! echo y; do sleep 0.05; done; exit 6")
        with open("/dev/full", "wb") as full:
            run = self.world.start("run", "--bundle", bundle, "c1", stdin=subprocess.DEVNULL, stdout=full,
                                   stderr=subprocess.DEVNULL)
            self.assertEqual(run.wait(kata_cli.PATIENCE), 6)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
