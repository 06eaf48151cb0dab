# SPDX-License-Identifier: LGPL-2.1-or-later
"""A process's streams: descriptors of the caller's, or pipes to it, as with the module subprocess."""
from __future__ import annotations

import math
import os
import selectors
import subprocess
import time
from typing import IO, Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from ._library import ProcessIo, to_ms
from .errors import GuestError, TimeoutExpired

__all__ = ["PIPE", "Completed", "Streamed", "Target"]

PIPE = subprocess.PIPE
# What a stream may be: None (nothing: end of file, thrown away), PIPE, a descriptor, or something that has one.
Target = Union[None, int, IO[Any]]
CHUNK = 65536


def countdown(seconds: Optional[float]) -> Callable[[], Optional[float]]:
    """Tells how much is left of so many seconds from now; None: there is no limit."""
    to_ms(seconds)  # refuses what is no number
    if seconds is None or seconds == math.inf:
        return lambda: None
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


class Completed(NamedTuple):
    """What a process left: `code, out, err = container.run([...])`."""

    returncode: int
    stdout: Any
    stderr: Any

    def check(self) -> "Completed":
        """Itself if the process ended with 0; raises GuestError else."""
        if self.returncode != 0:
            words = self.stderr.decode(errors="replace") if isinstance(self.stderr, bytes) else self.stderr or ""
            raise GuestError(f"the process ended with status {self.returncode}", words)
        return self

    def decoded(self) -> "Completed":
        """The same with str in place of bytes."""
        texts = [data.decode(errors="replace") if isinstance(data, bytes) else data
                 for data in (self.stdout, self.stderr)]
        return Completed(self.returncode, *texts)


def finish(streamed: Any, data: Optional[bytes], timeout: Optional[float]) -> Completed:
    """Talks to something with streams, and waits for its end; both within one time limit."""
    left_of = countdown(timeout)
    out, err = streamed.communicate(data, timeout)
    try:
        return Completed(streamed.wait(left_of()), out, err)
    except TimeoutExpired as error:
        error.output, error.stderr = out, err
        raise


class Streams:
    """Descriptors for one process; those it made itself are closed by given(), or all of them by close()."""

    def __init__(self, stdin: Target, stdout: Target, stderr: Target, terminal: bool, host_pid: int) -> None:
        self._theirs: List[int] = []
        self.stdin: Optional[IO[bytes]] = None
        self.stdout: Optional[IO[bytes]] = None
        self.stderr: Optional[IO[bytes]] = None
        try:
            self.io = ProcessIo(self._reader(stdin), self._writer("stdout", stdout),
                                -1 if terminal else self._writer("stderr", stderr), terminal, host_pid)
        except BaseException:
            self.close()
            raise

    def _reader(self, target: Target) -> int:
        if target != PIPE:
            return _fd_of(target)
        theirs, ours = os.pipe()
        self._theirs.append(theirs)
        self.stdin = os.fdopen(ours, "wb", 0)
        return theirs

    def _writer(self, name: str, target: Target) -> int:
        if target != PIPE:
            return _fd_of(target)
        ours, theirs = os.pipe()
        self._theirs.append(theirs)
        setattr(self, name, os.fdopen(ours, "rb", 0))
        return theirs

    def given(self) -> None:
        """The owner has its own copies now."""
        while self._theirs:
            os.close(self._theirs.pop())

    def close(self) -> None:
        self.given()
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                file.close()


def _fd_of(target: Target) -> int:
    if target is None:
        return -1
    return target if isinstance(target, int) else target.fileno()


class Streamed:
    """Something with a process's streams: stdin, stdout and stderr are the caller's ends of pipes, or None."""

    stdin: Optional[IO[bytes]] = None
    stdout: Optional[IO[bytes]] = None
    stderr: Optional[IO[bytes]] = None

    def _take(self, streams: Streams) -> None:
        self.stdin, self.stdout, self.stderr = streams.stdin, streams.stdout, streams.stderr

    def close_streams(self) -> None:
        """Closes the caller's ends of the pipes."""
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                file.close()

    def communicate(self, input: Optional[bytes] = None,  # pylint: disable=redefined-builtin
                    timeout: Optional[float] = None) -> Tuple[Optional[bytes], Optional[bytes]]:
        """Writes input to stdin and closes it, reads stdout and stderr to their ends. Raises TimeoutExpired, which has
        what was read."""
        left_of = countdown(timeout)
        gathered: Dict[Any, List[bytes]] = {self.stdout: [], self.stderr: []}
        unwritten = memoryview(input or b"")
        if self.stdin is not None and not unwritten:
            self.stdin.close()
        with selectors.DefaultSelector() as selector:
            for file, event in ((self.stdin, selectors.EVENT_WRITE), (self.stdout, selectors.EVENT_READ),
                                (self.stderr, selectors.EVENT_READ)):
                if file is not None and not file.closed:
                    os.set_blocking(file.fileno(), False)
                    selector.register(file, event)
            while selector.get_map():
                left = left_of()
                if left is not None and left <= 0:
                    error = TimeoutExpired(f"the process's streams did not end within {timeout} s")
                    error.output, error.stderr = self._joined(gathered)
                    raise error
                for key, _ in selector.select(left):
                    if key.fileobj is self.stdin:
                        unwritten = _write(self.stdin, unwritten)
                        is_over = not unwritten
                    else:
                        data = key.fileobj.read(CHUNK)
                        is_over = data == b""
                        gathered[key.fileobj].append(data or b"")
                    if is_over:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()
        return self._joined(gathered)

    def _joined(self, gathered: Dict[Any, List[bytes]]) -> Tuple[Optional[bytes], Optional[bytes]]:
        return tuple(None if file is None else b"".join(gathered[file])
                     for file in (self.stdout, self.stderr))  # type: ignore[return-value]


def _write(file: IO[bytes], data: memoryview) -> memoryview:
    """What is left to be written; nothing if nobody reads it any more."""
    try:
        return data[file.write(data[:CHUNK]) or 0:]
    except BrokenPipeError:
        return data[:0]
