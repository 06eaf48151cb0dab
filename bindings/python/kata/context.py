# SPDX-License-Identifier: LGPL-2.1-or-later
"""The context: where sandboxes live on this host and which program owns them."""
from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from ctypes import byref, c_int, c_uint32
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ._library import Handle, StrPath, call, call_list, call_text, to_bytes
from .container import Container
from .errors import NotFound
from .sandbox import CREATE_BOUND, Sandbox
from .settings import Settings
from .streams import Completed

__all__ = ["Context", "run"]


@contextmanager
def _pointers(ctx: Context, settings: Optional[Settings]) -> Iterator[Tuple[int, Optional[int]]]:
    """What a call with settings over those of the context's file takes first."""
    with ctx._use() as pointer:  # pylint: disable=protected-access
        if settings is None:
            yield pointer, None
        else:
            with settings._use() as values:  # pylint: disable=protected-access
                yield pointer, values


class Context(Handle):
    """A root directory of sandboxes and how to start new ones. Any thread may use it.

    root: the directory (default: KATA_ROOT, or /run/kata); config_file: settings (KATA_CONFIG, /etc/kata/kata.conf);
    owner_program: in place of containerd-shim-kata-v2 (KATA_OWNER).
    """

    _release = "kata_context_unref"

    def __init__(self, root: Optional[StrPath] = None, config_file: Optional[StrPath] = None,
                 owner_program: Optional[StrPath] = None) -> None:
        super().__init__(call("kata_context_new", 0))
        if root is not None:
            self._call("kata_context_set_root", to_bytes(root))
        if config_file is not None:
            self._call("kata_context_set_config_file", to_bytes(config_file))
        if owner_program is not None:
            self._call("kata_context_set_owner_program", to_bytes(owner_program))

    def __enter__(self) -> "Context":
        return self

    def __exit__(self, *unused: Any) -> None:
        self.close()

    @property
    def root(self) -> str:
        """The directory below which sandboxes are kept."""
        return self._get("kata_context_get_root")

    @property
    def config_file(self) -> str:
        """The settings file; drop-ins are in the conf.d beside it."""
        return self._get("kata_context_get_config_file")

    def check_host(self) -> List[Dict[str, Any]]:
        """Whether this host has all that a guest needs: dicts with name, ok, warning, text, remedy."""
        return self._json("kata_host_check", 0)

    def load_settings(self) -> Settings:
        """What a sandbox would get: the defaults, the settings file, its drop-ins. Raises ConfigError."""
        return Settings._of(self._call("kata_context_load_settings", 0))  # pylint: disable=protected-access

    def describe(self, settings: Optional[Settings] = None) -> Dict[str, Any]:
        """All that a new sandbox would meet: versions, guest, host, root, config_file, settings, ignored; see
        kata_settings(3). settings: those of the sandbox; None: what load_settings() gives."""
        with _pointers(self, settings) as pointers:
            return json.loads(call_text("kata_context_describe", *pointers, 0))

    # ---- sandboxes ----

    def create_sandbox(self, id: Optional[str] = None,  # pylint: disable=redefined-builtin
                       settings: Optional[Settings] = None, bound: bool = False) -> Sandbox:
        """Starts a sandbox's owner; the virtual machine starts with start() or with the first container.

        id: None: one is made up. settings: set over those of the settings file. bound: the sandbox is removed when it
        has no container and this process has ended.
        """
        chosen = (id or f"py-{uuid.uuid4().hex[:12]}").encode()
        flags = CREATE_BOUND if bound else 0
        with _pointers(self, settings) as (pointer, values):
            return Sandbox(self, call("kata_sandbox_create", pointer, chosen, values, flags), True)

    def open_sandbox(self, id: str) -> Sandbox:  # pylint: disable=redefined-builtin
        """A handle to a sandbox that exists. Raises NotFound."""
        return Sandbox(self, self._call("kata_sandbox_open", id.encode(), 0), False)

    def list_sandboxes(self) -> List[str]:
        """The ids of all sandboxes."""
        with self._use() as pointer:
            return call_list("kata_sandbox_list", pointer, 0)

    def sandboxes(self) -> Iterator[Sandbox]:
        """A handle to each sandbox, as far as it is still there."""
        for sandbox_id in self.list_sandboxes():
            try:
                yield self.open_sandbox(sandbox_id)
            except NotFound:
                pass

    def find_sandbox(self, netns: StrPath) -> str:
        """Which sandbox's guest is connected to a network namespace. Raises NotFound."""
        return self._text("kata_sandbox_find_netns", to_bytes(netns), 0)

    # ---- containers ----

    def open_container(self, id: str) -> Container:  # pylint: disable=redefined-builtin
        """A handle to a container that exists. Raises NotFound."""
        return Container(self._call("kata_container_open", id.encode(), 0), False)

    def list_containers(self) -> List[str]:
        """The ids of all containers."""
        with self._use() as pointer:
            return call_list("kata_container_list", pointer, 0)

    def containers(self) -> Iterator[Container]:
        """A handle to each container, as far as it is still there."""
        for container_id in self.list_containers():
            try:
                yield self.open_container(container_id)
            except NotFound:
                pass

    # ---- guests ahead of time ----

    def create_template(self, settings: Optional[Settings] = None) -> Tuple[str, bool]:
        """Boots a guest and saves it, so that those of the same configuration start from there. The template's key, and
        whether it is new. settings: set over those of the settings file."""
        is_new = c_int()
        with _pointers(self, settings) as pointers:
            key = call_text("kata_template_create", *pointers, 0, byref(is_new))
        return key, bool(is_new.value)

    def list_templates(self, settings: Optional[Settings] = None) -> List[Dict[str, Any]]:
        """The templates: dicts with key, bytes, used_at; key, failed_at, why for those that could not be made."""
        with _pointers(self, settings) as pointers:
            return json.loads(call_text("kata_template_list", *pointers, 0))

    def remove_templates(self, settings: Optional[Settings] = None) -> List[str]:
        """Removes all templates; their keys."""
        with _pointers(self, settings) as pointers:
            return call_list("kata_template_remove", *pointers, 0)

    def fill_pool(self, settings: Optional[Settings] = None) -> Tuple[int, int]:
        """Lets as many guests stand by as the setting factory.vm_cache_number says: how many it made, how many stand by.
        Raises ConfigError if that is 0."""
        made, ready = c_uint32(), c_uint32()
        with _pointers(self, settings) as pointers:
            call("kata_pool_fill", *pointers, 0, byref(made), byref(ready))
        return made.value, ready.value

    def list_pool(self, settings: Optional[Settings] = None) -> List[Dict[str, Any]]:
        """The guests that stand by: dicts with name, template, pid, made_at."""
        with _pointers(self, settings) as pointers:
            return json.loads(call_text("kata_pool_list", *pointers, 0))

    def empty_pool(self, settings: Optional[Settings] = None) -> int:
        """Ends all guests that stand by; how many."""
        removed = c_uint32()
        with _pointers(self, settings) as pointers:
            call("kata_pool_empty", *pointers, 0, byref(removed))
        return removed.value

    # ---- direct-assigned volumes ----

    def add_direct_volume(self, volume_path: StrPath, mount_info: Mapping[str, Any]) -> None:
        """Leaves a block device for guests to mount where a container has a bind mount of a path. mount_info: of device,
        fstype, options, metadata; see kata_direct_volume(3). Raises InvalidArgument."""
        self._call("kata_direct_volume_add", to_bytes(volume_path), json.dumps(mount_info).encode(), 0)

    def remove_direct_volume(self, volume_path: StrPath) -> None:
        """Takes back what was left for a path."""
        self._call("kata_direct_volume_remove", to_bytes(volume_path), 0)

    def list_direct_volumes(self) -> List[Dict[str, Any]]:
        """What has been left: dicts with volume_path, mount_info, users."""
        return self._json("kata_direct_volume_list", 0)

    def resize_direct_volume(self, volume_path: StrPath, size: int) -> None:
        """Lets the guest's file system on a volume have the bytes that its device has by now. Raises NotFound."""
        self._call("kata_direct_volume_resize", to_bytes(volume_path), size, 0)

    def direct_volume_stats(self, volume_path: StrPath) -> Dict[str, Any]:
        """How full a volume is in the guest that has it: usage and volume_condition, as CSI has them. Raises NotFound."""
        return self._json("kata_direct_volume_get_stats", to_bytes(volume_path), 0)

    def __repr__(self) -> str:
        return f"<kata.Context {self.root if not self.closed else 'closed'}>"


def run(bundle: StrPath, *, context: Optional[Context] = None, settings: Optional[Settings] = None,
        **options: Any) -> Completed:
    """Runs a bundle in a virtual machine of its own to its end; leaves nothing. options: those of Sandbox.run()."""
    if context is None:
        with Context() as made:
            return run(bundle, context=made, settings=settings, **options)
    with context.create_sandbox(settings=settings, bound=True) as sandbox:
        return sandbox.run(bundle, **options)
