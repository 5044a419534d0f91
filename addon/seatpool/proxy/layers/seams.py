"""The names of mitmproxy's layers that the replay layer relies on, and whether they are as it needs them.

mitmproxy does not promise to keep them; so they are looked at before the first request.
"""

from collections.abc import Callable, Mapping
from inspect import signature
from types import MappingProxyType
from typing import Any

from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    GetHttpConnectionCompleted,
    HttpLayer,
    HttpStream,
    RegisterHttpConnection,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server
from mitmproxy.proxy.layers.websocket import WebsocketConnection, WebsocketLayer

SEAMS: Mapping[Callable[..., Any], tuple[str, ...]] = MappingProxyType(
    {
        HttpLayer.__init__: ("self", "context", "mode"),
        HttpLayer.make_stream: ("self", "stream_id"),
        HttpLayer.get_connection: ("self", "event", "reuse"),
        HttpLayer.register_connection: ("self", "command"),
        HttpLayer.event_to_child: ("self", "child", "event"),
        HttpStream.__init__: ("self", "context", "stream_id"),
        HttpStream.send_response: ("self", "already_streamed"),
        HttpStream.handle_protocol_error: ("self", "event"),
        HttpStream.make_server_connection: ("self",),
        HttpStream.check_killed: ("self", "emit_error_hook"),
        HttpStream.check_body_size: ("self", "request"),
        HttpStream.check_invalid: ("self", "request"),
        HttpStream.passthrough: ("self", "event"),
        Http1Server.read_headers: ("self", "event"),
        Http1Client.read_headers: ("self", "event"),
        Http1Client.read_body: ("self", "event"),
        Layer._handle_event: ("self", "event"),  # noqa: SLF001 # whose instances `gathering` wraps
        HttpStream.flow_done: ("self",),
        HttpStream.start_request_stream: ("self",),
        HttpStream.start_response_stream: ("self",),
        HttpStream.state_consume_request_body: ("self", "event"),
        HttpStream.state_wait_for_response_headers: ("self", "event"),
        HttpStream.state_consume_response_body: ("self", "event"),
        HttpStream.state_stream_response_body: ("self", "event"),
        GetHttpConnection.__init__: ("self", "address", "tls", "via", "transport_protocol"),
        DropStream.__init__: ("self", "stream_id"),
        GetHttpConnectionCompleted.__init__: ("self", "command", "reply"),
        RegisterHttpConnection.__init__: ("self", "connection", "err"),
        WebsocketLayer.__init__: ("self", "context", "flow"),
        WebsocketLayer.start: ("self", "_"),
        WebsocketLayer.relay_messages: ("self", "event"),
        WebsocketConnection.send2: ("self", "event"),
    }
)
"""What `replay` and its neighbours rely on, with the parameters that they rely on."""


def missing_seams() -> list[str]:
    """What is not as the layer needs it, in words; empty when all is well."""
    wrong = []
    for function, expected in SEAMS.items():
        found = tuple(signature(function).parameters)
        if found != expected:
            wrong.append(f"{function.__qualname__}({', '.join(expected)}) is now ({', '.join(found)})")
    return wrong
