"""Between mitmproxy's messages and the providers' values."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime

from mitmproxy import http

from seatpool.core.selection import Exhausted
from seatpool.providers.base import Provider, RequestFacts
from seatpool.providers.http import Headers, HttpReply
from seatpool.providers.sidecalls import Models

EVENT_STREAM = "text/event-stream"
_BIT_BY_BIT = (EVENT_STREAM, "application/x-ndjson", "application/jsonl")
"""Types of what is made while it is sent: events, and the lines of JSON in which Ollama and vLLM answer."""
_STREAMS = re.compile(rb'"stream"\s*:\s*true')

BOUND_ELSEWHERE = (
    "seatpool: only the account that this conversation was held with can read it, and that one is not in use now; "
    "resume it, or begin a new conversation"
)

UNSERVED = (
    "seatpool: no account of yours can serve this now, and pool_on_failure=block keeps your editor's own login out"
)
REVOKED = (
    "seatpool: {choice.account.issuer} has revoked or flagged the account {choice.account.name} ({choice.code}); it is "
    "disabled until you say `seatpool account resume`, and this request was not sent to another one"
)


def as_response(reply: HttpReply) -> http.Response:
    """An answer of ours as mitmproxy sends it."""
    return http.Response.make(reply.status, reply.body, dict(reply.headers.items()))


def exhausted(provider: Provider, facts: RequestFacts, choice: Exhausted, now: datetime) -> http.Response:
    """What the editor gets where nobody can serve: the limit, or that the one account it takes is not in use.

    A handshake's client then asks over HTTPS, and reads the same there (codex.md 5).
    """
    if choice.limited:
        return as_response(provider.exhausted(facts, choice.soonest, choice.reason, now))
    return as_response(provider.unavailable(facts, 426 if facts.route.websocket else 400, BOUND_ELSEWHERE))


def reply_of(response: http.Response, headers: Headers, partial: bytes | None = None) -> HttpReply:
    """An upstream's answer as the providers read it: decoded where the encoding is known and sound.

    `partial` is what came of its body where that broke off.
    """
    body = response.get_content(strict=False) or b"" if partial is None else partial
    return HttpReply(response.status_code, headers, body)


def add_models(response: http.Response, provider: Provider, models: Models) -> None:
    """Append models to a list that was read whole; whatever else the answer is, it stays as it is."""
    content = response.get_content(strict=False) if response.status_code == 200 and not response.stream else None
    longer = provider.add_models(content, models) if content and models else None
    if longer is not None:
        response.content = longer
        response.headers.pop("etag", None)  # it names the list as it was


def body_of(request: http.Request) -> bytes:
    """The decoded body (gzip, zstd, ...); the raw one where it cannot be decoded."""
    return request.get_content(strict=False) or b""


def asks_for_stream(request: http.Request) -> bool:
    """Whether the answer begins long before it is complete. Reads the body, so it is not asked of every request."""
    return _STREAMS.search(body_of(request)) is not None


def comes_bit_by_bit(response: http.Response) -> bool:
    """Whether an answer, of whatever host, says of itself that it is made while it is sent."""
    stated: str = response.headers.get("content-type", "")
    return stated.lower().startswith(_BIT_BY_BIT)


def is_event_stream(response: http.Response, asked: Callable[[], bool]) -> bool:
    """Whether an answer comes event by event; `asked` tells whether the editor wants it so.

    ChatGPT's backend says nothing of what it sends (openclaw/openclaw issue 91662): there the request tells.
    """
    stated: str | None = response.headers.get("content-type")
    if stated is not None:
        return stated.lower().startswith(EVENT_STREAM)
    return "content-length" not in response.headers and asked()


def headers_of(fields: Iterable[tuple[bytes, bytes]]) -> Headers:
    """A message's header fields, decoded once: mitmproxy's own decode at every look, some microseconds each."""
    return Headers((n.decode("latin-1"), v.decode("utf-8", "surrogateescape")) for n, v in fields)
