#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""katactl agent: an agent of this host at an address, and the one in a sandbox's guest."""
import base64
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import kata_cli

AGENT = kata_cli.built("agent", "kata-agent")
HOST_AGENT = None
PAGE = os.path.join(kata_cli.SOURCE, "man/katactl-agent.1")


def page_examples():
    """The command lines of the page's EXAMPLES; lines that begin with a blank go on with the one before."""
    with open(PAGE, encoding="utf-8") as file:
        text = file.read().split(".SH EXAMPLES", 1)[1].split("\n.SH", 1)[0]
    lines = "\n".join(re.findall(r"\.EX\n(.*?)\n\.EE", text, re.S))
    lines = lines.replace("\\-", "-").replace("\\(aq", "'").replace("\n  ", " ")
    return lines.splitlines()


class HostAgent:
    """An agent as an ordinary process, in namespaces of its own; it is asked nothing that changes the host."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="kata-", dir="/tmp")
        self.path = os.path.join(self.folder, "agent.sock")
        self.process = subprocess.Popen(["unshare", "--mount", "--net", "--ipc", "--uts", AGENT, "--listen",
                                         f"unix://{self.path}"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL)
        unittest.addModuleCleanup(self.end)
        kata_cli.wait_for(lambda: os.path.exists(self.path), "the agent's socket")

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder)


def setUpModule():
    global HOST_AGENT  # pylint: disable=global-statement
    HOST_AGENT = HostAgent()


class AtAnAddress(kata_cli.Assertions):
    @classmethod
    def setUpClass(cls):
        cls.world = kata_cli.World()
        cls.addClassCleanup(cls.world.close)
        cls.path = HOST_AGENT.path

    def call(self, *args, **options):
        return self.ok("agent", "call", f"unix://{self.path}", *args, **options)

    def test_calls(self):
        self.assertEqual(json.loads(self.call("Check")), {"status": "SERVING"})
        self.assertEqual(json.loads(self.call("grpc.Health/Check", "{}")), {"status": "SERVING"})
        details = json.loads(self.call("GetGuestDetails", '{"memBlockSize": true}'))["agentDetails"]
        self.assertIn("virtio-fs", details["storageHandlers"])
        with tempfile.TemporaryFile("w+") as request:
            request.write('{"service": "x"}\n')
            request.seek(0)
            self.assertIn("agentVersion", json.loads(self.call("Health.Version", "-", stdin=request)))

    def test_refused(self):
        address = f"unix://{self.path}"
        self.fails("no method 'Dance'", "agent", "call", address, "Dance")
        self.fails("request: CheckRequest has no member 'x'", "agent", "call", address, "Check", '{"x": 1}')
        self.fails("request: line 1", "agent", "call", address, "Check", "nonsense")
        self.fails("cannot connect to 'unix:///nowhere'", "agent", "call", "unix:///nowhere", "Check")
        self.fails("tcp://", "agent", "call", "tcp://127.0.0.1:1024", "Check")
        self.fails("agent call needs ADDRESS METHOD", "agent", "call", address)
        self.fails("too long", "agent", "call", "--timeout", "2147483647", address, "Check")
        self.fails("parse error", "agent", "call", "--timeout", "-1", address, "Check")
        self.fails("Invalid container id 'none'", "agent", "call", address, "StatsContainer", '{"containerId": "none"}')
        with tempfile.TemporaryFile("wb+") as request:
            request.write(b"{}\0")
            request.seek(0)
            self.fails("it has NUL characters", "agent", "call", address, "Check", "-", stdin=request)
            request.seek(8 << 20)
            request.write(b"{}")
            request.seek(0)
            self.fails("longer than 8 MiB", "agent", "call", address, "Check", "-", stdin=request)
        self.fails("no such command: 'agent dance'", "agent", "dance", status=3)
        self.assertIn("agent methods", self.ok("agent"))
        self.assertIn("agent methods", self.ok("help", "agent"))
        self.assertIn("--timeout", self.ok("help", "agent", "call"))
        self.assertIn("--timeout", self.ok("agent", "call", "--help"))

    def test_nobody_answers(self):
        """A peer that takes the connection and says nothing."""
        path = self.world.path("mute.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            self.fails("was not answered within 1000 ms", "agent", "call", "-t", "1", f"unix://{path}", "Check")

    def test_hybrid_vsock(self):
        """The CONNECT line of Firecracker and Cloud Hypervisor in front of the real agent."""
        path = self.world.path("hvsock")

        def pump(source, sink):
            while data := source.recv(65536):
                sink.sendall(data)

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()

            def serve():
                guest, _ = listener.accept()
                with guest, socket.socket(socket.AF_UNIX) as agent:
                    assert guest.recv(100) == b"CONNECT 1024\n"
                    agent.connect(self.path)
                    guest.sendall(b"OK 5000\n")
                    back = threading.Thread(target=pump, args=(agent, guest))
                    back.start()
                    pump(guest, agent)
                    agent.shutdown(socket.SHUT_RDWR)
                    back.join()

            thread = threading.Thread(target=serve)
            thread.start()
            self.assertEqual(json.loads(self.ok("agent", "call", f"hvsock://{path}:1024", "Check")), {"status": "SERVING"})
            thread.join()

    def test_methods(self):
        lines = self.ok("agent", "methods").splitlines()
        self.assertEqual(lines[0].split(), ["METHOD", "REQUEST", "REPLY"])
        self.assertEqual(len(lines), 45)
        rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
        self.assertEqual(rows["AgentService.ReadStdout"], ["grpc.ReadStreamRequest", "grpc.ReadStreamResponse"])
        with open(os.path.join(kata_cli.SOURCE, "proto/agent.proto"), encoding="utf-8") as file:
            for name in re.findall(r"rpc (\w+)\(", file.read()):
                self.assertIn(f"AgentService.{name}", rows)
                self.assertIsInstance(json.loads(self.ok("agent", "methods", "--template", name)), dict)
        template = json.loads(self.ok("agent", "methods", "--template", "SignalProcess"))
        self.assertEqual(template, {"containerId": "", "execId": "", "signal": 0})
        fields = json.loads(self.ok("agent", "methods", "--describe", "grpc.FSGroup"))["fields"]
        self.assertEqual([(field["name"], field["number"]) for field in fields], [("groupId", 2), ("groupChangePolicy", 3)])
        self.fails("no method 'Dance'", "agent", "methods", "--template", "Dance")
        self.fails("no message 'Dance'", "agent", "methods", "--describe", "Dance")
        self.fails("exclude each other", "agent", "methods", "--describe", "grpc.Storage", "--template", "Check")


class InASandbox(kata_cli.OneContainerTest):
    # The guest goes with it, and it is called "c1" by the others.
    ENDS = {"DestroySandbox", "RemoveContainer"}

    def call(self, *args, **options):
        return self.ok("agent", "call", "--sandbox", "c1", *args, **options)

    def test_calls(self):
        self.assertEqual(json.loads(self.call("Check")), {"status": "SERVING"})
        stats = json.loads(self.call("StatsContainer", '{"containerId": "c1"}'))["cgroupStats"]
        self.assertGreater(int(stats["memoryStats"]["usage"]["usage"]), 0)
        self.assertIsInstance(stats["memoryStats"]["usage"]["usage"], str)
        self.assertTrue(json.loads(self.call("GetGuestDetails"))["agentDetails"]["initDaemon"])

        # A process of the guest that the owner knows nothing of.
        process = {"Args": ["sh", "-c", "cat; exit 3"], "Env": ["PATH=/bin"], "Cwd": "/", "User": {}}
        name = {"containerId": "c1", "execId": "by-hand"}
        self.assertEqual(self.call("ExecProcess", json.dumps({**name, "process": process})), "{ }\n")
        data = base64.b64encode(b"\0to and fro\xff").decode()
        self.assertEqual(json.loads(self.call("WriteStdin", json.dumps({**name, "data": data}))), {"len": 12})
        self.call("CloseStdin", json.dumps(name))
        reply = json.loads(self.call("ReadStdout", json.dumps({**name, "len": 4096})))
        self.assertEqual(base64.b64decode(reply["data"]), b"\0to and fro\xff")
        self.assertEqual(json.loads(self.call("ReadStdout", json.dumps({**name, "len": 4096}))), {})
        self.assertEqual(json.loads(self.call("WaitProcess", json.dumps(name))), {"status": 3})

        self.fails("sandbox 'none' does not exist", "agent", "call", "-s", "none", "Check")
        self.fails("invalid sandbox ID", "agent", "call", "-s", "a/b", "Check")
        self.fails("nvalid container id", "agent", "call", "-s", "c1", "StatsContainer", '{"containerId": "none"}')
        self.fails("agent call needs", "agent", "call", "-s", "c1", "Check", "{}", "{}")

    def test_long_calls(self):
        """One that waits keeps nobody from calling, and ends at its time-out."""
        wait = json.dumps({"containerId": "c1"})
        with self.world.start("agent", "call", "-s", "c1", "-t", "0", "WaitProcess", wait, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as waiter:
            began = time.monotonic()
            for method in ("WaitProcess", "ReadStdout"):
                request = {"containerId": "c1", "len": 1} if method == "ReadStdout" else {"containerId": "c1"}
                self.fails("was not answered within", "agent", "call", "-s", "c1", "-t", "1", method,
                           json.dumps(request))
            self.assertGreater(time.monotonic() - began, 1.9)
            self.assertEqual(json.loads(self.call("Check")), {"status": "SERVING"})
            self.assertIsNone(waiter.poll())
            waiter.kill()
        self.assertEqual(json.loads(self.call("Check")), {"status": "SERVING"})

    def test_every_method(self):
        """None of them, asked for nothing in particular, hurts the agent; what fails says why."""
        rows = [line.split()[0] for line in self.ok("agent", "methods").splitlines()[1:]]
        answered = set()
        for name in rows:
            short = name.split(".")[1]
            if short in self.ENDS:
                continue
            template = self.ok("agent", "methods", "--template", name)
            result = self.world.run("agent", "call", "-s", "c1", "-t", "2", name, template)
            if result.returncode == 0:
                json.loads(result.stdout)
                answered.add(short)
            else:
                self.assertEqual(result.returncode, 1, name)
                self.assertRegex(result.stderr, r'msg="[^"]{4,}', name)
        self.assertEqual(json.loads(self.call("Check")), {"status": "SERVING"})
        self.assertLessEqual({"Check", "Version", "GetGuestDetails"}, answered)

    def test_examples_of_the_page(self):
        """katactl-agent(1): each of its command lines does what it says here, too."""
        lines = [line for line in page_examples() if "katactl " in line]
        self.assertGreaterEqual(len(lines), 6)
        bin_dir = self.world.path("bin")
        os.makedirs(bin_dir, exist_ok=True)
        with open(os.path.join(bin_dir, "katactl"), "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nexec {shlex.quote(kata_cli.KATACTL)} "$@"\n')
        os.chmod(os.path.join(bin_dir, "katactl"), 0o755)
        env = dict(self.world.env, PATH=f"{bin_dir}:{os.environ['PATH']}")
        for line in lines:
            command = re.sub(r"\bbox\b", "c1", line).replace("/run/agent.sock", HOST_AGENT.path)
            if "vsock" in command:  # needs a hypervisor of another kind
                continue
            done = subprocess.run(["bash", "-o", "pipefail", "-c", command], env=env, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=kata_cli.PATIENCE, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), line)
            self.assertNotEqual(done.stdout, "", line)


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_guests)
