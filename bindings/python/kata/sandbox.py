# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sandboxes: virtual machines that hold containers."""
from __future__ import annotations

import enum
import json
import os
import uuid
from typing import IO, TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from ._library import Handle, StrPath, byref, c_void_p, take_text, to_bytes, to_ms, to_patience
from .container import Container
from .errors import InvalidArgument, NotFound
from .events import Events
from .streams import PIPE, Completed, Streams, Target, finish

if TYPE_CHECKING:
    from .context import Context

__all__ = ["Sandbox", "SandboxStatus"]

CREATE_BOUND = 1 << 0
DELETE_FORCE = 1 << 0


class SandboxStatus(enum.IntEnum):
    """Where a sandbox is in its life."""

    CREATED = 1
    RUNNING = 2
    STOPPED = 3
    PAUSED = 4


class Sandbox(Handle):
    """One sandbox. Made by Context.create_sandbox() or Context.open_sandbox().

    The virtual machine lives in a process of its own; close() leaves it as it is. As a context manager: a sandbox that
    create_sandbox() made is deleted, running or not, at the end of the block.
    """

    _release = "kata_sandbox_unref"

    def __init__(self, context: "Context", pointer: int, is_ours: bool) -> None:
        super().__init__(pointer)
        self._context = context
        self._is_ours = is_ours

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *failure: Any) -> None:
        self._leave(self._discard, failure)

    def _discard(self) -> None:
        try:
            self.delete(force=True)
        except NotFound:
            pass  # a start that failed has left nothing

    @property
    def id(self) -> str:
        """Its id, unique below the context's root."""
        return self._get("kata_sandbox_get_id")

    @property
    def status(self) -> SandboxStatus:
        """Where it is in its life."""
        return SandboxStatus(self._call("kata_sandbox_get_status"))

    def set_netns(self, path: StrPath) -> None:
        """Chooses the network namespace whose interfaces the guest is connected to; before the start."""
        self._call("kata_sandbox_set_netns", to_bytes(path), 0)

    def start(self) -> None:
        """Boots the virtual machine; the first container would do it, too."""
        self._call("kata_sandbox_start", 0)

    def stop(self, timeout: float = 0) -> None:
        """Ends the virtual machine. timeout: seconds the guest may take by itself before it is killed; 0: at once."""
        self._call("kata_sandbox_stop", to_patience(timeout), 0)

    def delete(self, force: bool = False) -> None:
        """Removes all that is on the host of the sandbox. force: stop it first if it runs."""
        self._call("kata_sandbox_delete", DELETE_FORCE if force else 0)

    def wait(self, timeout: Optional[float] = None) -> None:
        """Waits until the virtual machine has ended."""
        self._call("kata_sandbox_wait", to_ms(timeout), 0)

    def pause(self) -> None:
        """Stops the virtual machine's processors: nothing runs in the guest until resume()."""
        self._call("kata_sandbox_pause", 0)

    def resume(self) -> None:
        """Lets it go on."""
        self._call("kata_sandbox_resume", 0)

    def resize(self, vcpus: int = 0, memory_mib: int = 0) -> None:
        """Lets a running virtual machine grow; 0: as it is. Needs static_sandbox_resource_mgmt = false."""
        self._call("kata_sandbox_resize", vcpus, memory_mib, 0)

    def stats(self) -> Dict[str, Any]:
        """The virtual machine's size, and what its processes cost the host."""
        return self._json("kata_sandbox_get_stats", 0)

    def console(self) -> IO[bytes]:
        """What the guest writes to its console, from the oldest that is kept, until the virtual machine ends: a file
        to be read and closed."""
        reader, writer = os.pipe()
        try:
            self._call("kata_sandbox_attach_console", writer, 0)
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return os.fdopen(reader, "rb")

    def watch(self, after: int = 0) -> Events:
        """Events of this sandbox's containers, from the oldest that is remembered, or behind number `after`."""
        return Events._open(self, after)

    def domain_xml(self) -> str:
        """The libvirt domain XML the guest was started from."""
        return self._text("kata_sandbox_get_domain_xml", 0)

    def boot_timeline(self) -> List[Dict[str, Any]]:
        """What each step of the start took: dicts with name, begin_us, end_us."""
        return self._json("kata_sandbox_get_boot_timeline", 0)

    def call_agent(self, method: str, request: Optional[Mapping[str, Any]] = None,
                   timeout: Optional[float] = None) -> Dict[str, Any]:
        """One call to the agent in the guest, past all that the library knows. For diagnosis."""
        reply = c_void_p()
        self._call("kata_sandbox_call_agent", method.encode(), json.dumps(request or {}).encode(), to_ms(timeout), 0,
                   byref(reply))
        return json.loads(take_text(reply.value))

    # ---- network ----

    def add_interface(self, interface: Mapping[str, Any]) -> None:
        """Connects the guest to an interface of its network namespace: {"device": "eth1", "name": "net0"}."""
        self._call("kata_sandbox_add_interface", json.dumps(interface).encode(), 0)

    def remove_interface(self, interface: Mapping[str, Any]) -> None:
        """Takes an interface from the guest, until it is added again."""
        self._call("kata_sandbox_remove_interface", json.dumps(interface).encode(), 0)

    def interfaces(self) -> List[Dict[str, Any]]:
        """The interfaces the guest has."""
        return self._json("kata_sandbox_list_interfaces", 0)

    def routes(self) -> List[Dict[str, Any]]:
        """The guest's routes."""
        return self._json("kata_sandbox_list_routes", 0)

    def update_routes(self, routes: Sequence[Mapping[str, Any]]) -> List[Dict[str, Any]]:
        """Replaces the guest's routes, until those of its network namespace change; returns the new ones."""
        return self._json("kata_sandbox_update_routes", json.dumps(list(routes)).encode(), 0)

    # ---- containers ----

    def create_container(self, id: str, bundle: StrPath, *,  # pylint: disable=redefined-builtin
                         stdin: Target = None, stdout: Target = None, stderr: Target = None, terminal: bool = False,
                         host_pid: int = 0, bound: bool = False) -> Container:
        """Makes a container from an OCI bundle; its start() lets its process run.

        stdin, stdout, stderr: None, PIPE, a descriptor or a file; with a terminal, stdin and stdout are the host's side.
        host_pid: a process of the caller that stands for the container on the host; bound: the container is removed
        when that process ends.
        """
        return Container._create(self, id, bundle, Streams(stdin, stdout, stderr, terminal, host_pid), bound)

    def restore_container(self, id: str, bundle: StrPath, checkpoint: StrPath, *,  # pylint: disable=redefined-builtin
                          stdin: Target = None, stdout: Target = None, stderr: Target = None, terminal: bool = False,
                          host_pid: int = 0, bound: bool = False) -> Container:
        """Makes a container from what Container.checkpoint() saved, in a sandbox that has not been started; otherwise
        as create_container()."""
        return Container._create(self, id, bundle, Streams(stdin, stdout, stderr, terminal, host_pid), bound, checkpoint)

    def run(self, bundle: StrPath, *, id: Optional[str] = None,  # pylint: disable=redefined-builtin
            input: Optional[bytes] = None, stdin: Target = None,  # pylint: disable=redefined-builtin
            stdout: Target = PIPE, stderr: Target = PIPE, timeout: Optional[float] = None, text: bool = False,
            check: bool = False) -> Completed:
        """Runs a bundle as a container of this sandbox to its end, and deletes it: code, stdout, stderr."""
        with self.create_container(id or f"run-{uuid.uuid4().hex[:12]}", bundle,
                                   stdin=PIPE if input is not None else stdin, stdout=stdout,
                                   stderr=stderr) as container:
            container.start()
            done = finish(container, input, timeout)
        done = done.decoded() if text else done
        return done.check() if check else done

    def containers(self) -> List[str]:
        """The ids of this sandbox's containers."""
        mine, own = [], self.id
        for container_id in self._context.list_containers():
            try:
                with self._context.open_container(container_id) as container:
                    if container.sandbox_id == own:
                        mine.append(container_id)
            except NotFound:
                pass  # it went meanwhile
        return mine

    def exec(self, args: Sequence[str], *, container: Optional[str] = None, **options: Any) -> Completed:
        """Runs a command in a container of this sandbox to its end: code, stdout, stderr.

        container: its id; None: the only one there is. options: those of Container.run().
        """
        if container is None:
            ids = self.containers()
            if len(ids) != 1:
                raise InvalidArgument(f"sandbox '{self.id}' has {len(ids)} containers: say in which one to run")
            container = ids[0]
        with self._context.open_container(container) as opened:
            return opened.run(args, **options)

    def __repr__(self) -> str:
        return f"<kata.Sandbox {self.id if not self.closed else 'closed'}>"
