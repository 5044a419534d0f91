"""Between mitmproxy's messages and the providers' values."""

from collections.abc import Iterable

from mitmproxy import http

from seatpool.providers.base import Headers, HttpReply


def as_response(reply: HttpReply) -> http.Response:
    """An answer of ours as mitmproxy sends it."""
    return http.Response.make(reply.status, reply.body, dict(reply.headers.items()))


def reply_of(response: http.Response, headers: Headers) -> HttpReply:
    """An upstream's answer as the providers read it: decoded where the encoding is known and sound."""
    return HttpReply(response.status_code, headers, response.get_content(strict=False) or b"")


def body_of(request: http.Request) -> bytes:
    """The decoded body (gzip, zstd, ...); the raw one where it cannot be decoded."""
    return request.get_content(strict=False) or b""


def headers_of(fields: Iterable[tuple[bytes, bytes]]) -> Headers:
    """A message's header fields, decoded once: mitmproxy's own decode at every look, some microseconds each."""
    return Headers((n.decode("latin-1"), v.decode("utf-8", "surrogateescape")) for n, v in fields)
