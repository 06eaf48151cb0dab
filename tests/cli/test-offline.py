#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""katactl without a guest: syntax, texts, logs, exit statuses, and input that is refused before anything starts."""
import json
import os
import re
import shutil
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree

import kata_cli

BAD_IDS = ["", ".", "..", "a/b", "../x", "a b", "ü", "a\nb", "x" * 129, "y" * 4096]


HELP = "--help, -h"
# What is checked, and goes nowhere.
NOT_IN_HELP = {"update": {"--kernel-memory SIZE", "--kernel-memory-tcp SIZE"}}


def page(name):
    """A page of section 1 as people read it."""
    path = os.path.join(kata_cli.SOURCE, f"man/{name}.1")
    env = dict(os.environ, MANROFFOPT="-rLL=500n", LC_ALL="C")
    return re.sub(".\x08", "", subprocess.run(["man", "-Tascii", "-l", path], env=env, check=True, capture_output=True,
                                             text=True).stdout)


def tags(text):
    """The options that a help text or a page describes: "--bundle, -b DIR"."""
    found, may_follow = set(), False
    for line in text.splitlines():
        match = re.match(r"(?:   |       )(--[a-z0-9-]+(?:, -\w)?(?: (?![A-Z][a-z])\S+)?)(?:  | [A-Z][a-z]|$)", line)
        if match and may_follow:
            found.add(match[1])
        # In a paragraph it is only spoken of.
        may_follow = bool(match and may_follow) or line == "" or line[:1].isupper() or line.endswith(":")
    return found


class Syntax(kata_cli.CliTest):
    def test_version(self):
        for spelling in (["--version"], ["-v"], ["version"], ["-version"]):
            lines = self.ok(*spelling).splitlines()
            self.assertRegex(lines[0], r"^katactl version \d+\.\d+\.\d+")
            self.assertTrue(any(re.match(r"spec: 1\.\d+\.\d+$", line) for line in lines))

    def test_settings_file(self):
        """--kata-config goes before the environment, which goes before the default."""
        self.assertEqual(self.ok("--kata-show-default-config-paths"), f"{self.world.config}\n")
        other = self.world.path("other.conf")
        self.assertEqual(self.ok("--kata-config", other, "--kata-show-default-config-paths"), f"{other}\n")
        self.fails(other, "--kata-config", other, "env")
        with open(other, "w", encoding="utf-8") as file:
            file.write("[hypervisor.qemu]\ndefault_vcpus = 3\n")
        self.assertRegex(self.ok("--kata-config", other, "env"), rf"default_vcpus *=? *3.*{re.escape(other)}:2")

    def test_help(self):
        for spelling in (["--help"], ["-h"], ["help"], []):
            text = self.ok(*spelling)
            for command in self.commands():
                self.assertRegex(text, rf"(?m)^   {command} +\w")
        for command in self.commands():
            self.assertIn(f"Usage: katactl {command}", self.ok(*command.split(), "--help"))
            self.assertEqual(self.ok("help", *command.split()), self.ok(*command.split(), "-h"))
        self.fails("no help topic for 'x'", "help", "x", status=3)

    def test_man_pages_and_help_agree(self):
        """Each command has a page, with the same purpose, operands and options as its help, and no others."""
        self.assertEqual(tags(page("katactl")), tags(self.ok("--help")))
        groups = {command.split()[0] for command in self.commands()}
        for group in groups:
            self.assertIn(f"katactl-{group}(1)", page("katactl"))
        self.assertEqual(groups, {name[len("katactl-"):-2] for name in os.listdir(os.path.join(kata_cli.SOURCE, "man"))
                                  if name.startswith("katactl-")})
        for group in groups:
            text = page(f"katactl-{group}")
            commands = [command for command in self.commands() if command.split()[0] == group]
            helps = {command: self.ok(*command.split(), "--help") for command in commands}
            self.assertEqual(tags(text) - NOT_IN_HELP.get(group, set()),
                             set().union(*map(tags, helps.values())) - {HELP}, group)
            for command, help_text in helps.items():
                operands = re.search(r"Usage: katactl .*\[OPTIONS\] ?(.*)", help_text)[1].split(" | ")
                for words in operands:
                    self.assertRegex(text, rf"(?m)^       katactl {command}( \[options\])?( [^\n]*)?{re.escape(words)}$")
                if commands == [group]:
                    purpose = help_text.split("\n")[2].strip()
                    self.assertIn(f"katactl-{group} - {purpose}\n", text)

    def test_wrong_usage(self):
        result = self.world.run("start", "--bogus", "c")
        self.assertEqual(result.returncode, 1)
        self.assertTrue(result.stdout.startswith("Incorrect Usage."))
        self.assertIn("flag provided but not defined: -bogus", result.stderr)
        self.fails("flag provided but not defined: -bogus", "--bogus", "list")
        self.fails("no such command: 'bogus'", "bogus", status=3)
        for args, text in ((["start"], 'katactl: \\"start\\" requires exactly 1 argument(s)'),
                           (["start", "a", "b"], 'katactl: \\"start\\" requires exactly 1 argument(s)'),
                           (["list", "a"], 'katactl: \\"list\\" requires exactly 0 argument(s)'),
                           (["kill"], 'katactl: \\"kill\\" requires a minimum of 1 argument(s)'),
                           (["kill", "a", "9", "b"], 'katactl: \\"kill\\" requires a maximum of 2 argument(s)'),
                           (["exec"], 'katactl: \\"exec\\" requires a minimum of 1 argument(s)')):
            self.assertIn("Incorrect Usage.", self.world.run(*args).stdout)
            self.fails(text, *args)
        self.fails("xml needs the ID", "xml")

    def test_what_callers_send_is_understood(self):
        """Every flag reaches the point where the bundle is read."""
        bundle = self.world.path("empty")
        os.mkdir(bundle)
        for args in (["create", "--bundle", bundle, "--pid-file", "p", "--no-pivot", "--no-new-keyring",
                      "--preserve-fds", "0", "c"],
                     ["run", "--detach", "-no-subreaper", "--keep", "-b", bundle, "c"],
                     ["--systemd-cgroup", "--rootless=auto", "--criu", "/x", "--cgroup-manager", "disabled", "--debug",
                      "create", f"--bundle={bundle}", "c"]):
            self.fails("config.json not found", *args)
        for flags in (["--tty=true"], ["-t=0"], ["--detach=false"], ["-e", "A=1", "-e=B=2", "--cap", "CAP_KILL"],
                      ["--user", "1:2", "-g", "3", "--no-new-privs", "--process-label", "x", "--apparmor", "y"],
                      ["--preserve-fds", "0", "--cgroup", "/", "--ignore-paused", "--cwd", "/"]):
            self.fails("exec failed: container does not exist", "exec", *flags, "c", "ls", "--detach", status=255)
        for args in (["events", "--stats"], ["events", "--interval", "1m"], ["ps", "--format", "json"], ["ps", "-f=table"],
                     ["update", "--resources=-"], ["update", "--cpu-quota=-1", "--memory", "1g"],
                     ["kill", "--all"], ["kill", "-a=false"], ["delete", "--force=false"],
                     ["checkpoint", "--image-path", "/i", "--work-path", "/w", "--leave-running", "--tcp-established",
                      "--file-locks", "--status-fd", "3", "--manage-cgroups-mode", "soft", "--empty-ns", "network"]):
            self.fails('"container does not exist"', *args, "c")


    def test_what_cannot_reach_a_guest_is_refused(self):
        bundle = self.world.bundle("true", rootfs=False)
        for command in ("create", "run"):
            self.fails("cannot pass 2 descriptors into the container", command, "--preserve-fds=2", "-b", bundle, "c")
        script = 'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
        result = subprocess.run(["sh", "-c", script, "sh", kata_cli.KATACTL, "create", "-b", bundle, "c"],
                                env=self.world.env, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot pass 1 sockets (LISTEN_FDS) into the container", result.stderr)
        self.fails("--rootless: 'x' is none of auto, true and false", "--rootless", "x", "list")
        self.fails("cannot restore with --lazy-pages", "restore", "--lazy-pages", "c")
        for path in ("sub", "memory:/sub", "/..", "", "cpu:"):
            self.fails(f"cannot run the process in cgroup '{path}': in a guest it runs in the container's own", "exec",
                       "--cgroup", path, "c1", "ls", status=255)

    @unittest.skipIf(shutil.which("runc") is None, "no runc is installed")
    def test_all_that_runc_takes(self):
        """Each command and each option, by all its names, and with a value where runc's has one."""
        def of_runc(*words):
            return subprocess.run(["runc", *words, "--help"], capture_output=True, text=True, check=True).stdout

        def options_of(text):
            for line in re.findall(r"(?m)^   (-.*?)(?:  |$)", text):
                names = [re.sub(r" value$", "", name) for name in line.split(", ")]
                yield names, " value" in line
        top = of_runc()
        commands = re.findall(r"(?m)^   (\w+)(?:, (\w))?  +", top.split("COMMANDS:")[1].split("GLOBAL OPTIONS:")[0])
        self.assertGreaterEqual(len(commands), 18)
        for names, has_value in options_of(top.split("GLOBAL OPTIONS:")[1]):
            for name in names:
                word = {"--root": self.world.root, "--log-format": "text", "--rootless": "auto"}.get(name, "/dev/null")
                self.ok(f"{name}={word}" if has_value else name, "help")
        seen = 0
        for command in {name for pair in commands for name in pair if name} - {"help", "h"}:
            for names, has_value in options_of(of_runc(command)):
                seen += 1
                for name in names:
                    with self.subTest(command=command, option=name):
                        # With help behind it, it is all that is looked at.
                        said = self.world.run(command, *([name, "1"] if has_value else [name]), "--help")
                        self.assertEqual((said.returncode, said.stderr), (0, ""))
        self.assertGreater(seen, 80)
        self.assertEqual(self.ok("h"), self.ok("help"))


    def test_restore_without_anything(self):
        self.fails("katactl restore failed: ", "restore", "--detach", "--pid-file", "p", "-no-subreaper", "--image-path",
                   "/i", "--work-path", "/w", "--console-socket", "s", "--no-pivot", "--bundle", "b", "c")


    def test_garbage_in_every_flag(self):
        """Refused with a word, or taken; never a crash, and nothing is made."""
        garbage = ["", "-", "--", "=", "/", "..", "x" * 70000, "-1", "99999999999999999999", "1e9", "%s%n%p", "a\nb", "\udcff",
                   "{", "null", "/proc/self/mem", "/dev/null"]
        for command in self.commands():
            options = re.findall(r"(?m)^   --([a-z0-9-]+)(?:, -\w)?( \S+)?", self.ok(*command.split(), "--help"))
            flags = [f"--{name}" for name, value in options if not value.startswith(" ") and name != "help"]
            valued = [f"--{name}" for name, value in options if value.startswith(" ") and name not in ("resources", "bundle")]
            for word in garbage:
                for args in ([f"{flag}={word}" for flag in flags], [f"{flag}={word}" for flag in valued]):
                    if args:
                        self.refuse_garbage(*command.split(), *args)
            for flag in valued:
                for word in ("x y", "", "-1", "9" * 20, "\udcff"):
                    self.refuse_garbage(*command.split(), f"{flag}={word}")
                self.refuse_garbage(*command.split(), flag)
        for word in garbage:
            for flag in ("--root", "--log-format", "--debug", "--rootless", "--systemd-cgroup", "--bogus"):
                self.refuse_garbage(f"{flag}={word}", "list")
        self.assertEqual(os.listdir(self.world.root), [])

    def refuse_garbage(self, *args):
        # A container that is not there: what parses ends at that.
        operands = [] if args[0] in ("check", "env", "features", "spec", "list", "version") or args[-1] == "list" else ["none"]
        if args[0] in ("check", "env", "features", "list", "spec", "version"):
            args = (*args, "surplus")
        result = self.world.run(*args, *operands, cwd=self.world.base)
        self.assertIn(result.returncode, (0, 1, 255), (args, result.stderr))
        if result.returncode != 0:
            self.assertNotEqual(result.stderr, "", args)
        self.assertLess(len(result.stderr), 200000)


class Logs(kata_cli.CliTest):
    def fail_with(self, *flags):
        return self.world.run(*flags, "start", "none")

    def test_standard_error(self):
        result = self.fail_with()
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r'^time="\d{4}-\d\d-\d\dT[^"]*" level=error msg="container does not exist"\n$')
        line = json.loads(self.fail_with("--log-format", "json").stderr)
        self.assertEqual((line["level"], line["msg"]), ("error", "container does not exist"))

    def test_file(self):
        log = self.world.path("log.json")
        with open(log, "w", encoding="utf-8") as file:
            file.write("kept\n")
        for _ in range(2):
            result = self.fail_with("--log", log, "--log-format", "json")
            self.assertEqual((result.returncode, result.stderr), (1, "container does not exist\n"))
        with open(log, encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertEqual(lines[0], "kept")
        self.assertEqual(len(lines), 3)
        for line in lines[1:]:
            entry = json.loads(line)
            self.assertEqual((entry["level"], entry["msg"]), ("error", "container does not exist"))
            self.assertRegex(entry["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
        self.assertIn('level=error msg="container does not exist"', self.text_log())

    def text_log(self):
        log = self.world.path("log.txt")
        self.fail_with("--log", log)
        self.assertEqual(os.stat(log).st_mode & 0o777, 0o644)
        with open(log, encoding="utf-8") as file:
            return file.read()

    def test_debug_tells_where_lines_come_from(self):
        """As runc does: its log readers know file and func."""
        log = self.world.path("log.json")
        self.fail_with("--debug", "--log", log, "--log-format", "json")
        with open(log, encoding="utf-8") as file:
            entry = json.loads(file.read().splitlines()[-1])
        self.assertEqual(sorted(entry), ["file", "func", "level", "msg", "time"])
        self.assertRegex(entry["file"], r"^katactl/\w+\.c:\d+$")
        self.assertRegex(entry["func"], r"^\w+$")
        self.assertRegex(self.fail_with("--debug").stderr,
                         r'level=error msg="container does not exist" func="\w+\(\)" file="\w+\.c:\d+"\n$')

    def test_nothing_on_success(self):
        log = self.world.path("log.json")
        self.ok("--log", log, "--log-format", "json", "delete", "--force", "none")
        self.assertEqual(os.path.getsize(log), 0)

    def test_bad_log(self):
        self.fails("invalid log-format: xml", "--log-format", "xml", "list")
        self.fails("No such file or directory", "--log", self.world.path("none/log"), "list")


class WithoutContainers(kata_cli.CliTest):
    def test_missing_container(self):
        for args in (["state", "c"], ["start", "c"], ["kill", "c"], ["kill", "c", "9"], ["delete", "c"], ["pause", "c"],
                     ["resume", "c"], ["ps", "c"], ["events", "c"], ["update", "c"], ["update", "-r", "-", "c"]):
            self.fails('"container does not exist"', *args)
        self.fails('"exec failed: container does not exist"', "exec", "c", "ls", status=255)
        self.fails("does not exist", "xml", "c")
        self.fails("no container or sandbox 'c'", "boot-chart", "c")
        self.assertEqual(self.ok("delete", "--force", "c"), "")
        self.assertEqual(self.ok("delete", "-f", "c"), "")

    def test_bad_ids(self):
        bundle = self.world.bundle("true", rootfs=False)
        for name in BAD_IDS:
            for args in (["state", name], ["start", name], ["kill", name, "9"], ["delete", "--force", name],
                         ["create", "--bundle", bundle, name], ["run", "--bundle", bundle, name]):
                self.fails("invalid container ID format", *args)
            self.fails("invalid container ID format", "exec", name, "ls", status=255)

    def test_bad_signals(self):
        for name in ("BOGUS", "65", "9x", ""):
            self.fails("unknown signal", "kill", "c", name)
        self.fails("flag provided but not defined: -9", "kill", "-9", "c")

    def test_list(self):
        self.assertRegex(self.ok("list"), r"^ID          PID         STATUS      BUNDLE      CREATED     OWNER\n$")
        self.assertEqual(self.ok("list", "--format", "json"), "null\n")
        self.assertEqual(self.ok("list", "--format=json", "-q"), "")
        self.fails("invalid format option", "list", "--format", "xml")
        missing = self.world.path("none")
        self.fails("No such file or directory", "--root", missing, "list")

    def test_bad_roots(self):
        for root in ("/", "//", "/a/.."):
            self.fails("it would be the host's whole file system", "--root", root, "list")
        self.fails("it is too long for the unix sockets below it", "--root", "/" + "x" * 60, "list")

    def test_default_root_that_is_not_there(self):
        """As on a host where no container has ever been: an empty list, and nobody is known."""
        if os.geteuid() != 0:
            self.skipTest("a mount over /run needs root")
        env = {name: value for name, value in self.world.env.items() if name != "KATA_ROOT"}
        for command, status, out, err in (("list", 0, "ID ", ""), ("list --format json", 0, "null\n", ""),
                                          ("state c", 1, "", "container does not exist"), ("delete --force c", 0, "", "")):
            done = subprocess.run(["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none /run && exec {kata_cli.KATACTL} {command}"],
                                  env=env, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertTrue(done.stdout.startswith(out), done.stdout)
            self.assertEqual(err == "", done.stderr == "", done.stderr)
            self.assertIn(err, done.stderr)

    def test_features(self):
        document = json.loads(self.ok("features"))
        self.assertIn("seccomp", document["linux"])
        self.assertTrue(document["linux"]["cgroup"]["v2"])
        self.assertTrue(document["linux"]["cgroup"]["v1"])
        self.assertIn("CAP_SYS_ADMIN", document["linux"]["capabilities"])
        self.assertIn("createRuntime", document["hooks"])
        self.assertLessEqual(document["ociVersionMin"], document["ociVersionMax"])
        self.assertTrue(self.ok("features").startswith('{\n    "ociVersionMin": "1.'))

    def test_spec(self):
        os.umask(0o027)
        self.addCleanup(os.umask, 0o022)
        os.mkdir(self.world.path("b"))
        self.assertEqual(self.ok("spec", "--bundle", self.world.path("b")), "")
        path = self.world.path("b/config.json")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(text.startswith('{\n\t"ociVersion": "1.'))
        document = json.loads(text)
        self.assertEqual((document["process"]["args"], document["root"]["path"]), (["sh"], "rootfs"))
        self.fails("File config.json exists. Remove it first", "spec", cwd=self.world.path("b"))
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), text)
        self.fails("No such file or directory", "spec", "-b", self.world.path("none"))
        os.mkdir(self.world.path("c"))
        self.ok("spec", "--rootless", cwd=self.world.path("c"))
        with open(self.world.path("c/config.json"), encoding="utf-8") as file:
            self.assertIn({"type": "user"}, json.load(file)["linux"]["namespaces"])

    def test_closed_and_full_output(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([kata_cli.KATACTL, "features"], env=self.world.env, stdout=full,
                                    stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("No space left on device", result.stderr)
        closed = subprocess.run(f"{kata_cli.KATACTL} list <&- >&- 2>&-", shell=True, env=self.world.env, check=False)
        self.assertEqual(closed.returncode, 0)

    def test_check_names_each_thing(self):
        result = self.world.run("check")
        self.assertIn(result.returncode, (0, 1))
        self.assertEqual(result.stderr, "")
        lines = result.stdout.splitlines()
        self.assertGreater(len(lines), 3)
        self.assertRegex(lines[-1], r"^This host can(not)? run guests")
        for line in lines[:-1]:
            self.assertRegex(line, r"^((ok|warning|missing) +\S|  +->)")

    def test_check_fails_with_a_remedy(self):
        world = kata_cli.World(kernel="/nonexistent/vmlinuz")
        self.addCleanup(world.close)
        result = world.run("check")
        self.assertEqual(result.returncode, 1)
        self.assertIn("/nonexistent/vmlinuz", result.stdout)
        self.assertIn("-> ", result.stdout)

    def test_xml_of_a_bundle(self):
        bundle = self.world.bundle("true", rootfs=False)
        domain = xml.etree.ElementTree.fromstring(self.ok("xml", "--bundle", bundle, "c9"))
        self.assertEqual(domain.tag, "domain")
        self.assertEqual(domain.findtext("os/kernel"), kata_cli.KERNEL)
        self.assertEqual(domain.findtext("title"), "c9")
        self.assertEqual(domain.findall("devices/interface"), [])
        self.fails("no such directory", "xml", "--bundle", self.world.path("none"))

    def test_xml_of_a_bundle_with_limits(self):
        """256 MiB and one CPU are what the settings say, the rest is the container's."""
        resources = {"memory": {"limit": 64 << 20}, "cpu": {"quota": 50000, "period": 100000}}
        bundle = self.world.bundle("true", rootfs=False, change=lambda d: d["linux"].update(resources=resources))
        domain = xml.etree.ElementTree.fromstring(self.ok("xml", "--bundle", bundle))
        self.assertEqual((domain.findtext("memory"), domain.findtext("vcpu")), ("320", str(min(2, os.cpu_count()))))
        # What annotations change comes first, and drop-ins count.
        os.mkdir(self.world.path("conf.d"))
        with open(self.world.path("conf.d/10.conf"), "w", encoding="utf-8") as file:
            file.write('[hypervisor.qemu]\nenable_annotations = ["default_memory"]\n')
        bundle = self.world.bundle("true", rootfs=False, change=lambda d: d.update(annotations={
            "io.katacontainers.config.hypervisor.default_memory": "300"}, linux=dict(d["linux"], resources=resources)))
        domain = xml.etree.ElementTree.fromstring(self.ok("xml", "--bundle", bundle))
        self.assertEqual(domain.findtext("memory"), "364")
        self.fails("network namespace '/nowhere'", "xml", "--bundle", self.world.bundle(
            "true", rootfs=False, change=lambda d: d["linux"].update(namespaces=[{"type": "network", "path": "/nowhere"}])))


class BadBundles(kata_cli.CliTest):
    """Each is refused at once, with the reason, and leaves nothing."""

    def refuse(self, bundle, text, *flags):
        begin = time.monotonic()
        for command in ("create", "run"):
            message = self.fails(text, command, "--bundle", bundle, *flags, "c")
            self.assertIn(f"katactl {command} failed: ", message)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(os.listdir(self.world.root), [])

    def refuse_change(self, text, change):
        self.refuse(self.world.bundle("true", rootfs=False, change=change), text)

    def refuse_bytes(self, content, text=""):
        bundle = self.world.bundle("true", rootfs=False)
        with open(os.path.join(bundle, "config.json"), "wb") as file:
            file.write(content)
        self.refuse(bundle, text)

    def test_no_bundle(self):
        self.refuse(self.world.path("none"), "no such directory")
        os.mkdir(self.world.path("empty"))
        self.refuse(self.world.path("empty"), "JSON specification file config.json not found")

    def test_current_directory(self):
        os.mkdir(self.world.path("here"))
        self.fails("config.json not found", "create", "c", cwd=self.world.path("here"))

    def test_config_is_no_file(self):
        bundle = self.world.path("dir")
        os.makedirs(os.path.join(bundle, "config.json"))
        self.refuse(bundle, "config.json")
        bundle = self.world.path("fifo")
        os.makedirs(bundle)
        os.mkfifo(os.path.join(bundle, "config.json"))
        self.refuse(bundle, "config.json")

    def test_not_a_document(self):
        whole = b'{"ociVersion":"1.0.2","process":{"args":["sh"],"cwd":"/"},"root":{"path":"rootfs"}}'
        for content in (b"", b"nonsense", whole[:40], b"[]", b"null", b"\x00" * 100, b"\xff\xfe{}", b"{" * 100000,
                        whole + b"}", b'{"process":' + b"[" * 10000):
            self.refuse_bytes(content)

    def test_wrong_parts(self):
        self.refuse_change("process property must not be empty", lambda d: d.pop("process"))
        self.refuse_change("args must not be empty", lambda d: d["process"].update(args=[]))
        self.refuse_change("Cwd must be an absolute path", lambda d: d["process"].update(cwd="tmp"))
        self.refuse_change("Cwd property must not be empty", lambda d: d["process"].pop("cwd"))
        self.refuse_change("", lambda d: d["process"].update(args=["a\0b"]))
        self.refuse_change("", lambda d: d["process"].update(args="sh"))
        self.refuse_change("", lambda d: d["process"].update(env=[1]))
        self.refuse_change("", lambda d: d.update(ociVersion="9.9.9"))
        self.refuse_change("", lambda d: d.pop("ociVersion"))
        self.refuse_change("", lambda d: d.update(mounts=[{"destination": f"/m{i}"} for i in range(100000)]))

    def test_terminal_and_console_socket(self):
        detached = "cannot allocate tty if runc will detach without setting console socket"
        attached = "cannot use console socket if runc will not detach or allocate tty"
        terminal = self.world.bundle("sh", terminal=True, rootfs=False)
        plain = self.world.bundle("sh", rootfs=False)
        self.fails(detached, "create", "--bundle", terminal, "c")
        self.fails(detached, "run", "--detach", "--bundle", terminal, "c")
        self.fails(attached, "create", "--console-socket", "s", "--bundle", plain, "c")
        self.fails(attached, "run", "--console-socket", "s", "--bundle", terminal, "c")
        self.fails("cannot send the terminal: ", "create", "--console-socket", self.world.path("none.sock"), "--bundle",
                   terminal, "c")

    def test_annotations_that_may_not_be_set(self):
        for name, value, text in (("hypervisor.default_memory", "512", "a pod may not set 'default_memory'"),
                                  ("hypervisor.enable_annotations", ".*", "a pod may not set 'enable_annotations'"),
                                  ("agent.nothing", "1", "there is no setting 'nothing' in section [agent.kata]"),
                                  ("runtime.enable_debug", "maybe", "takes true or false"),
                                  ("nothing", "1", "comes hypervisor., runtime. or agent.")):
            self.refuse_change(f"config.json: annotations: 'io.katacontainers.config.{name}': ",
                               lambda d: d.update(annotations={f"io.katacontainers.config.{name}": value}))
            self.refuse_change(text, lambda d: d.update(annotations={f"io.katacontainers.config.{name}": value}))

    def refuse_nobody(self, text, *args):
        nobody = {"user": 65534} if os.geteuid() == 0 else {}
        try:
            self.assertEqual(self.fails(text, *args, **nobody).count("\n"), 1)
        except PermissionError:
            self.skipTest("the build directory is not for others to see: cannot run as another user")

    def test_unreadable(self):
        bundle = self.world.bundle("sh", rootfs=False)
        os.chmod(os.path.join(bundle, "config.json"), 0)
        self.refuse_nobody("ermission denied", "create", "--bundle", bundle, "c")

    def test_not_root(self):
        bundle = self.world.bundle("sh", rootfs=False)
        self.refuse_nobody("cannot make a network namespace: Operation not permitted", "run", "--bundle", bundle, "c")

    def test_bad_settings(self):
        with open(self.world.config, "a", encoding="utf-8") as file:
            file.write("bogus_key = 1\n")
        bundle = self.world.bundle("true", rootfs=False)
        self.refuse(bundle, "bogus_key")


if __name__ == "__main__":
    kata_cli.main(kata_cli.require_katactl)
