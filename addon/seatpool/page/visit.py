"""A request for the page and its answer, as values: the same by whatever way they come."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import msgspec

from seatpool.core.silence import silent

TOKEN_HEADER = "x-seatpool-token"  # noqa: S105 # a name
EVENT_STREAM = "text/event-stream; charset=utf-8"
_SOURCES = dict.fromkeys(("script-src", "style-src", "img-src", "connect-src"), "'self'")
_NONE = dict.fromkeys(("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'")
POLICY = "; ".join(f"{name} {source}" for name, source in (_NONE | _SOURCES).items())
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "cache-control": "no-store",
        "content-security-policy": POLICY,
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
)
"""Of every answer. There is none that would let another origin read one."""


class Visit(msgspec.Struct, frozen=True):
    """What somebody asks."""

    method: str
    target: str
    """Path and query."""
    scheme: str
    """`http` or `https`."""
    hosts: tuple[str, ...]
    """What it says in its Host headers, or `:authority`: one, or something is wrong."""
    headers: Mapping[str, str] = MappingProxyType({})
    """By names in lower case; without the token."""
    token: str = ""

    __repr__ = silent("token")

    @property
    def path(self) -> str:
        """Without the query, as it came."""
        return self.target.partition("?")[0]


class Stream(Protocol):
    """A body that goes on for as long as somebody looks."""

    async def next(self) -> bytes | None:
        """The next piece, within seconds; None: that was all."""

    def close(self) -> None:
        """Nobody looks any more. Again does nothing."""


class Answer(msgspec.Struct, frozen=True):
    """What there is to be said."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    more: Mapping[str, str] = MappingProxyType({})
    stream: Stream | None = None
    """In the place of `body`."""

    @property
    def headers(self) -> dict[str, str]:
        """All but the length."""
        return {**HEADERS, "content-type": self.content_type, **self.more}


def words(status: int, text: str) -> Answer:
    """A line of plain text."""
    return Answer(status, f"{text}\n".encode())


def data(content: bytes) -> Answer:
    """JSON, encoded."""
    return Answer(200, content, "application/json")
