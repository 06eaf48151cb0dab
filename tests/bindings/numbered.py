# SPDX-License-Identifier: LGPL-2.1-or-later
"""The numbered tests of README.md in Python; see there for what each shows."""
import asyncio
import os
import pickle
import select
import signal
import sys
import tempfile
import threading
import unittest

import kata

ID = os.environ["KATA_TEST_ID"]
LANGUAGE = os.environ["KATA_TEST_LANGUAGE"]
PATIENCE = 150


def bundle(name):
    return os.path.join(os.environ["KATA_TEST_BUNDLES"], name)


def new_id(name):
    return f"{LANGUAGE}-{name}"


class Offline(unittest.TestCase):
    def test_010_version(self):
        self.assertRegex(kata.version(), r"^\d+\.\d+\.\d+$")
        self.assertTrue(kata.has_feature("events"))
        self.assertFalse(kata.has_feature("flying"))
        self.assertFalse(kata.has_feature("events\0b"))

    def test_020_errors(self):
        with self.assertRaises(kata.NotFound) as caught, kata.Context() as ctx:
            ctx.open_sandbox("absent")
        error = caught.exception
        self.assertEqual((error.code, error.name, error.detail), (3, "not-found", ""))
        self.assertIn("'absent'", str(error))
        self.assertNotIsInstance(error, kata.InvalidState)
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(again), str(again), again.name), (kata.NotFound, str(error), "not-found"))
        self.assertTrue(issubclass(kata.TimeoutExpired, TimeoutError))

    def test_030_settings(self):
        with kata.Settings({"hypervisor.qemu": {"default_vcpus": 3}}) as settings:
            settings.set("hypervisor.qemu", "kernel", '/a "b"')
            self.assertEqual(settings.get("hypervisor.qemu", "default_vcpus"), 3)
            self.assertEqual(settings.get("hypervisor.qemu", "kernel"), '/a "b"')
            self.assertIn("default_vcpus = 3", settings.to_text())
            found = {(one["section"], one["key"]): one for one in settings.describe()}
            vcpus = found["hypervisor.qemu", "default_vcpus"]
            self.assertEqual((vcpus["value"], vcpus["default"], vcpus["source"]), (3, 1, "caller"))
            self.assertEqual(found["runtime", "enable_debug"]["source"], "default")
            with tempfile.NamedTemporaryFile("w") as file:
                file.write("[hypervisor.qemu]\nmsize_9p = 8192\n")
                file.flush()
                settings.load_file(file.name)
                self.assertEqual([(one["key"], one["source"]) for one in settings.ignored()],
                                 [("msize_9p", f"{file.name}:2")])
            with self.assertRaisesRegex(kata.ConfigError, "no_such_key"):
                settings.set("hypervisor.qemu", "no_such_key", 1)
            with self.assertRaisesRegex(kata.ConfigError, "default_memory"):
                settings.set("hypervisor.qemu", "default_memory", -5)

    def test_040_domain_xml(self):
        with kata.Settings({"hypervisor.qemu": {"default_memory": 333}}) as settings:
            xml = kata.domain_xml(settings, "pod", "/run/kata")
            with self.assertRaisesRegex(kata.NotFound, "/nowhere"):
                kata.domain_xml(settings, "pod", "/run/kata", bundle="/nowhere")
        self.assertIn("333", xml)
        self.assertIn("<domain", xml)

    def test_050_agent_protocol(self):
        methods = {method.name: method for method in kata.agent_methods()}
        self.assertGreater(len(methods), 40)
        self.assertEqual(methods["AgentService.CreateContainer"].request_type, "grpc.CreateContainerRequest")
        fields = kata.describe_message("grpc.Storage")["fields"]
        self.assertIn("mountPoint", [field["name"] for field in fields])
        self.assertIn("mountPoint", kata.message_template("grpc.Storage"))
        with self.assertRaises(kata.NotFound):
            kata.describe_message("grpc.Nothing")

    def test_060_host_check(self):
        with kata.Context() as ctx:
            lines = ctx.check_host()
            with kata.Settings({"hypervisor.qemu": {"default_vcpus": 3}}) as settings:
                described = ctx.describe(settings)
            self.assertEqual((described["versions"]["libkata"], described["root"]), (kata.version(), ctx.root))
        self.assertRegex(described["versions"]["hypervisor"], "QEMU")
        self.assertEqual([one["name"] for one in described["host"]["checks"]], [line["name"] for line in lines])
        self.assertEqual([one["value"] for one in described["settings"] if one["key"] == "default_vcpus"], [3])
        self.assertGreater(len(lines), 3)
        for line in lines:
            self.assertTrue(line["name"] and line["text"], line)

    def test_070_agent_addresses(self):
        with self.assertRaises(kata.Unavailable):
            kata.Agent(f"unix://{os.environ['KATA_ROOT']}/nobody")
        with self.assertRaisesRegex(kata.InvalidArgument, "ftp"):
            kata.Agent("ftp://here")

    def test_080_unknown_ids(self):
        with kata.Context() as ctx:
            self.assertRaises(kata.NotFound, ctx.open_sandbox, "absent")
            self.assertRaises(kata.NotFound, ctx.open_container, "absent")
            self.assertRaises(kata.InvalidArgument, ctx.open_sandbox, "a/b")
            self.assertRaises(kata.InvalidArgument, ctx.create_sandbox, "..")
            with self.assertRaisesRegex(kata.InvalidArgument, "NUL"):
                ctx.open_sandbox(ID + "\0b")
        self.assertRaises(kata.InvalidArgument, ctx.open_sandbox, ID)  # closed


    def test_values_that_c_cannot_hold(self):
        with kata.Context() as ctx, self.assertRaisesRegex(kata.InvalidArgument, "-1 is not from 0"):
            ctx.resize_direct_volume("/nowhere", -1)
        with self.assertRaisesRegex(kata.InvalidArgument, "not a number"):
            kata.Agent("unix:///nowhere", timeout=float("nan"))
        with self.assertRaisesRegex(kata.InvalidArgument, "-1"):
            kata.Agent("unix:///nowhere", timeout=-1)


class InGuest(unittest.TestCase):
    def setUp(self):
        self.ctx = kata.Context()
        self.sandbox = self.ctx.open_sandbox(ID)
        self.shared = self.ctx.open_container(ID)
        for handle in (self.ctx, self.sandbox, self.shared):
            self.addCleanup(handle.close)

    def create(self, name, bundle_name="sleep", **streams):
        return self.sandbox.create_container(new_id(name), bundle(bundle_name), **streams)

    def test_100_sandbox(self):
        self.assertIn(ID, self.ctx.list_sandboxes())
        self.assertIn(ID, [sandbox.id for sandbox in self.ctx.sandboxes()])
        self.assertEqual((self.sandbox.id, self.sandbox.status), (ID, kata.SandboxStatus.RUNNING))
        with self.assertRaises(kata.TimeoutExpired):
            self.sandbox.wait(timeout=0.1)

    def test_110_owner(self):
        self.assertIn("<domain", self.sandbox.domain_xml())
        steps = {step["name"]: step for step in self.sandbox.boot_timeline()}
        self.assertLess(steps["kernel"]["begin_us"], steps["kernel"]["end_us"])

    def test_120_agent(self):
        self.assertEqual(self.sandbox.call_agent("Health.Check")["status"], "SERVING")
        with self.assertRaises(kata.NotFound):
            self.sandbox.call_agent("AgentService.Nothing")

    def test_130_pause(self):
        self.sandbox.pause()
        self.assertEqual(self.sandbox.status, kata.SandboxStatus.PAUSED)
        self.assertRaises(kata.InvalidState, self.sandbox.pause)
        with self.assertRaisesRegex(kata.InvalidState, "paused"):
            self.sandbox.call_agent("Health.Check")
        self.sandbox.resume()
        self.assertEqual(self.sandbox.status, kata.SandboxStatus.RUNNING)
        self.assertRaises(kata.InvalidState, self.sandbox.resume)
        self.assertEqual(self.sandbox.call_agent("Health.Check")["status"], "SERVING")

    def test_140_size(self):
        before = self.sandbox.stats()
        self.assertEqual({process["name"] for process in before["processes"]}, {"hypervisor", "virtiofsd", "owner"})
        for process in before["processes"]:
            self.assertTrue(process["pid"] > 1 and process["resident_bytes"] > 1 << 20, process)
        self.sandbox.resize(memory_mib=before["memory_mib"] + 1)
        self.assertEqual(self.sandbox.stats()["memory_mib"], before["memory_mib"] + 128)
        self.assertRaises(kata.InvalidArgument, self.sandbox.resize, memory_mib=64)
        self.assertRaises(kata.InvalidArgument, self.sandbox.resize, vcpus=10000)

    def test_150_console(self):
        with self.sandbox.console() as console:
            self.assertIn(b"kata-agent", console.readline())

    def test_160_network(self):
        names = [interface["name"] for interface in self.sandbox.interfaces()]
        self.assertEqual(names, ["lo"])
        self.assertEqual(self.sandbox.update_routes(self.sandbox.routes()), [])
        with self.assertRaises(kata.NotFound):
            self.sandbox.add_interface({"device": "eth9"})
        with self.assertRaises(kata.NotFound):
            self.sandbox.remove_interface({"device": "eth9"})

    def test_170_cold(self):
        with self.ctx.create_sandbox(new_id("cold")) as cold:
            self.assertEqual(cold.status, kata.SandboxStatus.CREATED)
            for call in (cold.domain_xml, cold.pause, cold.resume, cold.stats, cold.interfaces, cold.routes,
                         lambda: cold.resize(vcpus=2), lambda: cold.call_agent("Health.Check"),
                         lambda: cold.add_interface({"device": "eth9"})):
                self.assertRaises(kata.InvalidState, call)
            self.assertRaises(kata.NotFound, cold.console)
            with self.assertRaisesRegex(kata.NotFound, "/nowhere"):
                cold.set_netns("/nowhere")
            cold.delete()
            for call in (cold.start, cold.stop, cold.wait, cold.delete):
                with self.assertRaisesRegex(kata.NotFound, new_id("cold")):
                    call()

    def test_200_streams(self):
        done = self.sandbox.run(bundle("talk"), input=b"from python\n", timeout=PATIENCE)
        self.assertEqual(done, (9, b"got from python\n", b"oops\n"))
        self.assertRaises(kata.GuestError, done.check)

    def test_210_life(self):
        with self.create("life") as container:
            self.assertEqual((container.id, container.sandbox_id), (new_id("life"), ID))
            self.assertEqual(container.status, kata.ContainerStatus.CREATED)
            container.start()
            self.assertEqual(container.state()["status"], "running")
            self.assertIn(new_id("life"), self.ctx.list_containers())
            self.assertIn(new_id("life"), [other.id for other in self.ctx.containers()])
            self.assertRaises(kata.InvalidState, container.start)
            self.assertRaises(kata.AlreadyExists, self.create, "life")
            container.kill(signal.SIGKILL)
            container.wait(PATIENCE)
            self.assertEqual(container.status, kata.ContainerStatus.STOPPED)
        self.assertRaises(kata.NotFound, self.ctx.open_container, new_id("life"))

    def test_220_kill(self):
        with self.create("kill") as container:
            container.start()
            container.kill(signal.SIGKILL, all=True)
            self.assertEqual(container.wait(PATIENCE), 137)
            self.assertRaises(kata.NotFound, container.kill, signal.SIGTERM)
            self.assertEqual(container.delete(), 137)
            self.assertRaises(kata.NotFound, container.delete)
            container.delete(force=True)

    def test_230_delete(self):
        container = self.create("delete")
        container.start()
        with self.assertRaisesRegex(kata.InvalidState, new_id("delete")):
            container.delete()
        self.assertEqual(container.delete(force=True), 137)
        self.assertRaises(kata.NotFound, self.ctx.open_container, new_id("delete"))

    def test_240_timeout(self):
        with self.assertRaises(kata.TimeoutExpired) as caught:
            self.shared.wait(timeout=0.1)
        self.assertEqual(caught.exception.name, "timeout")

    def test_250_pause(self):
        with self.create("pause") as container:
            container.start()
            container.pause()
            self.assertEqual(container.status, kata.ContainerStatus.PAUSED)
            self.assertRaises(kata.InvalidState, container.pause)
            container.resume()
            self.assertEqual(container.status, kata.ContainerStatus.RUNNING)
            self.assertRaises(kata.InvalidState, container.resume)

    def test_260_update(self):
        with self.create("update") as container:
            container.start()
            container.update({"pids": {"limit": 77}})
            self.assertEqual(int(container.stats()["cgroup_stats"]["pids_stats"]["limit"]), 77)
            with self.assertRaisesRegex(kata.InvalidArgument, "limit"):
                container.update({"memory": {"limit": "much"}})

    def test_270_stats(self):
        self.assertGreater(int(self.shared.stats()["cgroup_stats"]["memory_stats"]["usage"]["usage"]), 0)
        init = [entry for entry in self.shared.processes() if entry.get("is_init")]
        self.assertEqual([(entry["command"], entry["container_pid"]) for entry in init], [("sleep", 1)])

    def test_280_events(self):
        with self.create("events") as container:
            container.start()
            container.pause()
            container.resume()
            container.kill(signal.SIGKILL)
            seen = []
            for event in container.events(timeout=PATIENCE):
                seen.append((event.type, event.exit_status))
                if event.type == "exit":
                    break
        self.assertEqual(seen, [("start", None), ("pause", None), ("resume", None), ("exit", 137)])

    def test_290_watch(self):
        with self.sandbox.watch() as events:
            try:
                while True:
                    last = events.next(wait=False)
            except kata.TimeoutExpired:
                pass
        with self.sandbox.watch(after=last.number) as events, self.create("watch") as container:
            self.assertRaises(kata.TimeoutExpired, events.next, wait=False)
            container.start()
            self.assertEqual(select.select([events], [], [], PATIENCE)[0], [events])
            self.assertEqual(events.next(PATIENCE)[::3], ("start", new_id("watch")))
            container.kill(signal.SIGKILL)

            async def first():
                async for event in events:
                    return event

            self.assertEqual(asyncio.run(first())[3:], (new_id("watch"), 137))

    def test_closed_while_it_waits(self):
        events = self.sandbox.watch()
        closing = threading.Timer(0.1, events.close)
        closing.start()
        with self.assertRaisesRegex(kata.InvalidArgument, "closed"):
            while True:
                events.next()
        closing.join()

    def test_early_ends(self):
        for rest in ("", "exec >&- 2>&-;"):
            with self.assertRaises(kata.TimeoutExpired) as caught:
                self.shared.run(["sh", "-c", f"echo some; {rest} exec sleep 54321"], timeout=0.7)
            error = pickle.loads(pickle.dumps(caught.exception))
            self.assertEqual((error.output, error.stderr), (b"some\n", b""))
        self.assertNotIn("54321", str(self.shared.processes()))
        self.assertEqual(self.shared.run(["true"], timeout=float("inf")).returncode, 0)

    def test_the_error_of_a_block_is_told(self):
        with self.assertRaises(ZeroDivisionError), self.create("block") as container:
            container.delete(force=True)
            raise ZeroDivisionError
        self.assertTrue(container.closed)

    def test_300_exec(self):
        code, out, err = self.shared.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=PATIENCE)
        self.assertEqual((code, out, err), (3, b"out\n", b"err\n"))
        self.assertEqual(self.sandbox.exec(["echo", "there"], container=ID, text=True).stdout, "there\n")

    def test_310_exec_input(self):
        done = self.shared.run(["sh", "-c", "cat; echo $COLOUR; pwd; id -u"], input=b"x" * 200000 + b"\n",
                               env={"COLOUR": "blue"}, cwd="/tmp", user={"uid": 7, "gid": 7}, timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stdout), (0, b"x" * 200000 + b"\nblue\n/tmp\n7\n"))

    def test_320_exec_missing(self):
        with self.assertRaisesRegex(kata.KataError, "no-such-program"):
            self.shared.run(["no-such-program"])

    def test_330_exec_kill(self):
        with self.shared.exec(["sleep", "1000"], exec_id=new_id("exec")) as process:
            process.start()
            with self.shared.open_process(new_id("exec")) as again:
                again.kill(signal.SIGKILL)
                self.assertEqual(again.wait(PATIENCE), 137)
            self.assertEqual(process.delete(), 137)
            self.assertRaises(kata.NotFound, process.wait)
        with self.assertRaises(kata.TimeoutExpired):
            self.shared.run(["sleep", "1000"], timeout=0.5)

    def test_340_terminal(self):
        host, guest = os.openpty()
        try:
            with self.shared.exec(["sh", "-c", "read line; stty size"], terminal=True, stdin=guest,
                                  stdout=guest) as process:
                process.start()
                process.resize(77, 33)
                os.write(host, b"go\n")
                seen = b""
                while b"33 77" not in seen:
                    seen += os.read(host, 100)
                self.assertEqual(process.wait(PATIENCE), 0)
        finally:
            os.close(host)
            os.close(guest)

    def test_400_threads(self):
        found = {}

        def run(number):
            found[number] = self.shared.run(["echo", str(number)], timeout=PATIENCE)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, {number: (0, f"{number}\n".encode(), b"") for number in range(8)})

    def test_410_fork(self):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if self.sandbox.status == kata.SandboxStatus.RUNNING and self.shared.run(["true"])[0] == 0 else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)

    def test_420_no_checkpoint(self):
        with self.assertRaisesRegex(kata.Unsupported, "shared_fs"):
            self.shared.checkpoint(bundle(new_id("saved")))
        self.assertEqual(self.shared.status, kata.ContainerStatus.RUNNING)
        with self.ctx.create_sandbox(new_id("restored")) as cold, self.assertRaisesRegex(kata.NotFound, "/nowhere"):
            cold.restore_container(new_id("restored"), bundle("disk"), "/nowhere")

    def test_430_checkpoint(self):
        saved = bundle(new_id("saved"))
        with kata.Settings({"hypervisor.qemu": {"shared_fs": "none"}}) as settings, \
                self.ctx.create_sandbox(new_id("restored"), settings) as restored, \
                restored.restore_container(new_id("restored"), bundle("disk"),
                                           os.environ["KATA_TEST_CHECKPOINT"]) as container:
            container.start()
            self.assertEqual(container.status, kata.ContainerStatus.RUNNING)
            self.assertEqual([process["command"] for process in container.processes()], ["sleep"])
            container.checkpoint(saved, leave_running=True)
            self.assertTrue(os.path.exists(saved))
            self.assertEqual(container.status, kata.ContainerStatus.RUNNING)

    @staticmethod
    def ahead(directory, number):
        return kata.Settings({"factory": {"template_path": directory, "vm_cache_number": number},
                              "hypervisor.qemu": {"agent_channel": "serial"}})

    def test_440_ahead(self):
        with self.ahead(os.environ["KATA_TEST_STORE"], 1) as settings:
            before = self.ctx.list_templates(settings)
            key, is_new = self.ctx.create_template(settings)
            self.assertEqual(is_new, not before)
            template, = self.ctx.list_templates(settings)
            self.assertEqual(template["key"], key)
            self.assertGreater(template["bytes"], 1 << 20)
            self.assertEqual(self.ctx.fill_pool(settings), (1, 1))
            standby, = self.ctx.list_pool(settings)
            self.assertEqual(standby["template"], key)
            self.assertEqual(self.ctx.empty_pool(settings), 1)
            self.assertFalse(os.path.exists(f"/proc/{standby['pid']}/root"))

    def test_450_none_ahead(self):
        directory, key = bundle(new_id("store")), "0123456789abcdef0123456789abcdef"
        os.mkdir(directory)
        with self.ahead(directory, 0) as settings:
            with self.assertRaisesRegex(kata.ConfigError, "factory.vm_cache_number"):
                self.ctx.fill_pool(settings)
            self.assertEqual(self.ctx.list_pool(settings), [])
            os.chmod(directory, 0o777)
            with self.assertRaisesRegex(kata.PermissionDenied, directory):
                self.ctx.create_template(settings)
            with open(os.path.join(directory, key), "w", encoding="utf-8") as file:
                file.write("old")
            self.assertEqual(self.ctx.remove_templates(settings), [key])
        os.rmdir(directory)

    def test_460_direct_volumes(self):
        path = bundle(new_id("volume"))
        with self.assertRaisesRegex(kata.InvalidArgument, "device"):
            self.ctx.add_direct_volume(path, {})
        with self.assertRaisesRegex(kata.InvalidArgument, "absolute"):
            self.ctx.add_direct_volume("here", {"device": "/dev/kata-nothing"})
        self.ctx.add_direct_volume(path, {"device": "/dev/kata-nothing", "options": ["ro"]})
        volume, = [one for one in self.ctx.list_direct_volumes() if one["volume_path"] == path]
        self.assertEqual(volume["mount_info"], {"device": "/dev/kata-nothing", "options": ["ro"]})
        self.assertEqual(volume["users"], [])
        self.assertRaisesRegex(kata.NotFound, path, self.ctx.direct_volume_stats, path)
        self.assertRaisesRegex(kata.NotFound, path, self.ctx.resize_direct_volume, path, 4096)
        self.ctx.remove_direct_volume(path)
        self.assertNotIn(path, [one["volume_path"] for one in self.ctx.list_direct_volumes()])

    def test_470_oci(self):
        self.assertIn("network", kata.oci_features()["linux"]["namespaces"])
        self.assertEqual(kata.oci_spec()["process"]["args"], ["sh"])
        self.assertEqual(kata.oci_spec(rootless=True)["linux"]["uidMappings"][0]["hostID"], os.geteuid())


class Result(unittest.TextTestResult):
    def addSuccess(self, test):
        super().addSuccess(test)
        print(f"ok {test.id().rsplit('.', 1)[1][5:8]}", flush=True)


if __name__ == "__main__":
    unittest.main(testRunner=unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=0))
