#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""parallel.py N BUNDLE: runs a bundle N times at once, each in a virtual machine of its own; a thread for each, on one
context. Ends with 0 if all containers did."""
import concurrent.futures
import sys

import kata


def main():
    if len(sys.argv) != 3 or not sys.argv[1].isdecimal() or int(sys.argv[1]) == 0:
        sys.exit("usage: parallel.py N BUNDLE, where N is at least 1")
    count, bundle = int(sys.argv[1]), sys.argv[2]
    good = 0
    with kata.Context() as ctx, concurrent.futures.ThreadPoolExecutor(count) as pool:
        runs = [pool.submit(kata.run, bundle, context=ctx, stdout=sys.stdout, stderr=sys.stderr) for _ in range(count)]
        for number, run in enumerate(runs):
            try:
                good += run.result().returncode == 0
            except kata.KataError as error:
                print(f"parallel.py: {number}: {error}", file=sys.stderr)
    print(f"{good} of {count} ended well", file=sys.stderr)
    return 0 if good == count else 1


if __name__ == "__main__":
    sys.exit(main())
