#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each value of an enum and each flag of the headers has its number in tests/unit/test-api.c: abidiff sees no macros."""
import glob
import os
import re
import sys

TOP = os.environ.get("top_srcdir", ".")
ENUM = re.compile(r"\benum\s+\w*\s*\{(.*?)\}", re.DOTALL)
FLAG = re.compile(r"^#define (KATA_\w+) \((?:\(uint32_t\))?\d+u? << \d+\)", re.MULTILINE)


def names_of(path):
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    return FLAG.findall(text) + [name for body in ENUM.findall(text) for name in re.findall(r"\bKATA_\w+", body)]


def main():
    names = [name for path in sorted(glob.glob(f"{TOP}/include/kata/*.h")) for name in names_of(path)]
    with open(f"{TOP}/tests/unit/test-api.c", encoding="utf-8") as file:
        test = file.read()
    problems = [name for name in names if not re.search(rf"\(\s*{name}, \d+\)|\{{\d+, {name},", test)]
    print("\n".join(f"tests/unit/test-api.c does not pin {name}" for name in problems) or f"{len(names)} values are pinned")
    sys.exit(1 if problems or len(names) < 30 else 0)


if __name__ == "__main__":
    main()
