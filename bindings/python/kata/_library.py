# SPDX-License-Identifier: LGPL-2.1-or-later
"""libkata.so.0 through ctypes: the prototypes of its calls, and how a call's error becomes an exception."""
from __future__ import annotations

import ctypes
import json
import math
import os
import threading
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from .errors import InvalidArgument, KataError, Unsupported, error_class

StrPath = Union[str, "os.PathLike[str]"]
UINT32_MAX = 0xFFFFFFFF
# ctypes takes any number and hands on its lower bits.
RANGES = {c_int: (-1 << 31, (1 << 31) - 1), c_uint32: (0, UINT32_MAX), c_uint64: (0, (1 << 64) - 1)}


class ProcessIo(ctypes.Structure):
    """kata_process_io."""
    _fields_ = [("size", c_size_t), ("stdin_fd", c_int), ("stdout_fd", c_int), ("stderr_fd", c_int),
                ("terminal", c_int), ("host_pid", c_int), ("reserved", c_int)]

    def __init__(self, stdin_fd: int = -1, stdout_fd: int = -1, stderr_fd: int = -1, terminal: bool = False,
                 host_pid: int = 0) -> None:
        super().__init__(ctypes.sizeof(ProcessIo), stdin_fd, stdout_fd, stderr_fd, int(terminal), host_pid, 0)


# What a call returns. A handle and an owned text are pointers, which are released by name.
HANDLE = c_void_p
TEXT = c_void_p
LIST = POINTER(c_char_p)
STATUS = c_int
NONE = None
ERR = POINTER(c_void_p)
IO = POINTER(ProcessIo)

# Call -> what it returns, what it takes. The order is the headers'.
PROTOTYPES: Dict[str, Tuple[Any, Sequence[Any]]] = {
    # error.h
    "kata_error_get_code": (c_int, [HANDLE]),
    "kata_error_get_message": (c_char_p, [HANDLE]),
    "kata_error_get_detail": (c_char_p, [HANDLE]),
    "kata_error_code_name": (c_char_p, [c_int]),
    "kata_error_free": (NONE, [HANDLE]),
    # version.h
    "kata_version": (c_char_p, []),
    "kata_has_feature": (c_int, [c_char_p]),
    # context.h
    "kata_context_new": (HANDLE, [c_uint32, ERR]),
    "kata_context_unref": (NONE, [HANDLE]),
    "kata_context_set_root": (STATUS, [HANDLE, c_char_p, ERR]),
    "kata_context_get_root": (c_char_p, [HANDLE]),
    "kata_context_set_config_file": (STATUS, [HANDLE, c_char_p, ERR]),
    "kata_context_get_config_file": (c_char_p, [HANDLE]),
    "kata_context_set_owner_program": (STATUS, [HANDLE, c_char_p, ERR]),
    "kata_host_check": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_free": (NONE, [c_void_p]),
    "kata_strv_free": (NONE, [LIST]),
    # settings.h, domain.h
    "kata_settings_new": (HANDLE, [c_uint32, ERR]),
    "kata_settings_unref": (NONE, [HANDLE]),
    "kata_settings_load_file": (STATUS, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_settings_load_annotations": (STATUS, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_context_load_settings": (HANDLE, [HANDLE, c_uint32, ERR]),
    "kata_context_describe": (TEXT, [HANDLE, HANDLE, c_uint32, ERR]),
    "kata_settings_describe": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_settings_set": (STATUS, [HANDLE, c_char_p, c_char_p, c_char_p, ERR]),
    "kata_settings_get": (TEXT, [HANDLE, c_char_p, c_char_p, ERR]),
    "kata_settings_to_text": (TEXT, [HANDLE]),
    "kata_domain_xml": (TEXT, [HANDLE, c_char_p, c_char_p, c_uint32, ERR]),
    "kata_domain_xml_for_bundle": (TEXT, [HANDLE, c_char_p, c_char_p, c_char_p, c_uint32, ERR]),
    # template.h, pool.h
    "kata_template_create": (TEXT, [HANDLE, HANDLE, c_uint32, POINTER(c_int), ERR]),
    "kata_template_list": (TEXT, [HANDLE, HANDLE, c_uint32, ERR]),
    "kata_template_remove": (LIST, [HANDLE, HANDLE, c_uint32, ERR]),
    "kata_pool_fill": (STATUS, [HANDLE, HANDLE, c_uint32, POINTER(c_uint32), POINTER(c_uint32), ERR]),
    "kata_pool_list": (TEXT, [HANDLE, HANDLE, c_uint32, ERR]),
    "kata_pool_empty": (STATUS, [HANDLE, HANDLE, c_uint32, POINTER(c_uint32), ERR]),
    # oci.h
    "kata_oci_features": (TEXT, [c_uint32, ERR]),
    "kata_oci_spec": (TEXT, [c_uint32, ERR]),
    # direct-volume.h
    "kata_direct_volume_add": (STATUS, [HANDLE, c_char_p, c_char_p, c_uint32, ERR]),
    "kata_direct_volume_remove": (STATUS, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_direct_volume_list": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_direct_volume_resize": (STATUS, [HANDLE, c_char_p, c_uint64, c_uint32, ERR]),
    "kata_direct_volume_get_stats": (TEXT, [HANDLE, c_char_p, c_uint32, ERR]),
    # sandbox.h
    "kata_sandbox_create": (HANDLE, [HANDLE, c_char_p, HANDLE, c_uint32, ERR]),
    "kata_sandbox_open": (HANDLE, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_sandbox_unref": (NONE, [HANDLE]),
    "kata_sandbox_get_id": (c_char_p, [HANDLE]),
    "kata_sandbox_list": (LIST, [HANDLE, c_uint32, ERR]),
    "kata_sandbox_set_netns": (STATUS, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_sandbox_find_netns": (TEXT, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_sandbox_start": (STATUS, [HANDLE, c_uint32, ERR]),
    "kata_sandbox_stop": (STATUS, [HANDLE, c_uint32, c_uint32, ERR]),
    "kata_sandbox_delete": (STATUS, [HANDLE, c_uint32, ERR]),
    "kata_sandbox_get_status": (STATUS, [HANDLE, ERR]),
    "kata_sandbox_wait": (STATUS, [HANDLE, c_uint32, c_uint32, ERR]),
    "kata_sandbox_get_domain_xml": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_sandbox_get_boot_timeline": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_sandbox_pause": (STATUS, [HANDLE, c_uint32, ERR]),
    "kata_sandbox_resume": (STATUS, [HANDLE, c_uint32, ERR]),
    "kata_sandbox_resize": (STATUS, [HANDLE, c_uint32, c_uint64, c_uint32, ERR]),
    "kata_sandbox_get_stats": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_sandbox_attach_console": (STATUS, [HANDLE, c_int, c_uint32, ERR]),
    "kata_sandbox_call_agent": (STATUS, [HANDLE, c_char_p, c_char_p, c_uint32, c_uint32, POINTER(c_void_p), ERR]),
    "kata_sandbox_add_interface": (STATUS, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_sandbox_remove_interface": (STATUS, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_sandbox_list_interfaces": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_sandbox_list_routes": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_sandbox_update_routes": (TEXT, [HANDLE, c_char_p, c_uint32, ERR]),
    # event.h
    "kata_events_open": (HANDLE, [HANDLE, c_uint64, c_uint32, ERR]),
    "kata_events_unref": (NONE, [HANDLE]),
    "kata_events_get_fd": (c_int, [HANDLE]),
    "kata_events_next": (TEXT, [HANDLE, c_uint32, c_uint32, ERR]),
    # container.h
    "kata_container_create": (HANDLE, [HANDLE, c_char_p, c_char_p, IO, c_uint32, ERR]),
    "kata_container_checkpoint": (STATUS, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_container_restore": (HANDLE, [HANDLE, c_char_p, c_char_p, c_char_p, IO, c_uint32, ERR]),
    "kata_container_open": (HANDLE, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_container_unref": (NONE, [HANDLE]),
    "kata_container_get_id": (c_char_p, [HANDLE]),
    "kata_container_get_sandbox_id": (c_char_p, [HANDLE]),
    "kata_container_list": (LIST, [HANDLE, c_uint32, ERR]),
    "kata_container_start": (STATUS, [HANDLE, c_uint32, ERR]),
    "kata_container_kill": (STATUS, [HANDLE, c_int, c_uint32, ERR]),
    "kata_container_wait": (STATUS, [HANDLE, c_uint32, POINTER(c_int), ERR]),
    "kata_container_delete": (STATUS, [HANDLE, c_uint32, POINTER(c_int), ERR]),
    "kata_container_get_status": (STATUS, [HANDLE, ERR]),
    "kata_container_get_state": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_container_get_process_template": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_container_pause": (STATUS, [HANDLE, c_uint32, ERR]),
    "kata_container_resume": (STATUS, [HANDLE, c_uint32, ERR]),
    "kata_container_update": (STATUS, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_container_get_stats": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_container_get_processes": (TEXT, [HANDLE, c_uint32, ERR]),
    "kata_container_next_event": (TEXT, [HANDLE, POINTER(c_uint64), c_uint32, c_uint32, ERR]),
    "kata_container_resize": (STATUS, [HANDLE, c_uint32, c_uint32, ERR]),
    "kata_container_close_stdin": (STATUS, [HANDLE, ERR]),
    # process.h
    "kata_container_exec": (HANDLE, [HANDLE, c_char_p, c_char_p, IO, c_uint32, ERR]),
    "kata_process_open": (HANDLE, [HANDLE, c_char_p, c_uint32, ERR]),
    "kata_process_unref": (NONE, [HANDLE]),
    "kata_process_get_id": (c_char_p, [HANDLE]),
    "kata_process_start": (STATUS, [HANDLE, c_uint32, ERR]),
    "kata_process_kill": (STATUS, [HANDLE, c_int, c_uint32, ERR]),
    "kata_process_wait": (STATUS, [HANDLE, c_uint32, POINTER(c_int), ERR]),
    "kata_process_delete": (STATUS, [HANDLE, c_uint32, POINTER(c_int), ERR]),
    "kata_process_resize": (STATUS, [HANDLE, c_uint32, c_uint32, ERR]),
    "kata_process_close_stdin": (STATUS, [HANDLE, ERR]),
    # agent.h
    "kata_agent_connect": (HANDLE, [c_char_p, c_uint32, c_uint32, ERR]),
    "kata_agent_unref": (NONE, [HANDLE]),
    "kata_agent_call": (STATUS, [HANDLE, c_char_p, c_char_p, c_uint32, c_uint32, POINTER(c_void_p), ERR]),
    "kata_agent_method_next": (HANDLE, [HANDLE]),
    "kata_agent_method_get_name": (c_char_p, [HANDLE]),
    "kata_agent_method_get_request_type": (c_char_p, [HANDLE]),
    "kata_agent_method_get_reply_type": (c_char_p, [HANDLE]),
    "kata_agent_describe_message": (TEXT, [c_char_p, c_uint32, ERR]),
    "kata_agent_make_template": (TEXT, [c_char_p, c_uint32, ERR]),
}

_functions: Dict[str, Any] = {}
_loading = threading.Lock()
_loaded: Optional[ctypes.CDLL] = None


def _load() -> ctypes.CDLL:
    global _loaded  # pylint: disable=global-statement
    with _loading:
        if _loaded is None:
            # ctypes.CDLL lets other threads run during each call.
            _loaded = ctypes.CDLL(os.environ.get("KATA_LIBRARY") or "libkata.so.0")
        return _loaded


def function(name: str) -> Any:
    """The call of this name; Unsupported if the library is older than it."""
    found = _functions.get(name)
    if found is None:
        try:
            found = getattr(_load(), name)
        except AttributeError:
            raise Unsupported(f"this libkata has no {name}(): it needs a newer one") from None
        found.restype, found.argtypes = PROTOTYPES[name]
        _functions[name] = found
    return found


def take_error(pointer: c_void_p) -> KataError:
    """The exception for a kata_error, which is released."""
    code = function("kata_error_get_code")(pointer)
    message = function("kata_error_get_message")(pointer).decode(errors="replace")
    detail = function("kata_error_get_detail")(pointer).decode(errors="replace")
    name = function("kata_error_code_name")(code).decode()
    function("kata_error_free")(pointer)
    return error_class(code)(message, detail, code, name)


def _check(name: str, argument: Any, kind: Any) -> None:
    """Refuses what ctypes would hand on as something else."""
    if isinstance(argument, bytes) and b"\0" in argument:  # C would see a text that ends there
        raise InvalidArgument(f"{name}(): {argument.decode(errors='replace')!r} holds a NUL character")
    low, high = RANGES.get(kind, (None, None))
    if isinstance(argument, int) and low is not None and not low <= argument <= high:
        raise InvalidArgument(f"{name}(): {argument} is not from {low} to {high}")


def call(name: str, *arguments: Any) -> Any:
    """A call whose last parameter is kata_error **: raises if it fails, else gives what it returns."""
    for argument, kind in zip(arguments, PROTOTYPES[name][1]):
        _check(name, argument, kind)
    error = c_void_p()
    result = function(name)(*arguments, byref(error))
    if error:
        raise take_error(error)
    return result


def take_text(pointer: Optional[int]) -> str:
    """A text that the caller is to release."""
    text = ctypes.string_at(pointer or 0).decode(errors="replace")
    function("kata_free")(pointer)
    return text


def call_text(name: str, *arguments: Any) -> str:
    return take_text(call(name, *arguments))


def call_json(name: str, *arguments: Any) -> Any:
    return json.loads(call_text(name, *arguments))


def call_list(name: str, *arguments: Any) -> List[str]:
    array = call(name, *arguments)
    texts: List[str] = []
    while array[len(texts)] is not None:
        texts.append(array[len(texts)].decode())
    function("kata_strv_free")(array)
    return texts


def to_bytes(text: Optional[StrPath]) -> Optional[bytes]:
    return None if text is None else os.fspath(text).encode("utf-8", "surrogateescape")


def to_ms(seconds: Optional[float]) -> int:
    """libkata's milliseconds, where 0 is without limit, as infinity is."""
    if seconds is None or seconds == math.inf:
        return 0
    if math.isnan(seconds):
        raise InvalidArgument("a time limit that is not a number")
    return int(min(max(seconds * 1000, 1), UINT32_MAX))


def to_patience(seconds: float) -> int:
    """libkata's milliseconds, where 0 is no time at all."""
    if seconds < 0:
        raise InvalidArgument(f"{seconds} s is less than no time")
    return to_ms(min(seconds, UINT32_MAX / 1000)) if seconds else 0


def version() -> str:
    """Version of libkata at run time, such as "0.1.0"."""
    return function("kata_version")().decode()


def has_feature(name: str) -> bool:
    """Whether the library at run time knows something, such as "events"; kata_has_feature() lists the names."""
    return "\0" not in name and bool(function("kata_has_feature")(name.encode()))


class Handle:
    """Something of libkata that is held until close(), or the end of the object."""

    _release = ""  # the call that lets go

    def __init__(self, pointer: int) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False
        self._pointer = pointer

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Lets go; what other threads have begun on the handle still comes to its end. May be called again."""
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            pointer, is_last = self._pointer, self._closed and self._users == 0
            if is_last:
                self._pointer = 0
        if is_last and pointer:
            function(self._release)(pointer)

    def _call(self, name: str, *arguments: Any) -> Any:
        with self._use() as pointer:
            return call(name, pointer, *arguments)

    def _text(self, name: str, *arguments: Any) -> str:
        return take_text(self._call(name, *arguments))

    def _json(self, name: str, *arguments: Any) -> Any:
        return json.loads(self._text(name, *arguments))

    def _status(self, name: str, *before: Any) -> int:
        """A call that gives an exit status through its last but one parameter."""
        status = c_int()
        self._call(name, *before, byref(status))
        return status.value

    def _get(self, name: str) -> str:
        """A text that the handle owns."""
        with self._use() as pointer:
            return function(name)(pointer).decode()

    def _leave(self, discard: Callable[[], None], failure: Tuple[Any, ...]) -> None:
        """The end of a "with" block. Where the block itself fails, that is the error to be told."""
        try:
            if getattr(self, "_is_ours"):
                discard()
        except KataError:
            if failure[0] is None:
                raise
        finally:
            self.close()

    # The pointer is used inside "with handle._use() as pointer", so that another thread's close() cannot free it.
    def _use(self) -> "_Use":
        return _Use(self)

    def __del__(self) -> None:
        if getattr(self, "_pointer", 0) and function is not None:
            self.close()


class _Use:
    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __enter__(self) -> int:
        handle = self._handle
        with handle._lock:
            if handle._closed:
                raise error_class(2)(f"this {type(handle).__name__} has been closed")
            handle._users += 1
            return handle._pointer

    def __exit__(self, *unused: Any) -> None:
        handle = self._handle
        with handle._lock:
            handle._users -= 1
        if handle._closed:
            handle._let_go()
