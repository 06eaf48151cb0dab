# SPDX-License-Identifier: LGPL-2.1-or-later
"""Documents of the OCI runtime specification."""
from __future__ import annotations

from typing import Any, Dict

from ._library import call_json

__all__ = ["oci_features", "oci_spec"]

OCI_SPEC_ROOTLESS = 1 << 0


def oci_features() -> Dict[str, Any]:
    """What containers in guests can have, as the specification's "Features Structure" has it."""
    return call_json("kata_oci_features", 0)


def oci_spec(rootless: bool = False) -> Dict[str, Any]:
    """A config.json to begin with: a shell on a terminal, in the read-only root file system "rootfs". rootless: for a user
    without rights on the host."""
    return call_json("kata_oci_spec", OCI_SPEC_ROOTLESS if rootless else 0)
