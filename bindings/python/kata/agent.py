# SPDX-License-Identifier: LGPL-2.1-or-later
"""Agent client: speaks to any Kata agent."""
from __future__ import annotations

import json
from typing import Any, Dict, Iterator, Mapping, NamedTuple, Optional

from ._library import Handle, byref, c_void_p, call, call_json, function, take_text, to_ms, to_patience

__all__ = ["Agent", "AgentMethod", "agent_methods", "describe_message", "message_template"]


class AgentMethod(NamedTuple):
    """One method of the agent protocol."""

    name: str
    request_type: str
    reply_type: str


class Agent(Handle):
    """A connection to an agent at vsock://CID:PORT, unix:///PATH or hvsock:///PATH:PORT. Not to be used after fork().

    timeout: seconds to try; 0: once.
    """

    _release = "kata_agent_unref"

    def __init__(self, address: str, timeout: float = 0) -> None:
        super().__init__(call("kata_agent_connect", address.encode(), to_patience(timeout), 0))

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, *unused: Any) -> None:
        self.close()

    def call(self, method: str, request: Optional[Mapping[str, Any]] = None,
             timeout: Optional[float] = None) -> Dict[str, Any]:
        """One call, such as ("AgentService.GetGuestDetails", {"memBlockSize": True}), in protobuf's JSON mapping."""
        reply = c_void_p()
        self._call("kata_agent_call", method.encode(), json.dumps(request or {}).encode(), to_ms(timeout), 0,
                   byref(reply))
        return json.loads(take_text(reply.value))


def agent_methods() -> Iterator[AgentMethod]:
    """The methods of AgentService and of Health."""
    method = function("kata_agent_method_next")(None)
    while method:
        yield AgentMethod(*(function(name)(method).decode() for name in (
            "kata_agent_method_get_name", "kata_agent_method_get_request_type", "kata_agent_method_get_reply_type")))
        method = function("kata_agent_method_next")(method)


def describe_message(type: str) -> Dict[str, Any]:  # pylint: disable=redefined-builtin
    """The fields of a message, such as "grpc.Storage"."""
    return call_json("kata_agent_describe_message", type.encode(), 0)


def message_template(type: str) -> Dict[str, Any]:  # pylint: disable=redefined-builtin
    """A message with all its members at their defaults."""
    return call_json("kata_agent_make_template", type.encode(), 0)
