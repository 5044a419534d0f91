"""Broken doors: addresses of loopback where a connection comes to nothing before a request can be sent.

Each has names below both providers' domains, so that an account can be said to be served there: a Codex account by its
`origin`, a Copilot account by its `plan`.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from pathlib import Path

from tests.upstream.certs import make_certificates
from tests.upstream.http1 import reset_transport


class Door(Enum):
    """What is wrong with it; the value is part of its names."""

    NOWHERE = "nowhere"
    """The name does not resolve."""
    REFUSED = "refused"
    """Nothing listens."""
    SILENT = "silent"
    """No answer to the first packet: a full queue of connections that nobody accepts."""
    MUTE = "mute"
    """Accepts, and says nothing when TLS begins."""
    SLAMMED = "slammed"
    """Resets the connection when TLS begins."""
    PLAIN = "plain"
    """Speaks something else than TLS."""
    STRANGER = "stranger"
    """Shows a certificate that nobody vouches for."""

    @property
    def codex_origin(self) -> str:
        """`workspace_backend_origin` of an account served here."""
        return f"https://{self.value}.chatgpt.com"

    @property
    def copilot_plan(self) -> str:
        """Plan of an account served here."""
        return self.value

    @property
    def names(self) -> tuple[str, str]:
        """Host names that lead here."""
        return f"{self.value}.chatgpt.com", f"api.{self.value}.githubcopilot.com"


ADDRESSES: Mapping[Door, str] = {
    door: f"127.0.0.{number}" for number, door in enumerate(Door, start=2) if door is not Door.NOWHERE
}
NAMES: Mapping[str, str] = {name: address for door, address in ADDRESSES.items() for name in door.names}
"""Every name with its address, for a hosts file."""


class _Guest(asyncio.Protocol):
    """A connection that gets nowhere."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._door is Door.SLAMMED:
            reset_transport(self._transport)
        elif self._door is Door.PLAIN:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


async def open_doors(folder: Path, port: int) -> Callable[[], None]:
    """Serve every door that somebody has to stand behind. Returns what closes them."""
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(partial(_Guest, door), ADDRESSES[door], port)
        for door in (Door.MUTE, Door.SLAMMED, Door.PLAIN)
    ]
    tls = make_certificates(folder / "stranger", tuple(NAMES)).server_context()
    stranger = partial(_Guest, Door.STRANGER)
    servers.append(await loop.create_server(stranger, ADDRESSES[Door.STRANGER], port, ssl=tls))
    held = _full_queue(ADDRESSES[Door.SILENT], port)

    def close() -> None:
        for each in (*servers, *held):
            each.close()

    return close


def _full_queue(address: str, port: int) -> list[socket.socket]:
    """Sockets that, as long as they are open, keep the kernel from answering at this address."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(0)
    held = [listener]
    for _ in range(2):  # one that the queue takes, and one for good measure
        waiting = socket.socket()
        waiting.setblocking(False)
        waiting.connect_ex((address, port))
        held.append(waiting)
    return held
