# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes: what is started in a running container beside its first process."""
from __future__ import annotations

import signal as signals
from typing import TYPE_CHECKING, Any, Optional

from ._library import Handle, byref, call, to_ms
from .errors import InvalidState, KataError, NotFound
from .streams import Streamed, Streams

if TYPE_CHECKING:
    from .container import Container

__all__ = ["Process"]


class Process(Handle, Streamed):
    """One process in a container. Made by Container.exec() or Container.open_process().

    As a context manager: a process that exec() made is killed if it still runs, and forgotten, at the end of the block.
    """

    _release = "kata_process_unref"

    def __init__(self, pointer: int, is_ours: bool) -> None:
        super().__init__(pointer)
        self._is_ours = is_ours

    @classmethod
    def _exec(cls, container: "Container", exec_id: Optional[bytes], document: bytes, streams: Streams) -> "Process":
        try:
            pointer = container._call("kata_container_exec", exec_id, document, byref(streams.io), 0)
        except BaseException:
            streams.close()
            raise
        streams.given()
        process = cls(pointer, True)
        process._take(streams)
        return process

    @classmethod
    def _open(cls, container: "Container", exec_id: str) -> "Process":
        with container._use() as pointer:
            return cls(call("kata_process_open", pointer, exec_id.encode(), 0), False)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *failure: Any) -> None:
        self._leave(self.discard, failure)

    @property
    def id(self) -> str:
        """The exec id."""
        return self._get("kata_process_get_id")

    def start(self) -> None:
        """Runs it. Raises InvalidState when it has been started before."""
        self._call("kata_process_start", 0)

    def kill(self, signal: int = signals.SIGTERM) -> None:
        """Sends a signal. Raises NotFound when the process has ended."""
        self._call("kata_process_kill", int(signal), 0)

    def wait(self, timeout: Optional[float] = None) -> int:
        """Waits for its end; gives its exit code, 128 plus the signal's number if one killed it."""
        return self._status("kata_process_wait", to_ms(timeout))

    def delete(self) -> int:
        """Forgets an ended process; gives its exit code."""
        return self._status("kata_process_delete", 0)

    def resize(self, columns: int, rows: int) -> None:
        """Sets the size of its terminal."""
        self._call("kata_process_resize", columns, rows)

    def close_stdin(self) -> None:
        """It reads end of file after what it was sent."""
        self._call("kata_process_close_stdin")

    def discard(self) -> None:
        """Kills it if it runs, and forgets it. That it is gone already is no error."""
        self.close_streams()
        try:
            self.kill(signals.SIGKILL)
            self.wait()
        except (NotFound, InvalidState):
            pass
        try:
            self.delete()
        except NotFound:
            pass

    def __repr__(self) -> str:
        return f"<kata.Process {self.id if not self.closed else 'closed'}>"


def discard_quietly(process: Process) -> None:
    """For the way out of a failure, whose own error is the one to be told."""
    try:
        process.discard()
    except KataError:
        pass
