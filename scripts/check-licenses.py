#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each file begins with a line that names its licence: 0BSD for the examples, LGPL-2.1-or-later for the rest."""
import os
import re
import sys

OURS, EXAMPLES = "LGPL-2.1-or-later", "0BSD"
# Beside or behind "#!", a title or "<?xml".
WITHIN_LINES = 3
# The licence itself, what is input, output or a mark for programs and has no comments, and what debian/copyright names.
WITHOUT = re.compile(r"LICENSE|NEWS|debian/(?!rules|tests/run|.*\.post).*|tests/fuzz/corpus/.*|tests/golden/.*\.xml|"
                     r".*\.(json|xz|typed|png|pyc)")
# What autotools and builds leave in the source directory: .gitignore.
MADE = re.compile(r"(build|build-.*|_build|_inst|autom4te\.cache|aclocal\.m4|configure~?|config\.h\.in~?|Makefile\.in|m4)"
                  r"(/.*)?|"
                  r".*(~|\.l?o)|(.*/)?__pycache__/.*|\.git(/.*)?|(.*/)?[^/]*\.egg-info/.*")


def check(top, path):
    with open(os.path.join(top, path), encoding="utf-8", errors="replace") as file:
        head = "".join(file.readline() for _ in range(WITHIN_LINES))
    found = re.findall(r"SPDX-License-Identifier: (\S+)", head)
    wanted = EXAMPLES if path.startswith("examples/") and not path.endswith(".mk") else OURS
    if found == [wanted]:
        return []
    return [f"{path}: names {found[0] if found else 'no licence'} in its first {WITHIN_LINES} lines, not {wanted}"]


def main():
    top = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    problems, files = [], 0
    for folder, folders, names in os.walk(top):
        relative = os.path.relpath(folder, top)
        folders[:] = [each for each in folders if not MADE.fullmatch(os.path.normpath(os.path.join(relative, each)))]
        for name in names:
            path = os.path.normpath(os.path.join(relative, name))
            if MADE.fullmatch(path) or WITHOUT.fullmatch(path) or os.path.islink(os.path.join(top, path)):
                continue
            files += 1
            problems += check(top, path)
    print("\n".join(problems) if problems else f"{files} files name their licence")
    sys.exit(1 if problems or files == 0 else 0)


if __name__ == "__main__":
    main()
