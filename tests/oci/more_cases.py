# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases that take more than one command: life cycle, signals, hooks, terminals, and documents that are wrong. Each job
gives {case: what is to agree} for one engine."""
import json
import os

import kata_cli
from engines import BASE, make_bundle

JOBS = {}


def job(name):
    def register(func):
        JOBS[name] = func
        return func
    return register


def wait_file(path, text="", seconds=60):
    def is_there():
        try:
            with open(path, encoding="utf-8") as file:
                return text in file.read()
        except OSError:
            return False
    kata_cli.wait_for(is_there, f"'{text}' in '{path}'", seconds)


def state(engine, identity):
    result = engine.call("state", identity)
    return json.loads(result.stdout) if result.status == 0 else {}


def wait_stopped(engine, identity):
    kata_cli.wait_for(lambda: state(engine, identity).get("status") == "stopped", f"{identity} to stop")


def failed(result):
    return "refused" if result.status != 0 else "done"


# ---- life cycle ----

@job("life")
def life(engine, directory):
    identity, found = "oci-life", {}
    path = make_bundle(engine, directory, "bundle", {
        "annotations": {"org.example.key": "value", "empty": ""},
        "process": {"args": ["sh", "-c", "echo started > /out/started; trap 'exit 5' TERM; echo up > /out/up; "
                             "while :; do sleep 0.1; done"]}})
    out = os.path.join(path, "rootfs/out")
    found["start of nobody"] = failed(engine.call("start", identity))
    found["kill of nobody"] = failed(engine.call("kill", identity, "TERM"))
    found["state of nobody"] = failed(engine.call("state", identity))
    found["delete of nobody"] = failed(engine.call("delete", identity))
    found["delete of nobody by force"] = failed(engine.call("delete", "--force", identity))
    found["create"] = failed(engine.call("create", "--bundle", path, "--pid-file", os.path.join(directory, "pid"), identity))
    document = state(engine, identity)
    found["state when created"] = document.get("status")
    found["state names the bundle"] = document.get("bundle") == path
    found["state names the id"] = document.get("id")
    found["state's annotations"] = document.get("annotations")
    with open(os.path.join(directory, "pid"), encoding="ascii") as file:
        text = file.read()
    found["pid file"] = (text.isdigit(), text == str(document.get("pid")), os.path.exists(f"/proc/{text}"))
    found["nothing has run"] = os.listdir(out)
    found["created twice"] = failed(engine.call("create", "--bundle", path, identity))
    found["start"] = failed(engine.call("start", identity))
    wait_file(os.path.join(out, "up"))
    found["state when started"] = state(engine, identity).get("status")
    found["started twice"] = failed(engine.call("start", identity))
    found["delete while it runs"] = failed(engine.call("delete", identity))
    found["run of the same id"] = failed(engine.call("run", "--bundle", path, identity))
    found["pause"] = failed(engine.call("pause", identity))
    found["state when paused"] = state(engine, identity).get("status")
    found["resume"] = failed(engine.call("resume", identity))
    found["state when resumed"] = state(engine, identity).get("status")
    found["exec"] = (engine.call("exec", identity, "sh", "-c", "echo hello; exit 3").stdout)
    found["exec's status"] = engine.call("exec", identity, "sh", "-c", "exit 3").status
    found["list"] = identity in engine.call("list", "--quiet").stdout.split()
    found["kill"] = failed(engine.call("kill", identity, "TERM"))
    wait_stopped(engine, identity)
    found["state when stopped"] = state(engine, identity).get("status")
    found["pid when stopped"] = state(engine, identity).get("pid")
    found["kill when stopped"] = failed(engine.call("kill", identity, "TERM"))
    found["start when stopped"] = failed(engine.call("start", identity))
    found["exec when stopped"] = failed(engine.call("exec", identity, "true"))
    found["pause when stopped"] = failed(engine.call("pause", identity))
    found["delete"] = failed(engine.call("delete", identity))
    found["delete twice"] = failed(engine.call("delete", identity))
    return found


@job("create and delete")
def create_and_delete(engine, directory):
    """A container that never ran."""
    identity, found = "oci-never", {}
    path = make_bundle(engine, directory, "bundle", {"process": {"args": ["touch", "/out/ran"]}})
    found["create"] = failed(engine.call("create", "--bundle", path, identity))
    found["exec before the start"] = engine.call("exec", identity, "echo", "early").stdout
    found["delete before the start"] = failed(engine.call("delete", identity))
    engine.call("delete", "--force", identity)
    found["never ran"] = os.listdir(os.path.join(path, "rootfs/out"))
    return found


@job("run")
def run(engine, directory):
    """What run itself gives back; one bundle, one process after the other."""
    found = {}
    for name, args, stdin in (
            ("exit 0", ["true"], b""), ("exit 7", ["sh", "-c", "exit 7"], b""), ("input and output", ["cat"], b"text\n"),
            ("both streams", ["sh", "-c", "echo out; echo err >&2"], b""),
            ("children end with it", ["sh", "-c", "sleep 1000 & echo first"], b""),
            ("no such program", ["/bin/none"], b""), ("not executable", ["/etc/passwd"], b"")):
        path = make_bundle(engine, directory, name.replace(" ", "-"), {"process": {"args": args}})
        result = engine.call("run", "--bundle", path, "oci-run-" + name.replace(" ", "-"), stdin=stdin)
        found[name] = (result.status, result.stdout)
        if result.status == 0:
            found[name + ", standard error"] = result.stderr
    return found


# ---- signals ----

@job("signals")
def signals(engine, directory):
    identity, found = "oci-signals", {}
    names = ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "CHLD", "CONT", "WINCH", "PWR"]
    traps = "; ".join(f"trap 'echo {name} >> /out/log' {name}" for name in names)
    path = make_bundle(engine, directory, "bundle", {"process": {"args": [
        "sh", "-c", f": > /out/log; {traps}; trap 'echo TERM >> /out/log; exit 9' TERM; echo up > /out/up; "
        "while :; do sleep 0.05; done"]}})
    log = os.path.join(path, "rootfs/out/log")
    engine.call("run", "--detach", "--bundle", path, identity)
    wait_file(os.path.join(path, "rootfs/out/up"))

    def send(form, name):
        with open(log, "w", encoding="ascii"):
            pass
        result = engine.call("kill", identity, form)
        if result.status != 0:
            return "refused"
        # A child's end is a CHLD of its own.
        wait_file(log, name)
        return "received"

    for name in names:
        found[name] = send(name, name)
    for form, name in (("SIGUSR1", "USR1"), ("10", "USR1"), ("SIGUSR2", "USR2"), ("12", "USR2")):
        found[f"as '{form}'"] = send(form, name)
    for form in ("NOSIGNAL", "-5", "1000", "SIG", "1x"):
        found[f"refused: '{form}'"] = failed(engine.call("kill", identity, form))
    # Not only to the first one.
    engine.call("exec", "--detach", identity, "sh", "-c",
                "trap 'echo child >> /out/log; exit' USR1; echo > /out/child; while :; do sleep 0.05; done")
    wait_file(os.path.join(path, "rootfs/out/child"))
    found["to all"] = failed(engine.call("kill", "--all", identity, "USR1"))
    wait_file(log, "child")
    wait_file(log, "USR1")
    found["default is TERM"] = failed(engine.call("kill", identity))
    wait_stopped(engine, identity)
    engine.call("delete", identity)
    return found


@job("signals without handlers")
def default_signals(engine, directory):
    """Process 1 of a pid namespace is spared the defaults of signals, but for KILL."""
    identity, found = "oci-defaults", {}
    path = make_bundle(engine, directory, "bundle", {"process": {"args": ["sh", "-c", "echo > /out/up; exec sleep 100000"]}})
    engine.call("run", "--detach", "--bundle", path, identity)
    wait_file(os.path.join(path, "rootfs/out/up"))
    for name in ("HUP", "INT", "USR1", "PIPE", "ALRM"):
        engine.call("kill", identity, name)
        found[name] = engine.call("exec", identity, "true").status
    engine.call("kill", identity, "TERM")
    found["TERM"] = failed(engine.call("exec", identity, "true"))
    engine.call("kill", identity, "KILL")
    wait_stopped(engine, identity)
    found["KILL"] = state(engine, identity).get("status")
    engine.call("delete", "--force", identity)
    return found


# ---- hooks ----

def hook(directory, name, script="", **more):
    """Appends its name to "order" and keeps the state it is given."""
    text = f"cat > {directory}/state-{name}; echo {name} >> {directory}/order; {script}"
    return {"path": "/bin/sh", "args": ["sh", "-c", text], **more}


HOST_HOOKS = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")


def read_order(directory):
    try:
        with open(os.path.join(directory, "order"), encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []


@job("hooks")
def hooks(engine, directory):
    found = {}
    document = {kind: [hook(directory, kind)] for kind in HOST_HOOKS}
    document["createRuntime"].append(hook(directory, "second", f"echo \"<$A$B>\" \"$0\" >> {directory}/env", env=["A=1"]))
    document["createRuntime"][1]["args"] = ["name", "-c", document["createRuntime"][1]["args"][2]]
    # Busybox goes by its name: the last one must be called sh.
    document["createRuntime"][1]["args"][0] = "sh"
    document["startContainer"] = [{"path": "/bin/sh", "args": ["sh", "-c", "cat > /out/state; echo $0; echo in >> /out/order"]}]
    path = make_bundle(engine, directory, "bundle", {"hooks": document, "annotations": {"k": "v"},
                                                     "process": {"args": ["sh", "-c", "echo main >> /out/order; sleep 1; exit 4"]}})
    found["exit status"] = engine.call("run", "--bundle", path, "oci-hooks").status
    found["order"] = read_order(directory)
    with open(os.path.join(path, "rootfs/out/order"), encoding="ascii") as file:
        found["order inside"] = file.read().split()
    with open(os.path.join(directory, "env"), encoding="ascii") as file:
        found["environment"] = file.read()
    for kind in (*HOST_HOOKS, "second"):
        with open(os.path.join(directory, f"state-{kind}"), encoding="utf-8") as file:
            given = json.load(file)
        found[f"state of {kind}"] = (given.get("status"), given.get("id"), given.get("bundle") == path,
                                     given.get("annotations"), (given.get("pid", 0) > 0) if kind != "poststop" else "")
    with open(os.path.join(path, "rootfs/out/state"), encoding="utf-8") as file:
        found["state of startContainer"] = json.load(file).get("status")
    return found


def failing_hook(kind, script="exit 3", **more):
    identity = f"oci-hook-{kind.lower()}-{len(JOBS)}"

    def run_it(engine, directory):
        if kind == "startContainer":
            document = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "cat > /dev/null; " + script], **more}]}
        else:
            document = {kind: [hook(directory, kind, script, **more), hook(directory, "next")]}
        document.setdefault("poststop", []).append(hook(directory, "last"))
        path = make_bundle(engine, directory, "bundle", {"hooks": document, "process": {"args": [
            "sh", "-c", "echo ran > /out/ran"]}})
        result = engine.call("run", "--bundle", path, identity)
        found = {"run": failed(result), "order": read_order(directory),
                 "main": os.listdir(os.path.join(path, "rootfs/out"))}
        found["gone"] = failed(engine.call("state", identity))
        engine.call("delete", "--force", identity)
        return found
    return run_it


for _kind in ("prestart", "createRuntime", "createContainer", "startContainer", "poststop"):
    JOBS[f"failing {_kind} hook"] = failing_hook(_kind)
JOBS["hook that takes too long"] = failing_hook("createRuntime", "sleep 100", timeout=1)


# ---- terminals ----

TERMINAL_CHECKS = {
    "name": "tty", "size": "stty size", "three of them": "for i in 0 1 2; do test -t $i && echo $i; done",
    "controlling": "echo > /dev/tty && echo yes", "console": "stat -c '%F' /dev/console; ls -l /proc/self/fd/0 | awk '{ print $NF }'",
    "modes": "stty -a | grep -o -E '[-]?(icanon|echo|isig|opost|icrnl) '", "owner": "stat -c '%u %a' $(tty)",
    "session": "[ $(cut -d' ' -f6 /proc/1/stat) = 1 ] && echo leader", "error goes there too": "echo err >&2",
    "environment": "echo $TERM",
}


@job("terminal")
def terminal(engine, directory):
    script = "".join(f'echo "@@ {name}"\n{command}\n' for name, command in TERMINAL_CHECKS.items())
    path = make_bundle(engine, directory, "bundle", {"process": {
        "terminal": True, "args": ["sh", "/checks"], "consoleSize": {"height": 24, "width": 80}}}, {"rootfs/checks": script})
    result = engine.call_on_terminal("run", "--bundle", path, "oci-tty")
    found = {"exit status": result.status}
    for part in result.stdout.split("@@ ")[1:]:
        name, _, rest = part.partition("\r\n")
        found[name] = rest
    return found


@job("typing")
def typing(engine, directory):
    """Keys on their way in: lines, end of file, interrupt."""
    path = make_bundle(engine, directory, "bundle", {"process": {"terminal": True, "args": [
        "sh", "-c", "trap 'echo interrupted; stop=1' INT; echo ready1; read line; echo \"got:$line\"; cat; echo ready3; "
        "until [ \"$stop\" ]; do sleep 0.1; done; echo ready4; stty -echo; echo hide; read hidden; echo \"hidden:$hidden\"; exit 6"]}})
    result = engine.call_on_terminal("run", "--bundle", path, "oci-typing", keys=[
        ("ready1\r\n", b"a lime\x7f\x7fne\n"), ("got:a line\r\n", b"to cat\n"), ("to cat\r\nto cat\r\n", b"\x04"),
        ("ready3\r\n", b"\x03"), ("ready4\r\nhide", b"secret\n")])
    return {"exit status": result.status, "text": result.stdout}


@job("terminal of an exec")
def terminal_exec(engine, directory):
    identity, found = "oci-exec-tty", {}
    path = make_bundle(engine, directory, "bundle", {"process": {"args": ["sh", "-c", "echo > /out/up; exec sleep 100000"]}})
    engine.call("run", "--detach", "--bundle", path, identity)
    wait_file(os.path.join(path, "rootfs/out/up"))
    for name, command in (("has one", "test -t 0 && test -t 1 && test -t 2 && echo yes"), ("status", "exit 5"),
                          ("error", "echo err >&2"), ("lines", "printf 'a\\nb\\n'")):
        result = engine.call_on_terminal("exec", "--tty", identity, "sh", "-c", command)
        found[name] = (result.status, result.stdout)
    result = engine.call_on_terminal("exec", "--tty", identity, "sh", "-c", "echo ready; read x; echo got:$x",
                                     keys=[("ready\r\n", b"in\n")])
    found["input"] = (result.status, result.stdout)
    found["without one"] = engine.call("exec", identity, "sh", "-c", "test -t 1; echo $?").stdout
    engine.call("delete", "--force", identity)
    return found


# ---- documents that are wrong ----

def set_at(*path_and_value):
    *path, last, value = path_and_value

    def change(document, bundle):
        at = document
        for key in path:
            at = at[key]
        if value is None:
            del at[last]
        else:
            at[last] = value
    return change


BAD_DOCUMENTS = {
    "no version": set_at("ociVersion", None),
    "no process": set_at("process", None),
    "no root": set_at("root", None),
    "no arguments": set_at("process", "args", []),
    "arguments missing": set_at("process", "args", None),
    "no working directory": set_at("process", "cwd", None),
    "arguments of a wrong type": set_at("process", "args", "true"),
    "numbers as arguments": set_at("process", "args", [1, 2]),
    "environment of a wrong type": set_at("process", "env", {"A": "1"}),
    "uid of a wrong type": set_at("process", "user", "uid", "root"),
    "mounts of a wrong type": set_at("mounts", {}),
    "unknown limit": set_at("process", "rlimits", [{"type": "RLIMIT_NONE", "soft": 1, "hard": 1}]),
    "soft limit above the hard one": set_at("process", "rlimits", [{"type": "RLIMIT_NOFILE", "soft": 20, "hard": 10}]),
    "unknown capability": set_at("process", "capabilities", {"bounding": ["CAP_NONE"]}),
    "unknown namespace": set_at("linux", "namespaces", [{"type": "none"}]),
    "namespace twice": set_at("linux", "namespaces", [{"type": "pid"}, {"type": "pid"}, {"type": "mount"}]),
    "missing rootfs": set_at("root", "path", "nowhere"),
    "rootfs is a file": set_at("root", "path", "config.json"),
    "mount without a destination": set_at("mounts", BASE["mounts"] + [{"type": "tmpfs", "source": "tmpfs"}]),
    "mount of a missing source": set_at("mounts", BASE["mounts"] + [
        {"destination": "/m", "type": "bind", "source": "/no/such/source", "options": ["bind"]}]),
    "mount of an unknown type": set_at("mounts", BASE["mounts"] + [{"destination": "/m", "type": "nofs", "source": "x"}]),
    "unknown seccomp action": set_at("linux", "seccomp", {"defaultAction": "SCMP_ACT_NONE"}),
    "sysctl of another namespace": set_at("linux", "sysctl", {"kernel.panic": "1"}),
    "unknown sysctl": set_at("linux", "sysctl", {"net.none": "1"}),
    "hook that is not there": set_at("hooks", {"createRuntime": [{"path": "/no/such/hook"}]}),
    "hook with a relative path": set_at("hooks", {"createRuntime": [{"path": "bin/true"}]}),
    "device of an unknown type": set_at("linux", "devices", [{"path": "/dev/x", "type": "q", "major": 1, "minor": 1}]),
}
BAD_TEXTS = {"empty": "", "not JSON": "nonsense", "cut": '{"ociVersion": "1.0.2", "process": {', "an array": "[]", "null": "null",
             "a number": "5", "a NUL": "\0", "an object with nothing": "{}"}


@job("bad texts")
def bad_texts(engine, directory):
    """Both refuse, or both do not mind; what they say is their own."""
    found = {}
    path = make_bundle(engine, directory, "bundle", {})
    for number, (name, text) in enumerate(BAD_TEXTS.items()):
        with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as file:
            file.write(text)
        found[name] = failed(engine.call("run", "--bundle", path, f"oci-bad-text-{number}"))
    os.unlink(os.path.join(path, "config.json"))
    found["no config.json"] = failed(engine.call("run", "--bundle", path, "oci-bad-none"))
    found["no bundle"] = failed(engine.call("run", "--bundle", os.path.join(directory, "nowhere"), "oci-bad-none"))
    return found


def bad_documents(first):
    """Every second one, so that two jobs share them."""
    def run_it(engine, directory):
        found = {}
        for number, (name, change) in list(enumerate(BAD_DOCUMENTS.items()))[first::2]:
            bundle = make_bundle(engine, directory, f"bad-{number}", change)
            found[name] = failed(engine.call("run", "--bundle", bundle, f"oci-bad-{number}"))
        return found
    return run_it


JOBS["bad documents"] = bad_documents(0)
JOBS["more bad documents"] = bad_documents(1)
