# SPDX-License-Identifier: LGPL-2.1-or-later
"""libkata for Python: containers that each run in their own lightweight virtual machine.

    import kata

    with kata.Context() as ctx, ctx.create_sandbox("demo") as sandbox:
        code, out, err = sandbox.run("/path/to/bundle")
"""
from . import errors
from ._library import has_feature, version
from .agent import *
from .container import *
from .context import *
from .errors import *
from .events import *
from .oci import *
from .process import *
from .sandbox import *
from .settings import *
from .streams import PIPE, Completed

__all__ = (["PIPE", "Completed", "has_feature", "version"] + agent.__all__ + container.__all__ + context.__all__ + errors.__all__
           + events.__all__ + oci.__all__ + process.__all__ + sandbox.__all__ + settings.__all__)
