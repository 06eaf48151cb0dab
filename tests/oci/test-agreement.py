#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same OCI bundles under crun on the host and under katactl: exit status, output and what is left in the files must
agree, case by case. With arguments, only the cases whose name begins with one of them are asked.

Where crun departs from runc or the specification, the case is in differences.py with the reason. It is run under runc
then, with which katactl must agree; it fails here once crun agrees as well."""
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)),
                os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli")]
import kata_cli
import cases
import more_cases
from differences import DIFFERENCES
from engines import Crun, Katactl, Runc, make_bundle

# Guests that run at once; each keeps one processor busy while it starts.
AT_ONCE = 2


def mark(name, command):
    return f'echo "@@ {name}"\n( {command}\n) 2>/dev/null </dev/null\necho "@@= $?"\n'


def split(text):
    """{check: output and status of its shell}"""
    found = {}
    for part in text.split("@@ ")[1:]:
        name, _, rest = part.partition("\n")
        found[name.strip()] = rest.replace("\r\n", "\n")
    return found


def list_files(top):
    """What a container may have changed, as lines."""
    lines = []
    for directory, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in ("bin", "lost+found"))
        for name in sorted(folders + files):
            path = os.path.join(directory, name)
            info = os.lstat(path)
            kind = stat.S_IFMT(info.st_mode)
            text = ""
            if kind == stat.S_IFLNK:
                text = os.readlink(path)
            elif kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    text = hashlib.sha256(file.read()).hexdigest()[:16]
            size = info.st_size if kind == stat.S_IFREG else 0
            lines.append(f"{os.path.relpath(path, top)} {info.st_mode:o} {info.st_uid}:{info.st_gid} {size} {text}")
    return "\n".join(lines)


class Suite:
    def __init__(self, wanted):
        self.wanted = wanted
        self.base = tempfile.mkdtemp(prefix="kata-oci-", dir="/tmp")
        os.chmod(self.base, 0o755)
        self.engines = [Crun(self.base), Katactl(self.base), Runc(self.base)]
        self.lock = threading.Lock()
        self.seen = set()
        self.counts = {"agree": 0, "agree with runc": 0, "FAIL": 0}

    def is_wanted(self, name):
        return not self.wanted or any(name.startswith(word) or word.startswith(name) for word in self.wanted)

    def report(self, name, crun, katactl, runc):
        if self.wanted and not any(name.startswith(word) for word in self.wanted):
            return
        self.seen.add(name)
        reason = DIFFERENCES.get(name)
        with self.lock:
            if reason is None and katactl == crun:
                self.counts["agree"] += 1
            elif reason is not None and katactl == runc != crun:
                self.counts["agree with runc"] += 1
                print(f"as runc: {name}: {reason}")
            else:
                self.counts["FAIL"] += 1
                print(f"FAIL: {name}\n  crun:    {crun!r}\n  katactl: {katactl!r}")
                if reason is not None:
                    print(f"  runc:    {runc!r}\n  It is in the list of differences: {reason}")
            sys.stdout.flush()

    def compare(self, group, results):
        """results: {case: value} of each engine."""
        names = list(dict.fromkeys(name for result in results[:2] for name in result))
        for name in names:
            full = f"{group}: {name}" if group else name
            self.report(full, *(result.get(name, "(not reached)") for result in results))

    @staticmethod
    def is_for_runc(group):
        return any(name.startswith(f"{group}: ") if group else name in cases.EXECS for name in DIFFERENCES)

    def run_job(self, job):
        """func(engine, directory) of each engine gives {case: value}."""
        group, func = job
        results = []
        for number, engine in enumerate(self.engines):
            if isinstance(engine, Runc) and not self.is_for_runc(group):
                results.append({})
                continue
            directory = os.path.join(self.base, f"{re.sub('[^a-z0-9]', '-', group)}-{number}")
            os.mkdir(directory)
            try:
                results.append(func(engine, directory))
            except Exception as error:  # pylint: disable=broad-except
                print(f"{group} under {type(engine).__name__}: {type(error).__name__}: {error}")
                results.append({})
            shutil.rmtree(directory, ignore_errors=True)
        self.compare(group, results)

    # ---- the kinds of jobs ----

    def checks_job(self, name, change, files, checks):
        def run(engine, directory):
            script = "".join(mark(check, command) for check, command in checks.items())
            path = make_bundle(engine, directory, "bundle", change, {**files, "rootfs/checks": script})
            config = os.path.join(path, "config.json")
            with open(config, encoding="utf-8") as file:
                document = json.load(file)
            document["process"]["args"] = ["sh", "/checks"]
            with open(config, "w", encoding="utf-8") as file:
                json.dump(document, file)
            result = engine.call("run", "--bundle", path, self.make_id(name))
            found = {**split(result.stdout), "exit status": result.status}
            if "@@" not in result.stdout:
                found["error"] = result.stderr
            found["files"] = list_files(path.rstrip("/") + "/rootfs") + list_files(os.path.join(path, "data"))
            return found
        return (name, run)

    def make_id(self, name):
        return "oci-" + re.sub("[^a-z0-9]", "-", name.lower())

    def execs_job(self):
        def run(engine, directory):
            init = ("mkdir /secret; chmod 700 /secret; ln -s /etc /link; echo init > /out/from-init; echo closed > /out/closed; "
                    "chown 1:1 /out/closed; chmod 0 /out/closed; echo up > /out/up; exec sleep 100000")
            path = make_bundle(engine, directory, "bundle", {"process": {
                "args": ["sh", "-c", init], "env": ["PATH=/bin", "FROM_INIT=yes"],
                "capabilities": {part: cases.ALL_CAPS + ["CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_NET_ADMIN"] for part in
                                 ("bounding", "effective", "permitted")}}})
            identity = "oci-execs"
            created = engine.call("run", "--detach", "--bundle", path, identity)
            found = {}
            if created.status != 0:
                raise RuntimeError(created.stderr)
            kata_cli.wait_for(lambda: os.path.exists(os.path.join(path, "rootfs/out/up")), "the container")
            try:
                for name, (change, args, stdin) in cases.EXECS.items():
                    if not self.is_wanted(name) or (isinstance(engine, Runc) and name not in DIFFERENCES):
                        continue
                    process = {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/",
                               "env": ["PATH=/bin"], **change}
                    file_name = os.path.join(directory, "process.json")
                    with open(file_name, "w", encoding="utf-8") as file:
                        json.dump(process, file)
                    result = engine.call("exec", "--process", file_name, identity, stdin=stdin)
                    found[name] = (result.status, result.stdout)
            finally:
                engine.call("delete", "--force", identity)
            return found
        return ("", run)

    def jobs(self):
        """Those that take long first, so that no processor waits for the last."""
        yield self.execs_job()
        for name, func in reversed(more_cases.JOBS.items()):
            if self.is_wanted(name):
                yield (name, func)
        for name, (change, files, checks) in cases.BUNDLES.items():
            if self.is_wanted(name):
                yield self.checks_job(name, change, files, checks)

    def run(self):
        begin = time.monotonic()
        jobs = [job for job in self.jobs() if job[0] or any(self.is_wanted(name) for name in cases.EXECS)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self.run_job, jobs))
        if not self.wanted:
            for name in DIFFERENCES:
                if name not in self.seen:
                    print(f"FAIL: {name}: in the list of differences, but there is no such case")
                    self.counts["FAIL"] += 1
        left = ""
        try:
            self.engines[1].world.assert_nothing_left(30)
        except AssertionError as error:
            left = f"FAIL: {error}"
            print(left)
        total = sum(self.counts.values())
        print(f"{total} cases in {time.monotonic() - begin:.0f} s: " +
              ", ".join(f"{count} {word}" for word, count in self.counts.items()))
        return self.counts["FAIL"] == 0 and not left

    def close(self):
        for engine in self.engines:
            engine.close()
        shutil.rmtree(self.base, ignore_errors=True)


def main():
    kata_cli.require_guests()
    for name in ("crun", "runc"):
        if shutil.which(name) is None:
            kata_cli.skip(f"'{name}' is not installed")
    suite = Suite(sys.argv[1:])
    try:
        return 0 if suite.run() else 1
    finally:
        suite.close()


if __name__ == "__main__":
    sys.exit(main())
