"""The listener to which a browser comes back after a sign-in: loopback only, one path, one expected visitor.

Whoever can open a web page on this machine can make a browser come here, so that nothing but the `state` of the
sign-in that waits counts; anything else is answered and forgotten. The rightful visitor's answer is held back until it
is known what came of the sign-in.
"""

import asyncio
import errno
import hmac
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from urllib.parse import parse_qs, parse_qsl, urlsplit

from seatpool.cli.login import callback_page
from seatpool.cli.login.callback_page import Page
from seatpool.providers.codex.signin import Redirect
from seatpool.providers.signin import Callback, Visit

LONGEST_HEAD = 16 * 1024
"""Bytes of a request's head; a browser's with a long code and cookies of other local sites has a few kilobytes."""
HEAD_TIMEOUT_S = 10.0
"""Browsers open connections that they may never use."""
PARTING_S = 2.0
"""How long a held answer may take to reach the browser at the end."""
TAKEN = (
    "ports {} are taken, perhaps by other sign-ins, and ChatGPT lets a browser come back to no others: end those, or: "
    "seatpool login codex --device"
)
KEPT = (
    "Windows keeps ports {} to itself (netsh interface ipv4 show excludedportrange protocol=tcp), or another program"
    " does, and ChatGPT lets a browser come back to no others: seatpool login codex --device"
)
"""Hyper-V, WSL and Docker have it keep ranges of a hundred ports, others at each start of the machine."""
_NO_IPV6 = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class CallbackListener:
    """Use `listening()`."""

    def __init__(self, redirect_uri: str, port: int) -> None:
        self.redirect_uri = redirect_uri
        self.port = port
        self._path = urlsplit(redirect_uri).path
        self._hosts = frozenset(f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]"))
        self._state: bytes | None = None
        self._came: asyncio.Future[Callback] = asyncio.get_running_loop().create_future()
        self._outcome: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self._visits: set[asyncio.Task[None]] = set()
        self._held: set[asyncio.Task[None]] = set()

    async def wait(self, visit: Visit) -> Callback:
        """The query of the browser that comes with the `state` that `visit.url` sent it away with."""
        self._state = parse_qs(urlsplit(visit.url).query)["state"][0].encode()
        return await asyncio.shield(self._came)

    def conclude(self, page: Page) -> None:
        """Show this to the browser that waits, and to whoever reloads; only the first call counts."""
        if not self._outcome.done():
            self._outcome.set_result(page)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        task = asyncio.current_task()
        assert task is not None
        self._visits.add(task)
        try:
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
            page = self._answer(head.decode("latin-1"))
            if page is None:
                self._held.add(task)
                page = await asyncio.shield(self._outcome)
            writer.write(_response(page))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            pass  # it sent nothing, too much or too slowly, or it left: none of that is news to the person
        except asyncio.CancelledError:
            writer.transport.abort()  # and no more: by `part`, and asyncio 3.12 logs a handler that ends as cancelled
        finally:
            writer.close()
            self._visits.discard(task)
            self._held.discard(task)

    async def part(self) -> None:
        """Let held answers reach their browser, then end every connection."""
        self.conclude(callback_page.INTERRUPTED)
        if self._held:
            await asyncio.wait(self._held, timeout=PARTING_S)
        await asyncio.sleep(0)  # who was just accepted begins
        visits = tuple(self._visits)
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits)

    def _answer(self, head: str) -> Page | None:
        """None for the visitor who is waited for: the answer is yet to be known."""
        request_line, *lines = head.split("\r\n")
        match request_line.split(" "):
            case [method, target, "HTTP/1.1" | "HTTP/1.0"]:
                pass
            case _:
                return callback_page.MALFORMED
        fields_sent = (line.partition(":") for line in lines)
        hosts = [value.strip().lower() for name, _, value in fields_sent if name.lower() == "host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return callback_page.NOT_THIS_HOST  # a foreign name that was made to resolve to this machine
        path, _, query = target.partition("?")
        if path != self._path:
            return callback_page.NOT_FOUND
        if method != "GET":
            return callback_page.NOT_GET
        fields = _fields(query)
        if fields is None or not self._expected(fields):
            return callback_page.FORGED
        if not self._came.done():
            self._came.set_result(Callback(fields))
        return None

    def _expected(self, fields: Mapping[str, str]) -> bool:
        return self._state is not None and hmac.compare_digest(fields.get("state", "").encode(), self._state)


@asynccontextmanager
async def listening(redirects: Sequence[Redirect]) -> AsyncIterator[CallbackListener]:
    """Listen for the first of `redirects` that can be had until the block ends. Raises `OSError` where none can."""
    redirect, bound = _first_free(redirects)
    port = bound[0].getsockname()[1]
    listener = CallbackListener(redirect.uri(port), port)
    servers = [await asyncio.start_server(listener.serve, sock=each, limit=LONGEST_HEAD) for each in bound]
    try:
        yield listener
    finally:
        for server in servers:
            server.close()
        await listener.part()


def _first_free(redirects: Sequence[Redirect]) -> tuple[Redirect, list[socket.socket]]:
    barred = 0
    for redirect in redirects:
        try:
            return redirect, _bind(redirect)
        except OSError as error:
            barred += isinstance(error, PermissionError)
    number, told = (errno.EACCES, KEPT) if barred == len(redirects) else (errno.EADDRINUSE, TAKEN)
    raise OSError(number, told.format(" and ".join(str(redirect.port) for redirect in redirects)))


def _bind(redirect: Redirect) -> list[socket.socket]:
    """All its addresses, or none: a browser that is sent to a name comes to whichever it likes best."""
    with ExitStack() as bound:
        sockets: list[socket.socket] = []
        for address in redirect.listen:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                sockets.append(bound.enter_context(socket.create_server((address, redirect.port), family=family)))
            except OSError as error:
                if not sockets or error.errno not in _NO_IPV6:
                    raise
        bound.pop_all()
        return sockets


def _fields(query: str) -> Mapping[str, str] | None:
    """The fields of a query; None where one comes twice (RFC 6749, 3.1) or there are absurdly many."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return None
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else None


def _response(page: Page) -> bytes:
    body = page.html()
    fields = (*callback_page.HEADERS, ("content-length", str(len(body))))
    head = f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields)
    return head.encode() + b"\r\n" + body
