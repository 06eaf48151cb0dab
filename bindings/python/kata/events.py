# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events of a sandbox's containers, one after the other, for programs with a loop of their own."""
from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, AsyncIterator, Iterator, NamedTuple, Optional

from ._library import Handle, call, function, take_text, to_ms
from .errors import NotFound, TimeoutExpired
from .streams import countdown

if TYPE_CHECKING:
    from .sandbox import Sandbox

__all__ = ["Event", "Events"]

NEXT_DONT_WAIT = 1 << 0
SLICE = 0.5  # seconds until a wait looks whether another thread has closed what it waits for


class Event(NamedTuple):
    """Something that happened to a container.

    type: "start", "exit", "oom", "pause" or "resume"; time: RFC 3339; exit_status: of "exit".
    number: its place in the row, to go on behind it.
    """

    type: str
    time: str
    number: int
    container_id: str
    exit_status: Optional[int] = None


class Events(Handle):
    """Events of a sandbox. Made by Sandbox.watch(). For one thread at a time, and not to be used after fork().

    `for event in events` waits for each; it ends when the sandbox has been deleted. `async for` does the same in an
    asyncio loop. Another loop watches fileno(), and calls next(wait=False) when it is readable.
    """

    _release = "kata_events_unref"

    @classmethod
    def _open(cls, sandbox: "Sandbox", after: int) -> "Events":
        with sandbox._use() as pointer:
            return cls(call("kata_events_open", pointer, after, 0))

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *unused: Any) -> None:
        self.close()

    def fileno(self) -> int:
        """Readable when next() should be called; it may then still have nothing to tell."""
        with self._use() as pointer:
            return function("kata_events_get_fd")(pointer)

    def next(self, timeout: Optional[float] = None, wait: bool = True) -> Event:
        """Waits for the next event. Raises TimeoutExpired, at once without wait; NotFound when the sandbox is gone;
        InvalidArgument soon after another thread has called close()."""
        left_of = countdown(timeout if wait else 0)
        while True:
            left = left_of()
            is_last = left is not None and left <= SLICE
            try:
                text = take_text(self._call("kata_events_next", to_ms(left if is_last else SLICE),
                                            0 if wait else NEXT_DONT_WAIT))
                break
            except TimeoutExpired:
                if is_last:
                    raise
        event = json.loads(text)
        return Event(event["type"], event["time"], event["number"], event["container"], event.get("exit_status"))

    def __iter__(self) -> Iterator[Event]:
        while True:
            try:
                yield self.next()
            except NotFound:
                return

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            try:
                yield self.next(wait=False)
            except TimeoutExpired:
                await self._readable()
            except NotFound:
                return

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable, fd = asyncio.Event(), self.fileno()
        loop.add_reader(fd, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(fd)
