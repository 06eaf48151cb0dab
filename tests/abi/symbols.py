#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""libkata.syms, the library itself and the headers name the same calls, and each is documented."""
import glob
import os
import re
import subprocess
import sys

TOP = os.environ.get("top_srcdir", ".")
BUILD = os.environ.get("top_builddir", ".")
DECLARATION = re.compile(r"\b(kata_\w+)\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*;")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def symbols_of_map():
    text = re.sub(r"/\*.*?\*/", "", read(f"{TOP}/lib/libkata.syms"), flags=re.S)
    nodes = re.findall(r"(KATA_[\d.]+)\s*\{(.*?)\}\s*(\w*[\w.]*)\s*;", text, flags=re.S)
    names = [name for _, body, _ in nodes for name in re.findall(r"\b(kata_\w+);", body)]
    if len(names) != len(set(names)):
        sys.exit("libkata.syms names a call twice")
    return {name: node for node, body, _ in nodes for name in re.findall(r"\b(kata_\w+);", body)}


def symbols_of_library():
    """Name -> version, of what is defined and seen from outside."""
    path = f"{BUILD}/lib/.libs/libkata.so"
    lines = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", path],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    found = {}
    for line in lines:
        kind, name = line.split()[-2:]
        if kind == "A":  # the version nodes themselves
            continue
        name, _, version = name.partition("@@")
        found[name] = version
    return found


def declarations():
    """Name -> the comment before it."""
    found = {}
    for path in sorted(glob.glob(f"{TOP}/include/kata/*.h")) + [f"{TOP}/include/kata/version.h.in"]:
        text = read(path)
        code = re.sub(r"/\*.*?\*/", lambda match: " " * len(match.group()), text, flags=re.S)
        for match in DECLARATION.finditer(code):
            before = text[:match.start()]
            end = before.rfind("*/")
            found[match.group(1)] = (before[before.rfind("/**"):end], os.path.basename(path))
    return found


def check_comment(name, comment, header):
    problems = []
    if not re.search(rf"\b{name}:", comment):
        problems.append(f"{header}: the comment before {name} is not its own")
    if "Since:" not in comment:
        problems.append(f"{header}: {name} does not say since when it is there")
    return problems


def main():
    by_map, by_library, by_header = symbols_of_map(), symbols_of_library(), declarations()
    problems = []
    for name in sorted(set(by_map) | set(by_library) | set(by_header)):
        for place, names in (("libkata.syms", by_map), ("libkata.so", by_library), ("the headers", by_header)):
            if name not in names:
                problems.append(f"{name} is missing in {place}")
        if name in by_map and by_library.get(name) != by_map[name]:
            problems.append(f"{name} has version '{by_library.get(name)}' instead of '{by_map[name]}'")
    for name, (comment, header) in by_header.items():
        problems += check_comment(name, comment, header)
    print("\n".join(problems) if problems else f"{len(by_map)} calls agree")
    return 1 if problems or len(by_map) < 70 else 0


if __name__ == "__main__":
    sys.exit(main())
