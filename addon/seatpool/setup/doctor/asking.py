"""Asks a proxy as its clients do: for its own host, in the clear, inside TLS, and over a WebSocket.

Standard library only, and no credential but the one that is in the proxy's address.
"""

import base64
import hashlib
import http.client
import json
import os
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from seatpool.setup.address import Address

TIMEOUT_S = 5.0
_ACCEPTED = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE = 0x81, 0x88
LONGEST = 1 << 16


class Unanswered(Exception):
    """The text is what came in place of an answer, in one line."""


class Told(msgspec.Struct, frozen=True):
    """What came of asking a proxy what it is."""

    told: dict[str, Any] | None = None
    """Set where it is ours."""
    nobody: bool = False
    """Nothing listens there."""
    password: bool = False
    """It asks for one, or for another one."""
    words: str = ""
    """Of what is there instead."""


class Proxy(msgspec.Struct, frozen=True):
    """A proxy, and the host that it answers itself where it is ours."""

    address: Address
    host: str

    def about(self) -> Told:
        """What it is. In the clear: nothing has to be trusted for it."""
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", f"http://{self.host}/about", headers=self._login)
            answer = connection.getresponse()
            if answer.status == http.client.PROXY_AUTHENTICATION_REQUIRED:
                return Told(password=True)
            told = json.loads(answer.read(LONGEST))
            if not isinstance(told, dict) or told.get("program") != "seatpool":
                return Told(words="it answers with something else")
            return Told(told)
        except ConnectionRefusedError:
            return Told(nobody=True)
        except TimeoutError:
            return Told(words=f"it does not answer within {TIMEOUT_S:g} s")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Told(words=f"it does not answer as a proxy of ours would ({type(error).__name__})")
        finally:
            connection.close()

    def page(self, path: str, context: ssl.SSLContext) -> tuple[str, str]:
        """What stands there, and the version of TLS. Raises `Unanswered`, `ssl.SSLError`, `OSError`."""
        with self._tunnel(context) as connection:
            version = connection.sock.version() or "TLS"
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(LONGEST).decode(errors="replace")
            if answer.status != http.client.OK:
                raise Unanswered(f"it answers with {answer.status} {answer.reason}")
            return body, version

    def leaf(self) -> bytes:
        """The certificate that it shows, whoever made it. Raises like `page`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is looked at, and nothing is sent
        with self._tunnel(context) as connection:
            return connection.sock.getpeercert(binary_form=True) or b""

    def echo(self, words: str, context: ssl.SSLContext) -> str:
        """What comes back of a message over a WebSocket. Raises like `page`."""
        with self._tunnel(context) as connection:
            key = base64.b64encode(os.urandom(16)).decode()
            upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
            connection.request("GET", "/echo", headers={**upgrade, "Sec-WebSocket-Key": key})
            socket = connection.sock
            answer = connection.getresponse()
            if answer.status != http.client.SWITCHING_PROTOCOLS:
                raise Unanswered(f"the upgrade is answered with {answer.status} {answer.reason}")
            proof = base64.b64encode(hashlib.sha1(f"{key}{_ACCEPTED}".encode()).digest()).decode()  # noqa: S324 # RFC 6455
            if answer.headers["Sec-WebSocket-Accept"] != proof:
                raise Unanswered("the upgrade is accepted with a wrong proof")
            socket.sendall(_frame(_TEXT, words.encode()))
            said = _message(socket)
            socket.sendall(_frame(_CLOSE, struct.pack("!H", 1000)))
            return said.decode(errors="replace")

    @property
    def _login(self) -> dict[str, str]:
        parts = urlsplit(self.address.url)
        if parts.username is None:
            return {}
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}

    @contextmanager
    def _tunnel(self, context: ssl.SSLContext) -> Iterator[Any]:
        connection = http.client.HTTPSConnection(
            self.address.host, self.address.port, timeout=TIMEOUT_S, context=context
        )
        connection.set_tunnel(self.host, 443, self._login)
        try:
            connection.connect()
            yield connection
        except http.client.HTTPException as error:
            raise Unanswered(f"it does not answer as a proxy would ({type(error).__name__})") from error
        finally:
            connection.close()


def _frame(kind: int, payload: bytes) -> bytes:
    """One whole message of a client, masked as RFC 6455 wants it; up to 125 bytes."""
    mask = os.urandom(4)
    return bytes((kind, 0x80 | len(payload))) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def _message(socket: ssl.SSLSocket) -> bytes:
    """One whole message of a server, up to 125 bytes."""
    head = _exactly(socket, 2)
    if head[0] != _TEXT or head[1] > 125:
        raise Unanswered("something else comes back")
    return _exactly(socket, head[1])


def _exactly(socket: ssl.SSLSocket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = socket.recv(count - len(data))
        if not piece:
            raise Unanswered("the connection is closed before the message comes back")
        data += piece
    return data
