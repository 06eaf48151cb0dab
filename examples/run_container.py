#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""run_container.py BUNDLE: runs an OCI bundle's container in a virtual machine of its own, with the caller's streams, and
ends with its exit status."""
import sys

import kata


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: run_container.py BUNDLE")
    try:
        # The machine goes when the run is over, and also when this program is killed.
        return kata.run(sys.argv[1], stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr).returncode
    except kata.KataError as error:
        print(f"run_container.py: {error}", file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.exit(main())
