#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every public call refuses NULL where something must be and each flag it does not know, before it does anything, as its
header says: which arguments may be NULL and which flags there are is read from there, so that a new call is tried without
being named here. The handles are those of an owner without a guest."""
import ctypes
import importlib.util
import os
import re
import socket
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.environ.get("top_srcdir", "."))
BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
os.environ["KATA_LIBRARY"] = os.path.join(BUILD, "lib/.libs/libkata.so.0")
for variable in ("KATA_ROOT", "KATA_CONFIG", "KATA_OWNER"):
    os.environ.pop(variable, None)
sys.path.insert(0, os.path.join(TOP, "bindings/python"))
sys.dont_write_bytecode = True
from kata import _library as library  # noqa: E402  pylint: disable=wrong-import-position

INVALID_ARGUMENT = 2
BEFORE = 0x5A5A5A5A  # what a result is to be still, after an error
# What a call without an error gives for NULL, where that is not NULL.
WITHOUT_ERROR = {"kata_error_get_code": 0, "kata_error_get_message": b"no error", "kata_error_get_detail": b"",
                 "kata_events_get_fd": -1, "kata_has_feature": 0}
# Words that are right where they stand, so that nothing but what is tried is wrong.
TEXTS = {"address": "unix:///nowhere", "bundle": "/bundle", "directory": "/tmp", "exec_id": "other", "id": "other",
         "interface_json": "{}", "key": "enable_debug", "method": "Health.Check", "mount_info_json": "{}",
         "path": "/proc/self/ns/net", "process_json": "{}", "resources_json": "{}", "request_json": "{}",
         "root": "/run/kata", "routes_json": "[]", "sandbox_id": "other", "section": "runtime", "type": "grpc.Storage",
         "value": "true", "volume_path": "/nowhere", "name": "events"}
NUMBERS = {"timeout_ms": 1, "bytes": 1, "fd": 1, "signal": 0, "columns": 80, "rows": 24, "vcpus": 0, "memory_mib": 0,
           "after": 0, "code": 1, "flags": 0}


def load_pages():
    spec = importlib.util.spec_from_file_location("pages", os.path.join(TOP, "scripts/make-api-pages.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_calls():
    """Name -> its declaration with its comment."""
    pages, calls = load_pages(), {}
    for header in pages.PAGES.values():
        place = f"{BUILD}/include/kata/version.h" if header == "version.h" else f"{TOP}/include/kata/{header}"
        calls.update((item.name, item) for item in pages.read_header(place)[1] if item.is_function())
    return calls


class Call:
    """One public call: its parameters as (type, name), and what the headers say of each."""

    def __init__(self, item, calls):
        self.name, self.item, self.calls = item.name, item, calls
        inside = re.search(r"\((.*)\)\s*;", item.code, re.S).group(1)
        texts = [" ".join(one.split()) for one in inside.split(",") if one.strip() != "void"]
        self.parameters = [re.fullmatch(r"(.*?)\s*(\w+)", one).groups() for one in texts]
        self.has_error = bool(self.parameters) and self.parameters[-1][1] == "err"

    def words(self, parameter):
        """Also those of the call that this one is said to be like."""
        for names, words in self.item.arguments.items():
            if parameter in names.split(", "):
                like = re.search(r"\b[Aa]s for (kata_\w+)\(\)", words)
                return words + (Call(self.calls[like.group(1)], self.calls).words(parameter) if like else "")
        like = re.search(r"\b[Aa]s (kata_\w+)\(\)", str(self.item.purpose) + str(self.item.arguments))
        if like and like.group(1) != self.name:
            return Call(self.calls[like.group(1)], self.calls).words(parameter)
        return ""

    def may_be_null(self, parameter):
        return re.search(r"\bNULL\b", self.words(parameter)) is not None

    def known_flags(self, values):
        return sum(values[name] for name in set(re.findall(r"\bKATA_\w+", self.words("flags"))))


def flag_values():
    found = {}
    for name in os.listdir(f"{TOP}/include/kata"):
        with open(f"{TOP}/include/kata/{name}", encoding="utf-8") as file:
            found.update((flag, 1 << int(bit)) for flag, bit in
                         re.findall(r"#define (KATA_\w+) \(1u << (\d+)\)", file.read()))
    return found


class World:
    """A handle of each kind."""

    def __init__(self, root):
        self.handles, make = {}, library.call
        ctx = self.handles["kata_context"] = make("kata_context_new", 0)
        make("kata_context_set_root", ctx, os.fsencode(root))
        make("kata_context_set_owner_program", ctx, os.fsencode(f"{BUILD}/tests/unit/fake-owner"))
        sandbox = self.handles["kata_sandbox"] = make("kata_sandbox_create", ctx, b"pod", None, 0)
        container = make("kata_container_create", sandbox, b"box", b"/bundle", None, 0)
        self.handles["kata_container"] = container
        self.handles["kata_process"] = make("kata_process_open", container, b"one", 0)
        self.handles["kata_events"] = make("kata_events_open", sandbox, 0, 0)
        self.handles["kata_settings"] = make("kata_settings_new", 0)
        # Somebody who takes connections and says nothing.
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"{root}/agent")
        self.listener.listen(1)
        self.handles["kata_agent"] = make("kata_agent_connect", os.fsencode(f"unix://{root}/agent"), 0, 0)

    def value(self, kind, name):
        """What is right for a parameter, and nothing of the test's that a call might end."""
        kind = re.sub(r"\b(const|struct) ", "", kind)
        if kind.endswith("**") or name in ("ret_is_new", "ret_made", "ret_ready", "ret_removed", "ret_status", "position"):
            return ctypes.c_uint64(BEFORE)
        if kind == "kata_process_io *":
            return library.ProcessIo()
        if kind.startswith("kata_") and kind.endswith(" *"):
            return self.handles[kind[:-2]]
        return TEXTS[name].encode() if kind.endswith("*") else NUMBERS[name]

    def close(self):
        library.call("kata_sandbox_delete", self.handles["kata_sandbox"], 1)
        for kind, handle in self.handles.items():
            library.function(f"{kind}_unref")(handle)
        self.listener.close()


class Tries:
    """Calls, and what was wrong with their answers."""

    def __init__(self, world):
        self.world, self.count, self.problems = world, 0, []

    def call(self, call, what, changes):
        arguments = [changes.get(name, ...) for _, name in call.parameters]
        arguments = [self.world.value(kind, name) if given is ... else given
                     for given, (kind, name) in zip(arguments, call.parameters)]
        results = [one for one in arguments if isinstance(one, ctypes.c_uint64)]
        prototype, types = library.PROTOTYPES.get(call.name, (ctypes.c_void_p, None))
        function = getattr(library._load(), call.name)  # pylint: disable=protected-access
        function.restype = prototype
        # A pointer to a result of any kind, all of which are at most as large.
        function.argtypes = [ctypes.c_void_p if isinstance(one, (ctypes.c_uint64, type(None))) else kind
                             for one, kind in zip(arguments, types or [ctypes.c_void_p] * len(arguments))]
        given = [ctypes.addressof(one) if isinstance(one, ctypes.c_uint64) else one for one in arguments]
        self.count += 1
        answer = function(*given)
        if any(one.value != BEFORE for one in results if one is not arguments[-1] or not call.has_error):
            self.problems.append(f"{call.name}: {what}: a result was written")
        return answer, arguments[-1].value if call.has_error and arguments[-1] is not None else None

    def refused(self, call, what, changes):
        wanted = -1 if library.PROTOTYPES[call.name][0] is ctypes.c_int else None
        answer, error = self.call(call, what, changes)
        if isinstance(answer, ctypes._Pointer):  # pylint: disable=protected-access
            answer = ctypes.cast(answer, ctypes.c_void_p).value
        if answer != wanted:
            self.problems.append(f"{call.name}: {what}: returns {answer}, not {wanted}")
        elif error == BEFORE:
            self.problems.append(f"{call.name}: {what}: no error is set")
        else:
            exception = library.take_error(ctypes.c_void_p(error))
            if exception.code != INVALID_ARGUMENT or not str(exception):
                self.problems.append(f"{call.name}: {what}: {exception.name}: {exception}")
        answer, _ = self.call(call, f"{what}, nobody wants the error", {**changes, "err": None})
        if isinstance(answer, ctypes._Pointer):  # pylint: disable=protected-access
            answer = ctypes.cast(answer, ctypes.c_void_p).value
        if answer != wanted:
            self.problems.append(f"{call.name}: {what}: returns {answer} without an error to fill")

    def without_error(self, call, name):
        answer, _ = self.call(call, f"{name} is NULL", {name: None})
        wanted = WITHOUT_ERROR.get(call.name)
        if call.name in ("kata_settings_to_text", "kata_agent_method_next"):
            wanted, answer = True, bool(answer)  # NULL is as good as any
        if answer != wanted:
            self.problems.append(f"{call.name}: {name} is NULL: returns {answer}, not {wanted}")

    def one(self, call, flags):
        for kind, name in call.parameters:
            if not kind.endswith("*") or name == "err":
                continue
            if not call.has_error:
                self.without_error(call, name)
            elif not call.may_be_null(name):
                self.refused(call, f"{name} is NULL", {name: None})
        if any(name == "flags" for _, name in call.parameters):
            known = call.known_flags(flags)
            for bit in [1 << n for n in range(32) if not known >> n & 1] + [0xFFFFFFFF]:
                self.refused(call, f"flags 0x{bit:x}", {"flags": bit})


def public_calls():
    with open(f"{TOP}/lib/libkata.syms", encoding="utf-8") as file:
        return set(re.findall(r"\b(kata_\w+);", re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)))


def try_all(root):
    calls, flags = read_calls(), flag_values()
    missing = sorted(public_calls() - set(calls))
    if missing:
        return [f"no header declares {name}()" for name in missing], 0
    world = World(root)
    tries = Tries(world)
    for name in sorted(public_calls()):
        tries.one(Call(calls[name], calls), flags)
    for name, wanted in (("kata_sandbox_get_status", 1), ("kata_container_get_status", 1)):
        status = library.call(name, world.handles[name[:-len("_get_status")]])
        if status != wanted:
            tries.problems.append(f"after all that, {name}() says {status}: something was done")
    world.close()
    return tries.problems, tries.count


def main():
    root = tempfile.mkdtemp(prefix="kata-", dir="/tmp")
    try:
        problems, count = try_all(root)
    finally:
        subprocess.run(["rm", "-r", root], check=True)
    print("\n".join(problems) if problems else f"{count} calls with wrong arguments are refused")
    return 1 if problems or count < 2000 else 0


if __name__ == "__main__":
    sys.exit(main())
