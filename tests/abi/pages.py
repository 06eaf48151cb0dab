#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual is whole: what the code reads of annotations is in kata-annotations(7), and nothing else is; pages refer to
pages that exist, are installed, and can be formatted."""
import glob
import os
import re
import sys

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
# What we tell the agent, and the name of a runtime.
NOT_READ = ("io.katacontainers.fs-opt.overlay-rw", "io.containerd.kata.v2")
OF_OTHERS = r"io\.(?:katacontainers|kubernetes|containerd)\.[\w.-]*"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def plain(page):
    """Without troff's escapes and requests' names."""
    return re.sub(r"\\(.)", r"\1", page)


def check_annotations(page):
    known = set()
    for path in glob.glob(f"{TOP}/lib/*.c") + glob.glob(f"{TOP}/shim/*.c") + glob.glob(f"{TOP}/common/*.c"):
        text = re.sub(r"(?m)^ *//.*|\.doc =[^}]*", "", read(path))
        known.update(re.findall(rf'"({OF_OTHERS})"', text))
    # A prefix that others follow is on the page with what follows.
    page_names = {name for name in re.findall(OF_OTHERS, page) if not name.startswith("io.containerd.kata")}
    problems = [f"kata-annotations(7) does not name '{name}'" for name in sorted(known) if name not in NOT_READ
                and not any(one.startswith(name) if name.endswith(".") else one == name for one in page_names)]
    problems += [f"kata-annotations(7) names '{name}', which nothing reads" for name in sorted(page_names)
                 if not any(name.startswith(one) if one.endswith(".") else name == one for one in known)]
    return problems


def check_page(path, pages, installed):
    name, _, section = os.path.basename(path).rpartition(".")
    page = read(path)
    title = re.search(r"(?m)^\.TH (\S+) (\S+) ", plain(page))
    problems = []
    if title is None or (title.group(1).lower(), title.group(2)) != (name.lower(), section):
        problems.append(f"{path}: .TH names another page")
    if not re.search(rf"(?m)^\.SH NAME\n{re.escape(name)} - \S", plain(page)):
        problems.append(f"{path}: NAME does not begin with '{name} -'")
    if f"man/{name}.{section}" not in installed:
        problems.append(f"man/local.mk does not install {name}.{section}")
    for other, number in re.findall(r"(?m)^\.BR (\S*(?:kata|libkata)\S*) \((\d)\)", plain(page)):
        if f"{other}.{number}" not in pages:
            problems.append(f"{path}: there is no page {other}({number})")
    return problems


def main():
    paths = sorted(glob.glob(f"{TOP}/man/*.[1-9]"))
    pages = {os.path.basename(path) for path in paths}
    installed = read(f"{TOP}/man/local.mk").split()
    problems = check_annotations(plain(read(f"{TOP}/man/kata-annotations.7")))
    for path in paths:
        problems += check_page(path, pages, installed)
    for problem in problems:
        print(problem)
    print(f"{len(paths)} pages")
    sys.exit(bool(problems) or len(paths) < 8)


main()
