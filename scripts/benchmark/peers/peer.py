"""What a peer is, and what is compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark import wire
from scripts.benchmark.field import Field
from scripts.benchmark.wire import CONVERSATION, EDITOR, Kind

from tests.upstream.logins import codex_auth

PORT = 4000
NAMES = "seat{}"
"""Of accounts: the same as the pool's."""
CODEX_HEADERS = ("originator: codex_exec", "user-agent: codex_exec/0.169.0")
_SECRET = "sk-bench-0123456789abcdef0123456789abcdef"  # of nobody: a key that a peer asks its clients for


@dataclass(frozen=True, slots=True)
class Started:
    """What a peer is started with."""

    folder: Path
    accounts: int
    ca: Path
    programs: Path
    """Where its virtual environment has its programs."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One of them."""

    name: str
    package: str
    python: tuple[int, int]
    """The oldest that it runs on."""
    path: str
    """Of the API that is called."""
    command: Callable[[Started], Sequence[str]]
    """Writes what it needs into the folder as well."""
    environment: Callable[[Started], Mapping[str, str]]
    features: Mapping[str, str]
    """What is compared: a word on each."""
    sign_in: Callable[[Field, Started], None] = lambda _field, _started: None
    """Once it listens."""
    codex: bool = True
    """Whether its clients are Codex; else they bring the key that it wants."""

    def asks(self, kind: Kind) -> "PeerRequests":
        """Requests to it."""
        own = CODEX_HEADERS if self.codex else (f"authorization: Bearer {_SECRET}",)
        return PeerRequests(kind, self.path, f"127.0.0.1:{PORT}", own)


class PeerRequests:
    """The same body for everybody; kind and number are in the body, which everybody hands on."""

    def __init__(self, kind: Kind, path: str, host: str, own: Sequence[str]) -> None:
        self._kind, self._count, self._series = kind, 0, wire.next_series()
        common = ("accept: text/event-stream", "content-type: application/json")
        self._head = "\r\n".join((f"POST {path} HTTP/1.1", f"host: {host}", *own, *common))

    def one(self) -> bytes:
        """The next one."""
        number, self._count = self._count, self._count + 1
        body = wire.marked_body(self._kind, f"{self._series}-{number}")
        conversation = f"{self._series}-{number // (1 if self._kind is Kind.LIMITED else CONVERSATION)}"
        more = f"session-id: {conversation}\r\ncontent-length: {len(body)}"
        return f"{self._head}\r\n{more}\r\n\r\n".encode() + body


def asked_upstream(kind: Kind) -> PeerRequests:
    """What the pool's clients and those of nobody ask: Codex, signed in."""
    auth = codex_auth(EDITOR)["tokens"]
    own = (f"authorization: Bearer {auth['access_token']}", f"chatgpt-account-id: {auth['account_id']}", *CODEX_HEADERS)
    return PeerRequests(kind, "/backend-api/codex/responses", wire.HOST, own)


def secret() -> str:
    """The key of a peer's clients."""
    return _SECRET
