#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""exec_pipes.py CONTAINER COMMAND [ARGUMENT...]: runs a command in a running container, with this program's input, and
tells its output from its errors; ends with its exit status."""
import sys
import threading

import kata


def show(file, word):
    for line in file:
        print(f"{word}: {line.decode()}", end="", flush=True)


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: exec_pipes.py CONTAINER COMMAND [ARGUMENT...]")
    with kata.Context() as ctx, ctx.open_container(sys.argv[1]) as container:
        with container.exec(sys.argv[2:], stdin=sys.stdin, stdout=kata.PIPE, stderr=kata.PIPE) as process:
            process.start()
            readers = [threading.Thread(target=show, args=(process.stdout, "output")),
                       threading.Thread(target=show, args=(process.stderr, "errors"))]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            return process.wait()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except kata.KataError as error:
        sys.exit(f"exec_pipes.py: {error}")
