#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual is whole: what the code reads of annotations is in kata-annotations(7), and nothing else is; each public call
is in section 3, as its header has it; pages refer to pages that exist, are installed, and format without a warning."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ.get("top_builddir", ".")
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
    if not re.search(rf"(?m)^\.SH NAME\n{re.escape(name)}(, \w+)* - \S", plain(page)):
        problems.append(f"{path}: NAME does not begin with '{name} -'")
    if f"man/{name}.{section}" not in installed:
        problems.append(f"man/local.mk does not install {name}.{section}")
    for other, number in re.findall(r"(?m)^\.BR (\S*kata\S*) \((\d)\)", plain(page)):
        if f"{other}.{number}" not in pages:
            problems.append(f"{path}: there is no page {other}({number})")
    return problems


def check_calls(made):
    """Section 3 has each call once, and is what the headers say now."""
    public = re.findall(r"\b(kata_\w+);", re.sub(r"/\*.*?\*/", "", read(f"{TOP}/lib/libkata.syms"), flags=re.S))
    entries, names = [], []
    for path in made:
        page = plain(read(path))
        entries += re.findall(r'(?m)^\.SS "(\w+)\(\)"$', page)
        names += re.search(r"\.SH NAME\n(.*?) - ", page).group(1).split(", ")
    problems = [f"{name} has {entries.count(name)} entries in section 3" for name in public if entries.count(name) != 1]
    problems += [f"section 3 has {name}, which is no public call" for name in set(entries) - set(public)]
    problems += [f"no NAME of section 3 has {name}" for name in set(public) - set(names)]
    with tempfile.TemporaryDirectory() as again:
        subprocess.run([sys.executable, f"{TOP}/scripts/make-api-pages.py", f"{TOP}/include/kata",
                        f"{BUILD}/include/kata/version.h", again], check=True)
        fresh = sorted(os.listdir(again))
        if fresh != [os.path.basename(path) for path in made]:
            problems.append(f"man/local.mk installs other pages of section 3 than there are: {fresh}")
        problems += [f"{path} is not what the headers say" for path in made
                     if os.path.basename(path) in fresh and read(path) != read(os.path.join(again, os.path.basename(path)))]
    return problems


def check_error_codes(page):
    header = re.findall(r"(KATA_ERR_\w+) = (\d+)", read(f"{TOP}/include/kata/error.h"))
    listed = re.findall(r'(?m)^\.BR (KATA_ERR_\w+) " \((\d+)\)"$', page)
    return [] if listed == header[1:] else ["libkata(3) lists other error codes than error.h"]


def lint(path):
    """What the formatter, and the program that makes whatis(1)'s index, have to say."""
    env = dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="80")
    said = subprocess.run(["man", "--warnings", "-Tutf8", "-l", path], env=env, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False).stderr
    if subprocess.run(["lexgrog", path], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        said += "whatis(1) cannot read its NAME"
    return [f"{path}: {line}" for line in said.splitlines()]


def main():
    for tool in ("man", "lexgrog"):
        if not shutil.which(tool):
            print(f"skipped: no {tool}")
            sys.exit(77)
    made = sorted(glob.glob(f"{BUILD}/man/*.[1-9]"))
    paths = sorted(glob.glob(f"{TOP}/man/*.[1-9]")) + made
    pages = {os.path.basename(path) for path in paths}
    installed = read(f"{TOP}/man/local.mk").split()
    problems = check_annotations(plain(read(f"{TOP}/man/kata-annotations.7")))
    problems += check_calls(made) + check_error_codes(plain(read(f"{TOP}/man/libkata.3")))
    for path in paths:
        problems += check_page(path, pages, installed) + lint(path)
    for problem in problems:
        print(problem)
    print(f"{len(paths)} pages")
    sys.exit(bool(problems) or len(paths) < 40)


main()
