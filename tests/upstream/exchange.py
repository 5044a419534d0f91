"""One request being answered: what the routes of both providers have in common."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from tests.upstream import tokens
from tests.upstream.dialogue import Event, Script, sse
from tests.upstream.hosts import Site
from tests.upstream.journal import Entry, Journal, Progress
from tests.upstream.refusals import refuse
from tests.upstream.websocket import Socket
from tests.upstream.wire import READ_S, Reply, Request
from tests.upstream.world import BREAKS, Behaviour, FakeAccount, World

_JSON = ("content-type", "application/json")


@dataclass(frozen=True, slots=True)
class Route:
    """A path that a fake knows."""

    name: str
    method: str
    path: str
    """A regular expression for the whole path; its first group names the model, where it has one."""
    serve: Callable[["Exchange"], Awaitable[None]]
    sites: frozenset[Site]
    auth: frozenset[str] = frozenset()
    """Kinds of credential that open it; empty: open to all."""


@dataclass(slots=True)
class Facts:
    """What a request's body says."""

    body: dict[str, Any] = field(default_factory=dict)
    model: str | None = None
    stream: bool | None = None
    items: int | None = None


def read_facts(request: Request) -> Facts:
    """The few facts of a JSON body, the fields of a form; none for any other body."""
    if not request.body:
        return Facts()
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return Facts(dict(parse_qsl(request.decoded_body().decode(errors="replace"))))
    try:
        body = json.loads(request.decoded_body())
    except ValueError:
        return Facts()
    if not isinstance(body, dict):
        return Facts()
    items = body.get("input", body.get("messages"))
    return Facts(body, body.get("model"), body.get("stream"), len(items) if isinstance(items, list) else None)


class Exchange:
    """A request, its answer, and whose it is."""

    def __init__(self, world: World, journal: Journal, request: Request, reply: Reply, entry: Entry) -> None:
        self.world = world
        self.journal = journal
        self.request = request
        self.reply = reply
        self.entry = entry
        self.provider = "codex"
        self.owned: tokens.Owned | None = None
        self.account: FakeAccount | None = None
        self.behaviour = Behaviour()
        self.sent = hashlib.sha256()
        """Over the body as far as it was sent."""
        self.answering = True
        """False between the turns of a WebSocket: a client that leaves then misses nothing."""

    @cached_property
    def facts(self) -> Facts:
        """What the body says, read once."""
        return read_facts(self.request)

    @property
    def owner(self) -> FakeAccount:
        """The account of a request whose credential was accepted."""
        assert self.account is not None, "the route has no auth, so nobody is known"
        return self.account

    async def answer(self, status: int, payload: Any, headers: Mapping[str, str] | None = None) -> None:
        """A whole answer: JSON, or a string as it is."""
        plain = isinstance(payload, str)
        body = payload.encode() if plain else json.dumps(payload).encode()
        fields = dict([("content-type", "text/plain") if plain else _JSON, *self._own_headers()])
        fields |= {**(headers or {}), **self.behaviour.headers}
        await self._delay()
        self.entry.status = status
        length = self.behaviour.length
        await self.reply.head(status, list(fields.items()), len(body) if length is None else length)
        self.sent.update(body[: self.behaviour.cut_at][:length])
        await self.reply.data(body[: self.behaviour.cut_at])
        if self.behaviour.cut_at is None:
            await self._end()
        else:
            await self._break(self.reply.cut)

    async def refuse(self, behaviour: Behaviour | None = None, **fields: Any) -> None:
        """A refusal in the provider's words; `fields` make a behaviour on the spot."""
        behaviour = behaviour or Behaviour(**fields)
        refusal = refuse(self.provider, behaviour, self.account)
        self.entry.answer = behaviour.kind
        await self.answer(refusal.status, refusal.body, refusal.headers)

    async def stream(self, script: Script, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Play an answer as server-sent events, or whole where no stream was asked for."""
        behaviour = self.behaviour
        if behaviour.body is not None:
            await self.answer(behaviour.status or 200, behaviour.body, dict(headers))
            return
        if self.facts.stream is False:
            text = "".join(pieces(self.owner.name, behaviour))
            await self.answer(200, script.whole(text), dict(headers))
            return
        await self._delay()
        self.entry.status = 200
        # ChatGPT's backend names no type (openclaw/openclaw issue 91662).
        kind = {} if self.provider == "codex" else {"content-type": "text/event-stream"}
        fields = {**kind, **dict(self._own_headers()), **dict(headers)}
        await self.reply.head(200, list((fields | behaviour.headers).items()))
        verdict = await play(script, behaviour, self.owner.name, self.entry, self._send, self.journal)
        await self._finish(verdict, script)

    async def accept_socket(self, headers: Mapping[str, str] = MappingProxyType({})) -> Socket:
        """Accept a WebSocket handshake."""
        await self._delay()
        self.entry.status = 101
        fields = {**headers, **self.behaviour.headers}
        return await self.reply.websocket(tuple(fields.items()), proof=self.behaviour.accept)

    async def break_off(self, kind: str) -> None:
        """End without an answer."""
        self.entry.answer = kind
        reply = self.reply
        beginnings = {"half_head": reply.half_head, "bad_head": reply.bad_head, "junk": reply.junk}
        if kind in beginnings:
            beginnings[kind]()
            await self._break(reply.close)
        elif kind == "hang":
            await asyncio.Event().wait()  # until the client gives up
        else:
            self.answering = False
            {
                "close": reply.close,
                "reset": reply.reset,
                "goaway": reply.goaway,
                "goaway_late": partial(reply.goaway, taken=True),
                "refused_stream": reply.refuse_stream,
            }[kind]()

    async def _break(self, close: Callable[[], None]) -> None:
        """End what has begun, as the behaviour says; `close` is how this kind of thing is closed."""
        if self.behaviour.end == "hang":
            await asyncio.Event().wait()
        self.answering = False
        if self.behaviour.end == "reset":
            await asyncio.sleep(READ_S)
            close = self.reply.reset
        close()

    def note_facts(self) -> None:
        """Write what the body says into the journal."""
        facts, entry = self.facts, self.entry
        entry.model, entry.stream, entry.input = entry.model or facts.model, facts.stream, facts.items
        entry.tier = facts.body.get("service_tier")
        body = self.request.decoded_body() if self.request.body else b""
        entry.ciphers, entry.items = sorted(tokens.ciphers_in(body)), sorted(tokens.item_ids_in(body))

    async def _data(self, chunk: bytes) -> None:
        self.sent.update(chunk)
        await self.reply.data(chunk)

    async def _send(self, event: Event) -> None:
        data, piece = sse(event), self.behaviour.piece
        if not piece:
            await self._data(data)
            return
        for at in range(0, len(data), piece):
            await self._data(data[at : at + piece])
            await asyncio.sleep(self.behaviour.gap_ms / 1000)

    async def _finish(self, verdict: str, script: Script) -> None:
        if verdict == "stall":
            await asyncio.Event().wait()
        if verdict == "cut":
            await self._break(self.reply.cut)
            return
        if verdict == "leave":
            self.reply.leave()
            rest = script.closing("".join(pieces(self.owner.name, self.behaviour)[: self.behaviour.after]))
            for event in rest:
                await self._send(event)
        if verdict == "failed":
            await self._send(script.failure(str(self.behaviour.code or "server_error")))
        await self._end()

    async def _end(self) -> None:
        self.answering = False
        await self.reply.end()
        if self.behaviour.close_after:
            self.reply.close()

    async def _delay(self) -> None:
        if self.behaviour.delay_ms:
            await asyncio.sleep(self.behaviour.delay_ms / 1000)

    def _own_headers(self) -> list[tuple[str, str]]:
        number = f"{self.entry.n:04d}"
        if self.provider == "codex":
            return [("x-oai-request-id", f"req_{number}")]
        return [("x-github-request-id", f"FAKE:{number}"), ("x-request-id", f"fake-{number}")]


def pieces(name: str, behaviour: Behaviour) -> list[str]:
    """The deltas' texts: `alice0 `, `alice1 `, ..., so that a reader sees whose answer it is, and in which order."""
    return [f"{name}{number} ".ljust(behaviour.size, ".") for number in range(behaviour.deltas)]


async def play(
    script: Script,
    behaviour: Behaviour,
    name: str,
    progress: Progress,
    send: Callable[[Event], Awaitable[None]],
    journal: Journal,
) -> str:
    """Send an answer event by event. Returns `ok`, or the kind of the break that is now due."""
    limit = behaviour.after if behaviour.kind != "ok" else behaviour.deltas
    texts = pieces(name, behaviour)[:limit]
    at_once = behaviour.kind in BREAKS and not texts  # nothing was said yet
    for event in script.opening[:1] if at_once else script.opening:
        await send(event)
    for number, text in enumerate(texts):
        if number and behaviour.gap_ms:
            await asyncio.sleep(behaviour.gap_ms / 1000)
        await send(script.delta(text))
        journal.delta(progress)
    if behaviour.kind != "ok":
        return behaviour.kind if behaviour.kind in BREAKS else "refuse"
    for event in script.closing("".join(texts)):
        await send(event)
    return "ok"
