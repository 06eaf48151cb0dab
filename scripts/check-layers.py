#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the include rules of docs/ARCHITECTURE.md: which room may include which header."""
import os
import re
import sys

# Room -> rooms whose headers it may include, and outside libraries it may include.
ROOMS = {
    "include": ({"include"}, set()),
    "common": ({"common", "proto", "kata/error.h"}, {"glib", "json-c", "protobuf-c"}),
    "lib": ({"lib", "common", "proto", "include"}, {"glib", "json-c", "protobuf-c", "libxml"}),
    "shim": ({"shim", "lib", "common", "proto", "include"},
             {"glib", "json-c", "protobuf-c", "libvirt", "libmnl", "libblkid", "zlib"}),
    "agent": ({"agent", "common", "proto"}, {"glib", "json-c", "protobuf-c", "libmnl"}),
    "katactl": ({"katactl", "include", "common"}, {"glib", "json-c"}),
    "examples": ({"include"}, {"json-c"}),
}
# Library -> the only files of a room that may include it.
ONLY = {("lib", "libxml"): r"domain-xml.*", ("shim", "libvirt"): r"vm.*", ("shim", "libmnl"): r"net.*",
        ("shim", "zlib"): r"save-image.*",
        ("shim", "libblkid"): r"block.*",
        ("agent", "libmnl"): r"net.*"}
KATACTL_COMMON = {"oci.h", "log.h", "ids.h", "fds.h", "spawn.h", "safe-path.h", "error.h", "mount-point.h", "pod.h",
                  "loopback.h"}
# GLib 2.74 opens files for these without O_CLOEXEC; the library lives in processes that start programs at any time.
INHERITED = re.compile(r"\b(g_file_[gs]et_contents|g_get_os_info|g_key_file_(?:load_from|save_to)_file)\(")
LIBRARIES = {
    "glib": r"glib[./-].*|glib\.h|gio/.*", "json-c": r"json-c/.*", "protobuf-c": r"protobuf-c/.*",
    "libxml": r"libxml/.*", "libvirt": r"libvirt/.*", "libmnl": r"libmnl/.*",
    "zlib": r"zlib\.h", "libblkid": r"blkid/.*",
}


def library_of(header):
    for name, pattern in LIBRARIES.items():
        if re.fullmatch(pattern, header):
            return name
    return None


def room_of(header, room):
    if header.startswith("kata/"):
        return "include"
    if "/" in header:
        return header.split("/")[0]
    return room


def check(path, room):
    rooms, libraries = ROOMS[room]
    problems = []
    with open(path, encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            if room in ("lib", "common") and (leak := INHERITED.search(line)):
                problems.append(f"{path}:{number}: {leak.group(1)}() opens a file that a child of the caller's may inherit")
            match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
            if not match:
                continue
            header = match.group(1)
            library = library_of(header)
            if library:
                only = ONLY.get((room, library))
                if library not in libraries:
                    problems.append(f"{path}:{number}: {room} may not include {library} ({header})")
                elif only and not re.fullmatch(only, os.path.basename(path)):
                    problems.append(f"{path}:{number}: in {room} only files named {only} may include {header}")
                continue
            is_ours = header.startswith("kata/") or '"' in line
            if not is_ours or header in ("config.h",):
                continue
            target = room_of(header, room)
            if target not in rooms and header not in rooms:
                problems.append(f"{path}:{number}: {room} may not include {header} of {target}")
            elif room == "katactl" and target == "common" and os.path.basename(header) not in KATACTL_COMMON:
                problems.append(f"{path}:{number}: katactl may include only {sorted(KATACTL_COMMON)} of common, not {header}")
    return problems


def main():
    top = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    problems, files = [], 0
    for room in ROOMS:
        for folder, _, names in os.walk(os.path.join(top, room)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".h.in")):
                    files += 1
                    problems += check(os.path.join(folder, name), room)
    print("\n".join(problems) if problems else f"{files} files keep the include rules")
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
