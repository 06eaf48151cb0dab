# SPDX-License-Identifier: LGPL-2.1-or-later
"""Errors of libkata: a class for each code."""
from __future__ import annotations

from typing import Dict, Optional, Type

__all__ = ["KataError", "error_class"]


class KataError(Exception):
    """A call failed.

    code: the number of libkata's kata_error_code; name: the same as a word, such as "not-found".
    message: one line saying what was tried, on what, and why it failed.
    detail: what others said (libvirt, QEMU, the agent, the guest's console), "" if nothing.
    """

    code = 0
    name = "none"

    def __init__(self, message: str, detail: str = "", code: int = 0, name: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.code = code or type(self).code
        self.name = name or type(self).name

    def __str__(self) -> str:
        return self.message if not self.detail else f"{self.message}\n{self.detail}"

    def __reduce__(self) -> tuple:
        return type(self), (self.message, self.detail, self.code, self.name), self.__dict__


class InternalError(KataError):
    """A fault of libkata itself."""
    code, name = 1, "internal"


class InvalidArgument(KataError, ValueError):
    """A bad argument, flag, id, bundle or document."""
    code, name = 2, "invalid-argument"


class NotFound(KataError, LookupError):
    """No such sandbox, container, process or file."""
    code, name = 3, "not-found"


class AlreadyExists(KataError):
    """The id is in use."""
    code, name = 4, "already-exists"


class InvalidState(KataError):
    """Right call, wrong moment."""
    code, name = 5, "invalid-state"


class PermissionDenied(KataError, PermissionError):
    """The host refused."""
    code, name = 6, "permission-denied"


class Unsupported(KataError):
    """Not built in, or not possible here."""
    code, name = 7, "unsupported"


class TimeoutExpired(KataError, TimeoutError):
    """It took longer than allowed.

    output, stderr: of run() and communicate(), what had been read until then, as bytes; else None.
    """
    code, name = 8, "timeout"
    output: Optional[bytes] = None
    stderr: Optional[bytes] = None


class Unavailable(KataError):
    """The peer is gone: owner, guest or agent."""
    code, name = 9, "unavailable"


class ResourceExhausted(KataError):
    """A limit was reached: size, disk, memory."""
    code, name = 10, "resource-exhausted"


class IoError(KataError):
    """A system call failed."""
    code, name = 11, "io"


class ConfigError(KataError):
    """A settings file or key is wrong."""
    code, name = 12, "config"


class HostError(KataError):
    """The host lacks something a guest needs."""
    code, name = 13, "host"


class GuestError(KataError):
    """The guest did not come up, or died."""
    code, name = 14, "guest"


class Cancelled(KataError):
    """Given up at the caller's wish."""
    code, name = 15, "cancelled"


_CLASSES: Dict[int, Type[KataError]] = {cls.code: cls for cls in KataError.__subclasses__()}
__all__ += [cls.__name__ for cls in _CLASSES.values()]


def error_class(code: int) -> Type[KataError]:
    """The class for a code; KataError itself for one that a newer library made."""
    return _CLASSES.get(code, KataError)
