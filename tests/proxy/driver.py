"""Drives a layer by hand: events in, commands carried out, no sockets. Upstreams and the client speak through `h2`."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
from mitmproxy import http, options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, Connection, ConnectionState, Server
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, context, events, layer
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import HttpEvent, RequestEndOfMessage, RequestHeaders
from mitmproxy.proxy.layers.http._http1 import Http1Client
from mitmproxy.proxy.mode_specs import ProxyMode

Handler = Callable[[http.HTTPFlow], None]


def make_context(host: str = "chatgpt.com") -> context.Context:
    """A client that speaks HTTP/2 inside TLS to chatgpt.com, and one upstream connection that is open already."""
    opts = options.Options()
    Proxyserver().load(opts)  # type: ignore[no-untyped-call] # options take declarations as a loader does
    opts.update(http2_ping_keepalive=0)  # no timers but ours
    client = Client(
        peername=("127.0.0.1", 51234),
        sockname=("127.0.0.1", 8080),
        timestamp_start=0.0,
        state=ConnectionState.OPEN,
        proxy_mode=ProxyMode.parse("regular"),
    )
    client.tls = True
    client.alpn = b"h2"
    client.sni = "chatgpt.com"
    ctx = context.Context(client, opts)
    ctx.server = upstream((host, 443))
    return ctx


def upstream(address: tuple[str, int]) -> Server:
    """An upstream connection that is open, with TLS done and HTTP/2 agreed on."""
    server = Server(address=address)
    server.state = ConnectionState.OPEN
    server.tls = True
    server.sni = "chatgpt.com"
    server.alpn = b"h2"
    server.timestamp_tcp_setup = 1.0
    return server


class Driver:
    """Carries a layer's commands out. Hooks are answered by `handlers`, at once or when `finish_hook` says."""

    def __init__(self, top: layer.Layer, handlers: dict[str, Handler] | None = None) -> None:
        self.top = top
        self.handlers = handlers or {}
        self.held: set[str] = set()
        """Hooks that are left unanswered until `finish_hook`."""
        self.waiting: list[commands.StartHook] = []
        self.hooks: list[str] = []
        self.noted: list[str] = []
        """Lines for the log."""
        self.closed: list[Connection] = []
        self.timers: list[commands.RequestWakeup] = []
        """Those that run."""
        self.openings: list[str | None] = []
        """How the next connections open: an error, or None for well."""
        self.unopened: list[commands.OpenConnection] | None = None
        """A list: connections are left unopened, and stand here."""
        self.sinks: dict[Connection, Callable[[bytes], None]] = {}
        self._queue: deque[events.Event] = deque()
        self._busy = False

    def feed(self, event: events.Event) -> None:
        """Let the layer handle an event, and everything that follows from it."""
        self._queue.append(event)
        if self._busy:
            return
        self._busy = True
        while self._queue:
            for command in self.top.handle_event(self._queue.popleft()):
                self._carry_out(command)
        self._busy = False

    def finish_hook(self) -> None:
        """Answer the oldest held hook."""
        hook = self.waiting.pop(0)
        self._answer(hook)

    def fire(self) -> None:
        """The oldest timer is over."""
        self.feed(events.Wakeup(self.timers.pop(0)))

    def _open(self, command: commands.OpenConnection) -> None:
        if self.unopened is not None:
            self.unopened.append(command)
            return
        if not self.openings:
            raise AssertionError(f"no new connection was expected: {command.connection.address}")
        error = self.openings.pop(0)
        command.connection.error = error
        command.connection.state = ConnectionState.CLOSED if error else ConnectionState.OPEN
        self.sinks.setdefault(command.connection, lambda data: None)
        self.feed(events.OpenConnectionCompleted(command, error))

    def _carry_out(self, command: commands.Command) -> None:
        match command:
            case commands.Log():
                self.noted.append(command.message)
            case commands.SendData():
                self.sinks[command.connection](command.data)
            case commands.CloseConnection():
                self.closed.append(command.connection)
                command.connection.state = ConnectionState.CLOSED
            case commands.StartHook():
                self.hooks.append(command.name)
                if command.name in self.held:
                    self.waiting.append(command)
                else:
                    self._answer(command)
            case commands.RequestWakeup():
                self.timers.append(command)
            case commands.OpenConnection():
                self._open(command)

    def _answer(self, hook: commands.StartHook) -> None:
        handler = self.handlers.get(hook.name)
        if handler is not None:
            handler(*hook.args())
        self.feed(events.HookCompleted(hook))


class Peer:
    """One end of an HTTP/2 connection, on the far side of the layer."""

    def __init__(self, driver: Driver, connection: Connection, *, client_side: bool) -> None:
        self.driver = driver
        self.connection = connection
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=client_side, header_encoding="utf-8")
        )
        self.events: list[h2.events.Event] = []
        driver.sinks[connection] = self._receive
        self.h2.initiate_connection()

    def start(self) -> None:
        """Send the preface."""
        self.flush()

    def flush(self) -> None:
        """Hand what h2 wants to send to the layer."""
        data = self.h2.data_to_send()
        if data:
            self.driver.feed(events.DataReceived(self.connection, data))

    @property
    def bodies(self) -> dict[int, bytes]:
        """What came, by stream id."""
        found: dict[int, bytes] = {}
        for event in self.of(h2.events.DataReceived):
            found[event.stream_id] = found.get(event.stream_id, b"") + event.data
        return found

    def of[E: h2.events.Event](self, kind: type[E]) -> list[E]:
        """The events of a kind, in order."""
        return [e for e in self.events if isinstance(e, kind)]

    def _receive(self, data: bytes) -> None:
        self.events += self.h2.receive_data(data)
        self.flush()


class Http1Upstream:
    """An HTTP/1.1 connection with a request on it, whose answer is read by mitmproxy's reader, changed by `wraps`."""

    def __init__(self, *wraps: Callable[[Http1Client], None]) -> None:
        ctx = make_context()
        ctx.server.alpn = b"http/1.1"
        self.connection = ctx.server
        self.reader = Http1Client(ctx)
        assert not list(self.reader.handle_event(events.Start()))
        for wrap in wraps:  # as in the layer: of a connection that was just opened
            wrap(self.reader)
        self.ask()

    def ask(self) -> None:
        """Send a request."""
        request = http1.read_request_head([b"POST /x HTTP/1.1", b"host: chatgpt.com"])
        for event in (RequestHeaders(1, request, True), RequestEndOfMessage(1)):
            assert not [c for c in self.reader.handle_event(event) if isinstance(c, ReceiveHttp)]

    def read(self, data: bytes) -> list[HttpEvent]:
        """What the stream is told of one read."""
        return list(self._told(events.DataReceived(self.connection, data)))

    def close(self) -> list[HttpEvent]:
        """The upstream has gone."""
        self.connection.state = ConnectionState.CLOSED
        return list(self._told(events.ConnectionClosed(self.connection)))

    def _told(self, event: events.Event) -> Iterator[HttpEvent]:
        for command in self.reader.handle_event(event):
            if isinstance(command, ReceiveHttp):
                yield command.event
            else:
                assert isinstance(command, commands.CloseConnection)


def fields(event: Any) -> dict[str, str]:
    """The headers of an h2 event."""
    return dict(event.headers)
