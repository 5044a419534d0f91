"""A WebSocket client with permessage-deflate, as Codex and the Copilot CLI are."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Self

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import RemoteProtocolError

_TERMINAL = frozenset({"response.completed", "response.failed", "response.incomplete", "error"})


class HandshakeRefused(Exception):
    """The upgrade was answered with something else than 101."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.headers = headers
        self.body = body


class Dropped(Exception):
    """The connection ended without a close frame."""


class WebSocketClient:
    """An open socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.headers: dict[str, str] = {}
        """Headers of the 101, by lower-case name."""
        self.close_code: int | None = None
        self.pings: list[bytes] = []
        """The server's; they are answered at once."""
        self.pongs: list[bytes] = []
        self._reader = reader
        self._writer = writer
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._refusal: tuple[int, dict[str, str]] | None = None
        self._refusal_body = b""
        self._messages: list[tuple[float, str]] = []
        self._text = ""
        self._accepted = False
        self._refused = False

    async def handshake(self, host: str, path: str, headers: Mapping[str, str] | None) -> Self:
        """Ask for the upgrade."""
        extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        request = Request(host=host, target=path, extensions=[PerMessageDeflate()], extra_headers=extra)
        self._writer.write(self._protocol.send(request))
        try:
            while not self._accepted:
                await self._read()
                if self._refusal is not None and self._refused:
                    raise HandshakeRefused(*self._refusal, self._refusal_body)
        except BaseException:
            self.abort()
            raise
        return self

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send one message as JSON."""
        self._writer.write(self._protocol.send(TextMessage(data=json.dumps(message))))
        await self._writer.drain()

    async def receive(self) -> tuple[float, dict[str, Any]] | None:
        """The next message and when it came; None once the server has closed. `Dropped` when it just went away."""
        while not self._messages:
            if self.close_code is not None:
                return None
            await self._read()
        at, text = self._messages.pop(0)
        return at, json.loads(text)

    async def receive_text(self) -> str | None:
        """The same for a message that may be anything, as it came."""
        while not self._messages and self.close_code is None:
            await self._read()
        return self._messages.pop(0)[1] if self._messages else None

    async def ping(self, payload: bytes) -> None:
        """Ask for a sign of life."""
        self._writer.write(self._protocol.send(Ping(payload=payload)))
        await self._writer.drain()

    async def pong(self) -> None:
        """Wait until there has been one."""
        while not self.pongs:
            await self._read()

    async def turn(self, message: Mapping[str, Any]) -> list[tuple[float, dict[str, Any]]]:
        """Send a message and gather what comes, up to the terminal event, an error or the close."""
        await self.send(message)
        events = []
        while (received := await self.receive()) is not None:
            events.append(received)
            if received[1].get("type") in _TERMINAL:
                break
        return events

    async def close(self, code: int = 1000) -> None:
        """Close with a handshake and hang up."""
        if self.close_code is None:
            self._writer.write(self._protocol.send(CloseConnection(code=code)))
            await self._writer.drain()
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass  # the other side was faster

    def abort(self) -> None:
        """Drop the connection without a word, as Codex does at its end."""
        self._writer.transport.abort()

    async def _read(self) -> None:
        try:
            data = await self._reader.read(1 << 16)
        except OSError as error:
            raise Dropped(type(error).__name__) from None
        if not data:
            raise Dropped("connection closed")
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                self._handle(event)
        except RemoteProtocolError as error:
            raise Dropped(type(error).__name__) from None

    def _handle(self, event: object) -> None:
        match event:
            case AcceptConnection():
                self._accepted = True
                self.headers = _plain(event.extra_headers)
            case RejectConnection():
                self._refusal = (event.status_code, _plain(event.headers))
                self._refused = not event.has_body
            case RejectData():
                self._refusal_body += event.data
                self._refused = event.body_finished
            case TextMessage():
                self._text += event.data
                if event.message_finished:
                    self._messages.append((time.time(), self._text))
                    self._text = ""
            case Pong():
                self.pongs.append(bytes(event.payload))
            case Ping():
                self.pings.append(bytes(event.payload))
                self._writer.write(self._protocol.send(event.response()))
            case CloseConnection():
                self.close_code = event.code


def _plain(fields: Any) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in fields}
