#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds docs/AGENT.md together with the agent and its tests: every call of the protocol, every storage driver, every
type of device, every option and every field of the OCI document has a row, and every row names tests that exist and
that "make check" runs."""
import os
import re
import sys

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
TABLE = "docs/AGENT.md"


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as source:
        return source.read()


def sources(folder):
    return "\n".join(read(f"{folder}/{name}") for name in sorted(os.listdir(os.path.join(TOP, folder))) if name.endswith(".c"))


def methods():
    found = []
    for path in ("proto/agent.proto", "proto/health.proto", "proto/kata-guest.proto"):
        for service, body in re.findall(r"^service (\w+) \{(.*?)^\}", read(path), re.S | re.M):
            found += [f"{service}.{method}" for method in re.findall(r"^\s*rpc (\w+)\(", body, re.M)]
    return found


def strings_of_table(text, name):
    """The texts in `name[] = {"...", MACRO, NULL}` of a C source."""
    table = re.search(r"\b" + name + r"\[\]\s*=\s*\{(.*?)\};", text, re.S)
    if table is None:
        sys.exit(f"there is no table '{name}' in agent/")
    macros = dict(re.findall(r'^#define (\w+) "([^"]+)"', text, re.M))
    words = re.findall(r'"([^"]+)"|\b([A-Z_]+)\b', table.group(1))
    return [text or macros[macro] for text, macro in words if macro != "NULL"]


def oci_fields():
    """Every field of Process, Linux and Mount, and of what they hold: Message.Field as in proto/oci.proto."""
    text = re.sub(r"//[^\n]*", "", read("proto/oci.proto"))
    messages = {}
    for name, body in re.findall(r"^message (\w+) \{(.*?)^\}", text, re.S | re.M):
        body = re.sub(r"oneof \w+ \{(.*?)\}", r"\1", body, flags=re.S)
        messages[name] = re.findall(r"(map<[^>]+>|\w+)\s+(\w+)\s*=\s*\d+;", body)
    found, todo = [], ["Process", "Linux", "Mount"]
    while todo:
        message = todo.pop(0)
        for kind, field in messages[message]:
            found.append(f"{message}.{field}")
            if kind in messages and kind not in todo and not any(name.startswith(kind + ".") for name in found):
                todo.append(kind)
    return found


def wanted():
    agent = sources("agent")
    return {
        "Calls": methods(),
        "Storage drivers": strings_of_table(agent, "storage_drivers"),
        "Devices": strings_of_table(agent, "device_handlers"),
        "Options": sorted(set(re.findall(r'"(agent\.[a-z_]+)"', read("agent/config.c")))),
        "The OCI document": oci_fields(),
    }


def rows():
    """Section -> [(name, tests)] of the tables; a row is | `name` | ... | `file:function` ... |"""
    found, section = {}, None
    for line in read(TABLE).splitlines():
        if line.startswith("## "):
            section = line[3:].strip()
        if not line.startswith("| `"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        found.setdefault(section, []).append((cells[0].strip("`"), re.findall(r"`([^`]+)`", cells[-1])))
    return found


def makefiles():
    text = ""
    for folder, _, names in os.walk(os.path.join(TOP, "tests")):
        for name in names:
            if name.endswith(".mk"):
                with open(os.path.join(folder, name), encoding="utf-8") as source:
                    text += source.read()
    return text


def check_test(test, made):
    path, _, function = test.partition(":")
    if not os.path.isfile(os.path.join(TOP, path)):
        return f"no file '{path}'"
    # A program that a script drives counts as that script.
    if not re.search(r"(?<![\w/-])" + re.escape(re.sub(r"\.c$", "", path)) + r"(?![\w-])", made):
        return f"no makefile runs '{path}'"
    text = read(path)
    if path.endswith(".c"):
        if not re.search(r"^static void " + re.escape(function) + r"\(", text, re.M):
            return f"no function '{function}' in '{path}'"
        if not re.search(r"cmocka_unit_test\w*\(\s*" + re.escape(function) + r"\b", text):
            return f"'{path}' does not run '{function}'"
    elif path.endswith(".py"):
        if not re.search(r"^\s*def " + re.escape(function) + r"\(", text, re.M):
            return f"no function '{function}' in '{path}'"
    elif function and not re.search(r"^" + re.escape(function) + r"\(\)", text, re.M):
        return f"no function '{function}' in '{path}'"
    return None


def main():
    problems, made, found = [], makefiles(), rows()
    count = 0
    for section, names in wanted().items():
        named = [name for name, _ in found.get(section, [])]
        for name in names:
            if named.count(name) != 1:
                problems.append(f"section '{section}' has {named.count(name)} rows for '{name}'")
        problems += [f"section '{section}': '{name}' is nothing of the agent's" for name in named if name not in names]
    for section, entries in found.items():
        for name, tests in entries:
            count += 1
            if not tests:
                problems.append(f"section '{section}': '{name}' has no test")
            for test in tests:
                problem = check_test(test, made)
                if problem:
                    problems.append(f"section '{section}': '{name}': {problem}")
    print("\n".join(problems) if problems else f"{count} rows of {TABLE} have their tests")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main())
