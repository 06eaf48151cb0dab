# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers: OCI bundles that run in a sandbox."""
from __future__ import annotations

import enum
import json
import os
import signal as signals
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence

from ._library import Handle, StrPath, byref, c_uint64, take_text, to_bytes, to_ms
from .errors import NotFound, TimeoutExpired
from .events import Event
from .process import Process, discard_quietly
from .streams import PIPE, Completed, Streamed, Streams, Target, finish

if TYPE_CHECKING:
    from .sandbox import Sandbox

__all__ = ["Container", "ContainerStatus"]

CREATE_BOUND = 1 << 0
CHECKPOINT_LEAVE_RUNNING = 1 << 0
KILL_ALL = 1 << 0
DELETE_FORCE = 1 << 0
DELETE_SANDBOX = 1 << 1


class ContainerStatus(enum.IntEnum):
    """The OCI runtime specification's states."""

    CREATED = 1
    RUNNING = 2
    STOPPED = 3
    PAUSED = 4


class Container(Handle, Streamed):
    """One container. Made by Sandbox.create_container() or Context.open_container().

    As a context manager: a container that create_container() made is deleted, running or not, at the end of the block.
    """

    _release = "kata_container_unref"

    def __init__(self, pointer: int, is_ours: bool) -> None:
        super().__init__(pointer)
        self._is_ours = is_ours

    @classmethod
    def _create(cls, sandbox: "Sandbox", id: str, bundle: StrPath,  # pylint: disable=redefined-builtin
                streams: Streams, bound: bool, checkpoint: Optional[StrPath] = None) -> "Container":
        arguments = [id.encode(), to_bytes(os.path.abspath(bundle))]
        call = "kata_container_create"
        if checkpoint is not None:
            call = "kata_container_restore"
            arguments.append(to_bytes(os.path.abspath(checkpoint)))
        try:
            pointer = sandbox._call(call, *arguments, byref(streams.io), CREATE_BOUND if bound else 0)
        except BaseException:
            streams.close()
            raise
        streams.given()
        container = cls(pointer, True)
        container._take(streams)
        return container

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *failure: Any) -> None:
        self._leave(self._discard, failure)

    def _discard(self) -> None:
        self.close_streams()
        self.delete(force=True)

    @property
    def id(self) -> str:
        """Its id, unique below the context's root."""
        return self._get("kata_container_get_id")

    @property
    def sandbox_id(self) -> str:
        """The id of the sandbox it is in."""
        return self._get("kata_container_get_sandbox_id")

    @property
    def status(self) -> ContainerStatus:
        """Where it is in its life."""
        return ContainerStatus(self._call("kata_container_get_status"))

    # ---- its first process ----

    def start(self) -> None:
        """Lets the container's process run. Raises InvalidState when it has been started before."""
        self._call("kata_container_start", 0)

    def kill(self, signal: int = signals.SIGTERM, all: bool = False) -> None:  # pylint: disable=redefined-builtin
        """Sends a signal; all: to every process of the container. Raises NotFound when the process has ended."""
        self._call("kata_container_kill", int(signal), KILL_ALL if all else 0)

    def wait(self, timeout: Optional[float] = None) -> int:
        """Waits for its end; gives its exit code, 128 plus the signal's number if one killed it."""
        return self._status("kata_container_wait", to_ms(timeout))

    def delete(self, force: bool = False, with_sandbox: bool = False) -> int:
        """Removes a stopped container and gives its exit code. force: kill it first if it runs. with_sandbox: also
        the sandbox, if this was its last container."""
        return self._status("kata_container_delete",
                            (DELETE_FORCE if force else 0) | (DELETE_SANDBOX if with_sandbox else 0))

    def resize(self, columns: int, rows: int) -> None:
        """Sets the size of its terminal."""
        self._call("kata_container_resize", columns, rows)

    def close_stdin(self) -> None:
        """The container reads end of file after what it was sent."""
        self._call("kata_container_close_stdin")

    # ---- the whole container ----

    def pause(self) -> None:
        """Freezes its processes."""
        self._call("kata_container_pause", 0)

    def resume(self) -> None:
        """Lets them go on."""
        self._call("kata_container_resume", 0)

    def update(self, resources: Mapping[str, Any]) -> None:
        """Changes limits: an OCI linux.resources object. What it does not name stays."""
        self._call("kata_container_update", json.dumps(resources).encode(), 0)

    def state(self) -> Dict[str, Any]:
        """The OCI runtime specification's state document."""
        return self._json("kata_container_get_state", 0)

    def checkpoint(self, directory: StrPath, *, leave_running: bool = False) -> None:
        """Saves it with its whole guest, memory and disks, as files; it has ended then, unless it shall go on."""
        self._call("kata_container_checkpoint", to_bytes(os.path.abspath(directory)),
                   CHECKPOINT_LEAVE_RUNNING if leave_running else 0)

    def stats(self) -> Dict[str, Any]:
        """Counters of the container's cgroup in the guest: the agent protocol's StatsContainerResponse."""
        return self._json("kata_container_get_stats", 0)

    def processes(self) -> List[Dict[str, Any]]:
        """The processes of the container as its guest has them."""
        return self._json("kata_container_get_processes", 0)

    def events(self, after: int = 0, timeout: Optional[float] = None) -> Iterator[Event]:
        """What happens to the container, from the oldest event that is remembered, or behind number `after`. Ends
        when the container has been deleted, or nothing happened for so many seconds."""
        position = c_uint64(after)
        container_id = self.id
        while True:
            try:
                text = take_text(self._call("kata_container_next_event", byref(position), to_ms(timeout), 0))
            except (NotFound, TimeoutExpired):
                return
            event = json.loads(text)
            yield Event(event["type"], event["time"], position.value, container_id, event.get("exit_status"))

    # ---- more processes ----

    def process_template(self) -> Dict[str, Any]:
        """config.json's process object, for an exec that differs from it only in part."""
        return self._json("kata_container_get_process_template", 0)

    def open_process(self, exec_id: str) -> Process:
        """A handle to a process that exec() registered, from any program."""
        return Process._open(self, exec_id)

    def exec(self, args: Sequence[str], *, env: Optional[Mapping[str, str]] = None, cwd: Optional[str] = None,
             user: Optional[Mapping[str, Any]] = None, stdin: Target = None, stdout: Target = None,
             stderr: Target = None, terminal: bool = False, exec_id: Optional[str] = None, host_pid: int = 0,
             process: Optional[Mapping[str, Any]] = None) -> Process:
        """Registers a process in the container; its start() runs it.

        env: added to the container's; cwd, user ({"uid": 0, "gid": 0}): instead of the container's.
        stdin, stdout, stderr: None, PIPE, a descriptor or a file; with a terminal, stdin and stdout are the host's side.
        process: an OCI process object to use in place of config.json's.
        """
        document = dict(process) if process is not None else self.process_template()
        document.update(args=list(args), terminal=terminal)
        if env:
            document["env"] = [entry for entry in document.get("env", []) if entry.partition("=")[0] not in env]
            document["env"] += [f"{name}={value}" for name, value in env.items()]
        if cwd is not None:
            document["cwd"] = cwd
        if user is not None:
            document["user"] = dict(user)
        streams = Streams(stdin, stdout, stderr, terminal, host_pid)
        return Process._exec(self, to_bytes(exec_id), json.dumps(document).encode(), streams)

    def run(self, args: Sequence[str], *, input: Optional[bytes] = None,  # pylint: disable=redefined-builtin
            stdin: Target = None, stdout: Target = PIPE, stderr: Target = PIPE, timeout: Optional[float] = None,
            text: bool = False, check: bool = False, **options: Any) -> Completed:
        """Runs a command in the container to its end, as subprocess.run() does: code, stdout, stderr.

        timeout: then it is killed, and TimeoutExpired raised, which has its output. text: str in place of bytes. check: a code other than 0
        raises GuestError. options: those of exec().
        """
        process = self.exec(args, stdin=PIPE if input is not None else stdin, stdout=stdout, stderr=stderr, **options)
        return _finish(process, input, timeout, text, check)

    def __repr__(self) -> str:
        return f"<kata.Container {self.id if not self.closed else 'closed'}>"


def _finish(process: Process, data: Optional[bytes], timeout: Optional[float], text: bool, check: bool) -> Completed:
    try:
        process.start()
        done = finish(process, data, timeout)
        process.delete()
    except BaseException:
        discard_quietly(process)
        raise
    finally:
        process.close()
    done = done.decoded() if text else done
    return done.check() if check else done
