"""Headers, requests and answers as providers see them."""

from collections.abc import Iterable
from typing import Protocol, overload

import msgspec

from seatpool.core.silence import silent


class HeaderView(Protocol):
    """Case-insensitive headers: mitmproxy's and `Headers` below both fit."""

    @overload
    def get(self, key: str) -> str | None: ...
    @overload
    def get(self, key: str, default: str) -> str: ...
    def __contains__(self, key: object, /) -> bool: ...
    def items(self) -> Iterable[tuple[str, str]]: ...


class Headers:
    """The least case-insensitive headers: names are lower case inside; the first of several equal names wins."""

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            self._fields.setdefault(name.lower(), value)

    @overload
    def get(self, key: str) -> str | None: ...
    @overload
    def get(self, key: str, default: str) -> str: ...
    def get(self, key: str, default: str | None = None) -> str | None:
        """The value under `key`, whatever its case."""
        return self._fields.get(key.lower(), default)

    def __contains__(self, key: object, /) -> bool:
        return isinstance(key, str) and key.lower() in self._fields

    def items(self) -> Iterable[tuple[str, str]]:
        """Names in lower case, with their values."""
        return self._fields.items()


class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """A side call. Its `repr` leaves headers and body out: they hold credentials."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    plain: bool = False
    """It may go without TLS where its address says so and is of this machine: it holds no credential."""

    __repr__ = silent("headers", "body")


class HttpReply(msgspec.Struct, frozen=True, gc=False):
    """An answer, read whole. Its `repr` leaves headers and body out."""

    status: int
    headers: HeaderView
    body: bytes = b""

    __repr__ = silent("headers", "body")
