"""A WebSocket after its handshake."""

import asyncio

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import Extension
from wsproto.utilities import LocalProtocolError, RemoteProtocolError


class Socket:
    """Messages in a queue, frames out at once."""

    def __init__(self, transport: asyncio.Transport, extensions: list[Extension]) -> None:
        self.close_code: int | None = None
        """The code that the client closed with."""
        self.pings: list[str] = []
        """The client's; they are answered at once."""
        self.pongs: list[str] = []
        self._transport = transport
        self._protocol = Connection(ConnectionType.SERVER, extensions)
        self._messages: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._text: list[str] = []
        self._bytes = bytearray()

    async def receive(self) -> str | bytes | None:
        """The next message; None once the client has closed."""
        return await self._messages.get()

    async def send(self, text: str) -> None:
        """Send a text message."""
        if self._transport.is_closing():
            raise asyncio.CancelledError  # the client is gone, and we heard of it before our task did
        try:
            self._transport.write(self._protocol.send(TextMessage(data=text)))
        except LocalProtocolError:
            return  # closed by the client meanwhile; the queue says so

    def ping(self, payload: bytes) -> None:
        """Ask for a sign of life."""
        self._transport.write(self._protocol.send(Ping(payload=payload)))

    def garble(self) -> None:
        """Send a frame of a kind that does not exist."""
        self._transport.write(b"\x8b\x00")

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code. The client's own close ends the connection."""
        self._transport.write(self._protocol.send(CloseConnection(code=code, reason=reason)))

    def feed(self, data: bytes) -> None:
        """Bytes from the client."""
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                self._handle(event)
        except RemoteProtocolError:
            self._transport.close()

    def _handle(self, event: object) -> None:
        match event:
            case TextMessage():
                self._text.append(event.data)
                if event.message_finished:
                    self._messages.put_nowait("".join(self._text))
                    self._text.clear()
            case BytesMessage():
                self._bytes += event.data
                if event.message_finished:
                    self._messages.put_nowait(bytes(self._bytes))
                    self._bytes.clear()
            case Pong():
                self.pongs.append(bytes(event.payload).decode("ascii", "replace"))
            case Ping():
                self.pings.append(bytes(event.payload).decode("ascii", "replace"))
                self._transport.write(self._protocol.send(event.response()))
            case CloseConnection():
                self.close_code = event.code
                try:
                    self._transport.write(self._protocol.send(event.response()))
                except LocalProtocolError:
                    pass  # it answers our own close
                self._messages.put_nowait(None)
