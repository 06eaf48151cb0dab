# SPDX-License-Identifier: LGPL-2.1-or-later
"""Settings of a sandbox's virtual machine, and the domain XML that follows from them."""
from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional

from ._library import Handle, StrPath, call, call_text, function, take_text, to_bytes

__all__ = ["Settings", "domain_xml"]


def _to_value(value: Any) -> bytes:
    """As it would stand in kata.conf: JSON writes texts, numbers, truth values and lists in the same way."""
    return json.dumps(value, ensure_ascii=False).encode()


class Settings(Handle):
    """Values by section and key, each known to kata.conf(5). For one thread at a time.

    values: {section: {key: value}} to begin with; all else is at its default.
    """

    _release = "kata_settings_unref"

    def __init__(self, values: Optional[Mapping[str, Mapping[str, Any]]] = None) -> None:
        super().__init__(call("kata_settings_new", 0))
        for section, keys in (values or {}).items():
            for key, value in keys.items():
                self.set(section, key, value)

    @classmethod
    def _of(cls, pointer: int) -> "Settings":
        """Takes over settings that the library made."""
        made = cls.__new__(cls)
        Handle.__init__(made, pointer)
        return made

    def __enter__(self) -> "Settings":
        return self

    def __exit__(self, *unused: Any) -> None:
        self.close()

    def load_file(self, path: StrPath) -> None:
        """Takes over what a file says. Raises ConfigError naming file, line, key and what is allowed."""
        self._call("kata_settings_load_file", to_bytes(path), 0)

    def load_annotations(self, bundle: StrPath) -> None:
        """Takes over what the annotations io.katacontainers.config.* of a bundle's config.json ask for. Those of the
        hypervisor must be among enable_annotations: load the file before. Raises ConfigError naming the annotation."""
        self._call("kata_settings_load_annotations", to_bytes(bundle), 0)

    def set(self, section: str, key: str, value: Any) -> None:
        """Sets one key, such as ("hypervisor.qemu", "default_vcpus", 4). Raises ConfigError."""
        self._call("kata_settings_set", section.encode(), key.encode(), _to_value(value))

    def get(self, section: str, key: str) -> Any:
        """One key's value as a Python object. Raises ConfigError for an unknown key."""
        return json.loads(self._text("kata_settings_get", section.encode(), key.encode()))

    def to_text(self) -> str:
        """Every key that a file or set() has named, in the form of kata.conf."""
        with self._use() as pointer:
            return take_text(function("kata_settings_to_text")(pointer))

    def describe(self) -> List[Dict[str, Any]]:
        """Every setting there is: dicts with section, key, value, default, source, allowed, meaning.

        source: "default", "FILE:LINE", "annotation NAME", or "caller" for set().
        """
        return json.loads(self._text("kata_settings_describe", 0))["settings"]

    def ignored(self) -> List[Dict[str, Any]]:
        """Keys of upstream's that the files that were loaded name in vain: dicts with section, key, source, why."""
        return json.loads(self._text("kata_settings_describe", 0))["ignored"]


def domain_xml(settings: Settings, sandbox_id: str, root: StrPath = "/run/kata",
               bundle: Optional[StrPath] = None) -> str:
    """The libvirt domain XML of a sandbox with these settings, of the size and with the network cards for the container
    of a bundle, if one is given; starts nothing."""
    with settings._use() as pointer:  # pylint: disable=protected-access
        if bundle is not None:
            return call_text("kata_domain_xml_for_bundle", pointer, sandbox_id.encode(), to_bytes(root), to_bytes(bundle),
                             0)
        return call_text("kata_domain_xml", pointer, sandbox_id.encode(), to_bytes(root), 0)
