"""What happened at the upstream: one entry for each request, whose tokens appear only as their owners' names."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

from tests.upstream.tokens import read_token
from tests.upstream.wire import Request


@dataclass(slots=True)
class Progress:
    """How far one answer came. Times are Unix time in seconds."""

    answer: str | None = None
    """The behaviour that answered: `ok`, `usage_limit`, `cut`, ...; None while undecided."""
    first_delta: float | None = None
    last_delta: float | None = None
    deltas: int = 0
    gone: bool = False
    """The client went away before the answer was complete."""


@dataclass(slots=True)
class Turn(Progress):
    """One `response.create` that came over a WebSocket."""

    time: float = field(default_factory=time.time)
    type: str = ""
    model: str | None = None
    previous_response_id: bool = False
    known_previous: bool = False
    """The previous response was this very connection's."""
    size: int = 0
    """Of the message."""
    input: int = 0
    """How many input items."""
    generate: bool = True
    tier: Any = None
    """The `service_tier`."""
    turn_state: str | None = None
    """Owner of the turn-state in `client_metadata`; `unknown` for a foreign one."""
    metadata: str | None = None
    """The `x-codex-turn-metadata` in `client_metadata`."""
    ciphers: list[str] = field(default_factory=list)
    """Owners of the encrypted reasoning in the input."""
    items: list[str] = field(default_factory=list)
    """Owners of the item ids in it."""


@dataclass(slots=True)
class Entry(Progress):
    """One request."""

    n: int = 0
    time: float = field(default_factory=time.time)
    connection: int = 0
    nth: int = 0
    """Which request of its connection, from 1."""
    http: str = ""
    sni: str | None = None
    host: str = ""
    method: str = ""
    path: str = ""
    """The request target, with its query."""
    route: str = ""
    websocket: bool = False
    account: str | None = None
    """Whose credential it carried: a name, `unknown`, or None when it carried none."""
    kind: str | None = None
    """What kind of credential: `codex`, `github`, `copilot`, `refresh`."""
    generation: int | None = None
    """Which renewal of it: grows with every refresh or exchange."""
    account_id: str | None = None
    """The `chatgpt-account-id` header."""
    session: str | None = None
    """Owner of the `copilot-session-token`."""
    turn_state: str | None = None
    """Owner of the `x-codex-turn-state`."""
    ciphers: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    """Owners of the Responses item ids."""
    model: str | None = None
    stream: bool | None = None
    tier: Any = None
    """The `service_tier`."""
    input: int | None = None
    """How many input items or messages the body has."""
    headers: list[list[str]] = field(default_factory=list)
    """Every header as it came, in order, with secrets replaced by `<owner>`."""
    body_sha256: str = ""
    body_length: int = 0
    status: int | None = None
    sent_sha256: str = ""
    """Over the answer's body as far as it was sent, once it is over."""
    done: float | None = None
    close_code: int | None = None
    """With which code the client closed its WebSocket."""
    pings: list[str] = field(default_factory=list)
    pongs: list[str] = field(default_factory=list)
    """What came of either on it."""
    turns: list[Turn] = field(default_factory=list)


_SECRET = {"copilot-session-token", "x-codex-turn-state", "cookie", "proxy-authorization"}


def owner(token: str) -> str:
    """The name behind a token, or `unknown`."""
    owned = read_token(token)
    return owned.owner if owned else "unknown"


def describe(request: Request, number: int) -> Entry:
    """A new entry with what the request itself tells."""
    headers = request.headers
    return Entry(
        n=number,
        connection=request.connection.number,
        nth=request.nth,
        http=request.http,
        sni=request.connection.sni,
        host=request.host,
        method=request.method,
        path=request.target,
        websocket=request.upgrade,
        account_id=headers.get("chatgpt-account-id"),
        session=_owner_or_none(headers.get("copilot-session-token")),
        turn_state=_owner_or_none(headers.get("x-codex-turn-state")),
        headers=[[name, _redacted(name.lower(), value)] for name, value in request.fields],
        body_sha256=hashlib.sha256(request.body).hexdigest(),
        body_length=len(request.body),
    )


def _owner_or_none(token: str | None) -> str | None:
    return None if token is None else owner(token)


def _redacted(name: str, value: str) -> str:
    if name == "authorization":
        scheme, _, token = value.partition(" ")
        return f"{scheme} <{owner(token)}>"
    return f"<{owner(value)}>" if name in _SECRET else value


class Journal:
    """Keeps every entry in memory and writes each finished one as a line of JSON."""

    def __init__(self, file: TextIO | None = None, *, quiet: bool = False) -> None:
        self.entries: list[Entry] = []
        self._file = file
        self._quiet = quiet
        self.number = 0
        """Of the last entry."""
        self._waiters: set[asyncio.Future[None]] = set()

    def open(self, request: Request) -> Entry:
        """Start the entry of a request; a quiet journal keeps none, for benchmarks."""
        self.number += 1
        entry = describe(request, self.number)
        if not self._quiet:
            self.entries.append(entry)
        self.changed()
        return entry

    def finish(self, entry: Entry) -> None:
        """The request is over."""
        entry.done = time.time()
        if self._file is not None and not self._quiet:
            print(json.dumps(asdict(entry)), file=self._file, flush=True)
        self.changed()

    def changed(self) -> None:
        """Wake whoever waits for news."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def delta(self, progress: Progress) -> None:
        """Note that one more delta was sent."""
        progress.last_delta = time.time()
        progress.first_delta = progress.first_delta or progress.last_delta
        progress.deltas += 1
        self.changed()

    def select(self, match: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Entries that match, as plain values; see `matches`."""
        found = (asdict(entry) for entry in self.entries)
        return [entry for entry in found if matches(entry, match)]

    async def wait(self, match: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
        """The matching entries, once there are at least `count`."""
        while len(found := self.select(match)) < count:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            await waiter
        return found


def matches(entry: Mapping[str, Any], match: Mapping[str, Any]) -> bool:
    """Whether an entry has all these values.

    A plain key asks for equality; `done=True` asks for a value that is set; `deltas__ge=2` for at least two, and
    `turns__ge=1` for at least one element.
    """
    return all(_holds(entry, key, wanted) for key, wanted in match.items())


def _holds(entry: Mapping[str, Any], key: str, wanted: Any) -> bool:
    name, _, operator = key.partition("__")
    value = entry[name]
    if operator == "ge":
        return bool((len(value) if isinstance(value, list) else value) >= wanted)
    if name in ("done", "first_delta") and isinstance(wanted, bool):
        return (value is not None) is wanted
    return bool(value == wanted)
