"""Between mitmproxy's messages and the providers' values."""

from mitmproxy import http

from seatpool.providers.base import HttpReply


def as_response(reply: HttpReply) -> http.Response:
    """An answer of ours as mitmproxy sends it."""
    return http.Response.make(reply.status, reply.body, dict(reply.headers.items()))


def reply_of(response: http.Response) -> HttpReply:
    """An upstream's answer as the providers read it: decoded where the encoding is known and sound."""
    return HttpReply(response.status_code, response.headers, response.get_content(strict=False) or b"")


def body_of(request: http.Request) -> bytes:
    """The decoded body (gzip, zstd, ...); the raw one where it cannot be decoded."""
    return request.get_content(strict=False) or b""
