#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""events.py SANDBOX: tells what happens to the containers of a sandbox, until a line (or the end) comes on standard input
or the sandbox goes: both in one asyncio loop."""
import asyncio
import sys

import kata


async def watch(sandbox):
    with sandbox.watch() as events:
        async for event in events:
            print(event._asdict(), flush=True)


async def main():
    if len(sys.argv) != 2:
        sys.exit("usage: events.py SANDBOX")
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    with kata.Context() as ctx, ctx.open_sandbox(sys.argv[1]) as sandbox:
        tasks = [asyncio.ensure_future(watch(sandbox)), asyncio.ensure_future(typed.wait())]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except kata.KataError as error:
        sys.exit(f"events.py: {error}")
