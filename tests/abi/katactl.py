#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""katactl is an ordinary user of libkata: linked with the shared library, it finds all it needs of ours in the public
calls, and starts no program: what the owner program does, others get as well. What it may include, scripts/check-layers.py
sees to."""
import glob
import os
import re
import subprocess
import sys

TOP = os.environ.get("top_srcdir", ".")
BUILD = os.environ.get("top_builddir", ".")
KATACTL = os.path.join(BUILD, "katactl/.libs/katactl")
# Whose calls a program needs to be one: documents, texts, the system.
LIBRARIES = {"libkata.so.0", "libglib-2.0.so.0", "libjson-c.so.5", "libprotobuf-c.so.1", "libc.so.6"}
# What starts a program, ours or another's. fork(2) alone makes the process that stands for a container.
STARTERS = re.compile(r"exec(l|le|lp|v|ve|vp|vpe|veat)|fexecve|posix_spawnp?|system|popen|g_spawn_\w+|g_subprocess_\w+|"
                      r"spawn_(start|run)|g_app_info_launch\w*")


def lines(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()


def public_calls():
    with open(os.path.join(TOP, "lib/libkata.syms"), encoding="utf-8") as file:
        return set(re.findall(r"\b(kata_\w+);", re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)))


def starting_objects():
    """"katactl bench" measures how long katactl and a machine without anything of ours take, from outside."""
    sources = [os.path.basename(path)[:-2] for path in glob.glob(os.path.join(TOP, "katactl/*.c"))]
    objects = [os.path.join(BUILD, f"katactl/.libs/libkatactl_la-{name}.o") for name in sources
               if name != "main" and not name.startswith("bench-")]
    problems = []
    for path in objects:
        names = {line.split()[-1].partition("@")[0] for line in lines("nm", "--undefined-only", path)}
        problems += [f"{os.path.basename(path)} starts programs: {name}()" for name in sorted(names)
                     if STARTERS.fullmatch(name)]
    return problems


def main():
    needed = {match.group(1) for line in lines("readelf", "-d", KATACTL)
              if (match := re.search(r"NEEDED.*\[(.*)\]", line))}
    wanted = {line.split()[-1].partition("@")[0] for line in lines("nm", "-D", "--undefined-only", KATACTL)}
    calls = {name for name in wanted if name.startswith("kata_")}
    defined = {line.split()[-1] for line in lines("nm", "--defined-only", KATACTL)}
    problems = [f"katactl needs {name}, which is no public call" for name in sorted(calls - public_calls())]
    problems += [f"katactl is linked with {name}" for name in sorted(needed - LIBRARIES)]
    problems += starting_objects()
    # Statically linked, the library's own functions would be in there.
    problems += [f"katactl has {name} of lib/ in itself" for name in sorted(defined & public_calls() | {
        name for name in defined if re.match(r"owner_(call|ask|start)$|task_start$|settings_new$", name)})]
    if "libkata.so.0" not in needed or len(calls) < 40:
        problems.append("katactl does not use the shared library")
    print("\n".join(problems) if problems else f"katactl needs {len(calls)} public calls and nothing else of libkata")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
