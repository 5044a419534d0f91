"""Clients that look at every byte they get, and write down how it went."""

import asyncio
import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from h2.exceptions import ProtocolError
from scripts.soaking.stage import Stage
from scripts.soaking.world import DELTAS, SIZE
from wsproto.utilities import LocalProtocolError

from tests.e2e.conftest import CODEX_BODY, CODEX_PATH, codex_headers
from tests.e2e.test_copilot import CHAT, HOST, editor_headers
from tests.harness import BrokenOff, HandshakeRefused, Incoming, TunnelRefused, WebSocketClient
from tests.harness.websocket_client import Dropped

TAG = "x-soak"
"""A header by which the fakes' journal finds a request again."""
CREATE = {"type": "response.create", "model": "gpt-x", "input": [{"type": "message"}]}
ELSEWHERE = "websocket_connection_limit_reached"
"""The word at which Codex repeats its turn on another socket, and says nothing of it (codex.md 5)."""
ENDS = {"response.completed", "response.failed", "error"}
PATIENCE_S = 45.0
TURNS = 5
"""On one socket; and requests on one connection of HTTP/1.1."""
AFRESH = 5
"""Sockets that a turn opens at most, each when the one before sent it elsewhere (`stream_max_retries`, codex.md 6)."""
AT_ONCE = 3
"""Streams on one connection of HTTP/2."""
_LAST = (b'"response.completed"', b"[DONE]")
_BROKEN = (
    OSError,  # and with it TimeoutError
    asyncio.IncompleteReadError,
    BrokenOff,
    Dropped,
    HandshakeRefused,
    LocalProtocolError,  # to be sent on what is closed already
    ProtocolError,
    TunnelRefused,
)


class Wrong(Exception):
    """An answer that is none; the text says why."""


@dataclass(slots=True)
class Asked:
    """One request, or one turn."""

    tag: str
    kind: str
    proxy: int
    client: str
    began: float
    ended: float = 0.0
    failed: str | None = None
    """Why; None when all was well."""
    altered: bool = False
    """It failed since bytes came that the fakes have never sent: no fault explains that."""
    number: int | None = None
    """Of the fakes' journal entry."""
    via: str = ""
    """Tag of the request by which the fakes know it: a turn's is the one that opened its socket."""
    digest: str = ""
    """SHA-256 of the body."""


@dataclass(slots=True)
class Clients:
    """All of them, and what they have asked."""

    stage: Stage
    pause_s: float
    asked: list[Asked] = field(default_factory=list)
    stopping: bool = False
    _numbers: Any = field(default_factory=itertools.count)

    async def run(self) -> None:
        """Ask until told to stop; then end what is under way."""
        kinds = {"http1": self._http1, "http2": self._http2, "socket": self._socket, "copilot": self._copilot}
        async with asyncio.TaskGroup() as group:
            for number in range(len(self.stage.proxies)):
                for kind, work in kinds.items():
                    group.create_task(self._go_on(kind, number, work))

    async def _go_on(self, kind: str, proxy: int, work: Callable[[str, int], Any]) -> None:
        while not self.stopping:
            try:
                await work(kind, proxy)
            except (*_BROKEN, Wrong):
                await asyncio.sleep(max(0.5, self.pause_s))  # it is written down; a person would try again

    @asynccontextmanager
    async def _asking(self, kind: str, proxy: int) -> AsyncIterator[Asked]:
        """One request or turn: what comes out of the block is how it went."""
        tag = f"{kind}-{proxy}-{next(self._numbers)}"
        asked = Asked(tag, kind, proxy, f"soak-{kind}-{proxy}", time.time(), via=tag)
        self.asked.append(asked)
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield asked
        except Wrong as wrong:
            asked.failed, asked.altered = str(wrong), True
            raise
        except _BROKEN as error:
            asked.failed = f"{type(error).__name__}: {error}".removesuffix(": ")[:120]
            raise
        except BaseException:
            self.asked.remove(asked)  # we were told to end
            raise
        finally:
            asked.ended = time.time()

    async def _http1(self, kind: str, proxy: int) -> None:
        client = None
        try:
            for _ in range(TURNS):
                async with self._asking(kind, proxy) as asked:
                    client = client or await (await self.stage.network(proxy)).http1("chatgpt.com")
                    await _stream(asked, await client.send("POST", CODEX_PATH, _codex(asked), CODEX_BODY))
                await asyncio.sleep(self.pause_s)
                if self.stopping:
                    return
        finally:
            if client is not None:
                await client.close()

    async def _http2(self, kind: str, proxy: int) -> None:
        await self._streams(kind, proxy, "chatgpt.com", CODEX_PATH, CODEX_BODY, _codex)

    async def _copilot(self, kind: str, proxy: int) -> None:
        await self._streams(kind, proxy, HOST, "/chat/completions", CHAT, _copilot)

    async def _streams(
        self, kind: str, proxy: int, host: str, path: str, body: bytes, headers: Callable[[Asked], dict[str, str]]
    ) -> None:
        client = None
        lock = asyncio.Lock()

        async def one() -> None:
            nonlocal client
            async with self._asking(kind, proxy) as asked:
                async with lock:
                    client = client or await (await self.stage.network(proxy)).http2(host)
                await _stream(asked, await client.send("POST", path, headers(asked), body))

        try:
            for _ in range(TURNS):
                results = await asyncio.gather(*(one() for _ in range(AT_ONCE)), return_exceptions=True)
                for result in results:
                    if isinstance(result, BaseException):
                        raise result
                await asyncio.sleep(self.pause_s)
                if self.stopping:
                    return
        finally:
            if client is not None:
                await client.close()

    async def _socket(self, kind: str, proxy: int) -> None:
        socket: WebSocketClient | None = None
        opener = ""
        try:
            for _ in range(TURNS):
                async with self._asking(kind, proxy) as asked:
                    before, socket = socket, await self._turn(socket, asked)
                    opener = asked.via = opener if socket is before else asked.tag
                await asyncio.sleep(self.pause_s)
                if self.stopping:
                    break
        finally:
            if socket is not None:
                socket.abort()

    async def _turn(self, socket: WebSocketClient | None, asked: Asked) -> WebSocketClient:
        """As Codex does it: on another socket when this one was closed while it idled, or sends it elsewhere."""
        if socket is not None:
            events = await _events(socket)
            if events and not _sent_elsewhere(events):
                _ended_well(events)
                return socket
            socket.abort()
        for _ in range(AFRESH):
            network = await self.stage.network(asked.proxy)  # which is one connection
            socket = await network.websocket("chatgpt.com", CODEX_PATH, _codex(asked))
            events = await _events(socket)
            if not _sent_elsewhere(events):
                break
            socket.abort()
        _ended_well(events)
        return socket


async def _events(socket: WebSocketClient) -> list[dict[str, Any]]:
    """Of a turn; none where the socket was closed before any came."""
    events: list[dict[str, Any]] = []
    try:
        await socket.send(CREATE)
        while (received := await socket.receive()) is not None:
            events.append(received[1])
            if received[1].get("type") in ENDS:
                break
    except (OSError, Dropped, LocalProtocolError):
        if events:
            raise
    return events


def _codex(asked: Asked) -> dict[str, str]:
    return codex_headers(asked.tag, originator=asked.client, x_soak=asked.tag)


def _copilot(asked: Asked) -> dict[str, str]:
    return editor_headers(x_soak=asked.tag) | {"editor-version": f"{asked.client}/1.0"}


async def _stream(asked: Asked, incoming: Incoming) -> None:
    body = await incoming.body()
    if incoming.status != 200:
        raise BrokenOff(f"{incoming.status} {body[:80].decode(errors='replace')}")
    told = incoming.headers.get("x-oai-request-id") or incoming.headers.get("x-github-request-id") or ""
    number = told.removeprefix("req_").removeprefix("FAKE:")
    if not number.isdecimal():
        raise Wrong(f"an answer that no upstream gave: {body[:120]!r}")
    asked.number = int(number)
    asked.digest = hashlib.sha256(body).hexdigest()
    if not any(last in body for last in _LAST):
        raise BrokenOff("an answer without its end")
    texts = [_delta(json.loads(line[6:])) for line in body.decode().splitlines() if line.startswith("data: {")]
    _check("".join(texts))


def _delta(event: dict[str, Any]) -> str:
    if event.get("type") == "response.output_text.delta":
        return str(event["delta"])
    choices = event.get("choices") or [{}]
    return str(choices[0].get("delta", {}).get("content") or "")


def _sent_elsewhere(events: list[dict[str, Any]]) -> bool:
    """Nothing was said but that."""
    return [(event.get("error") or {}).get("code") for event in events] == [ELSEWHERE]


def _ended_well(events: list[dict[str, Any]]) -> None:
    last = events[-1] if events else {}
    if last.get("type") != "response.completed":
        raise BrokenOff(f"a turn that ends in {last.get('type')} {json.dumps(last.get('error'))[:80]}")
    _check("".join(map(_delta, events)))


def _check(text: str) -> None:
    """All that one account said, in order, and nothing else."""
    who = text.partition("0 ")[0]
    if text != "".join(f"{who}{number} ".ljust(SIZE, ".") for number in range(DELTAS)):
        raise Wrong(f"not what anybody said: {text[:120]!r}")
