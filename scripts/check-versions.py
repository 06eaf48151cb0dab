#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One version in all the places that name it: configure.ac is asked, the others have to agree."""
import os
import pathlib
import re
import sys

TOP = pathlib.Path(os.environ.get("top_srcdir", "."))


def find(file, pattern):
    """The version in a file, None if the file does not name one in the way it should."""
    found = re.search(pattern, (TOP / file).read_text(encoding="utf-8"), re.MULTILINE)
    return found.group(1) if found else None


def main():
    version = find("configure.ac", r"^AC_INIT\(\[libkata\], \[([0-9.]+)\]")
    places = {
        "configure.ac, KATA_VERSION_*": ".".join(
            find("configure.ac", rf"^AC_SUBST\(\[KATA_VERSION_{part}\], \[(\d+)\]\)") or "?"
            for part in ("MAJOR", "MINOR", "PATCH")),
        "NEWS": find("NEWS", r"\Alibkata ([0-9.]+)$"),
        "debian/changelog": find("debian/changelog", r"\Alibkata \(([0-9.]+)-[0-9]+\)"),
        "bindings/python/pyproject.toml": find("bindings/python/pyproject.toml", r'^version = "([0-9.]+)"$'),
    }
    wrong = {place: found for place, found in places.items() if found != version}
    for place, found in wrong.items():
        print(f"{place}: {found}, but configure.ac says {version}")
    if version is None or wrong:
        sys.exit(1)
    print(f"{version} in {len(places) + 1} places")


main()
