#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""terminal.py CONTAINER [COMMAND [ARGUMENT...]]: an interactive terminal in a running container (default: sh). This
program's terminal becomes raw, since the guest's has the line discipline, and its size is followed."""
import os
import signal
import sys
import termios
import tty

import kata


def run(process):
    def follow_size(*_):
        try:
            process.resize(*os.get_terminal_size(sys.stdin.fileno()))
        except OSError:
            pass  # no terminal here

    process.start()
    follow_size()
    signal.signal(signal.SIGWINCH, follow_size)
    while True:
        try:
            return process.wait(1)
        except kata.TimeoutExpired:
            pass  # Python runs its signal handlers between two calls


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: terminal.py CONTAINER [COMMAND [ARGUMENT...]]")
    with kata.Context() as ctx, ctx.open_container(sys.argv[1]) as container:
        with container.exec(sys.argv[2:] or ["sh"], terminal=True, stdin=0, stdout=1) as process:
            if not os.isatty(0):
                return run(process)
            before = termios.tcgetattr(0)
            tty.setraw(0)
            try:
                return run(process)
            finally:
                termios.tcsetattr(0, termios.TCSADRAIN, before)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except kata.KataError as error:
        sys.exit(f"terminal.py: {error}")
