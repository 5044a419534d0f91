"""Requests and answers as bytes, made once: the load shares two cores with the proxies that it measures."""

import itertools
import json
import re
import time
from enum import StrEnum
from typing import Protocol

from tests.upstream import tokens
from tests.upstream.logins import codex_auth

HOST = "chatgpt.com"
EDITOR = "editor"
CONVERSATION = 10
"""Requests of one conversation: what a turn with a few tool calls makes."""

STREAM_END = b"\r\n0\r\n\r\n"
JSON_END = b'"the":"end"}'
EVENT_END = b"\n\n\r\n"
"""Of the one event that a held stream has had."""


class Kind(StrEnum):
    """What the upstream is asked to answer; it stands in the request's `x-bench` header."""

    JSON = "json"
    SHORT = "short"
    """A stream of 8 events."""
    LONG = "long"
    """A stream of 200 events."""
    REFUSED = "refused"
    """429 for the first account that asks with this request id, a short stream for the next one."""
    HELD = "held"
    """A stream that stays open after its first event."""
    TURN = "turn"
    """A stream of 8 events that begins and ends as a model's turn does: some peers look at that."""
    LIMITED = "limited"
    """As `REFUSED`, then a turn."""
    WHO = "who"
    """A JSON answer that names the account asking."""


_series = itertools.count()
"""Tells requests of different series apart: an id never comes twice in a run."""


def next_series() -> int:
    """A number that no other series of requests has."""
    return next(_series)


EVENTS = {Kind.SHORT: 8, Kind.LONG: 200, Kind.HELD: 1}

REFUSALS = {Kind.REFUSED: Kind.SHORT, Kind.LIMITED: Kind.TURN}
"""What comes after the refusal."""


class Asking(Protocol):
    """Makes requests."""

    def one(self) -> bytes:
        """The next one."""


class Requests:
    """Makes requests of a kind, each with an id of its own."""

    def __init__(self, kind: Kind, *, conversation: int = CONVERSATION) -> None:
        auth = codex_auth(EDITOR)["tokens"]
        body = json.dumps({"model": "gpt-x", "stream": True, "input": [{"role": "user", "content": "x" * 2000}]})
        self._series = next(_series)
        self._count = 0
        self._conversation = conversation
        self._head = "\r\n".join(
            (
                f"POST /backend-api/codex/responses{'/compact' if kind is Kind.JSON else ''} HTTP/1.1",
                f"host: {HOST}",
                f"authorization: Bearer {auth['access_token']}",
                f"chatgpt-account-id: {auth['account_id']}",
                "originator: codex_exec",
                "user-agent: codex_exec/0.169.0",
                "accept: text/event-stream",
                "content-type: application/json",
                "x-codex-routing-hint: model=gpt-x",
                f"content-length: {len(body)}",
                f"x-bench: {kind}",
                "session-id: ",
            )
        ).encode()
        self._body = f"\r\n\r\n{body}".encode()

    def one(self) -> bytes:
        """The next one."""
        number = self._count
        self._count += 1
        ids = self._series, number // self._conversation, self._series, number
        return b"%s%d-%d\r\nx-client-request-id: %d-%d%s" % (self._head, *ids, self._body)


def answers() -> dict[Kind, tuple[bytes, ...]]:
    """What is written for each kind, one write after the other."""
    made = {kind: (_head(200, "text/event-stream", None), *_events(kind)) for kind in EVENTS}
    made[Kind.TURN] = (_head(200, "text/event-stream", None), *_turn())
    body = b'{"output":"%s",%s' % (b"x" * 200, JSON_END)
    made[Kind.JSON] = (_head(200, "application/json", len(body)) + body,)
    return made


MARK = re.compile(rb"bench:([a-z]+):([0-9-]+)")
"""A kind and the request's id, in the body: some peers hand on no headers."""
TURN_BEGINS, TURN_ENDS = b"response.created", b"response.completed"


def marked_body(kind: Kind, request: str) -> bytes:
    """A turn of Codex's, of the same size as that of `Requests`."""
    said = [{"type": "input_text", "text": f"bench:{kind}:{request} {'x' * 2000}"}]
    told = {
        "model": "gpt-x",
        "instructions": "be brief",
        "input": [{"type": "message", "role": "user", "content": said}],
    }
    return json.dumps({**told, "stream": True, "store": False}).encode()


def who(authorization: str) -> bytes:
    """The answer to `Kind.WHO`."""
    owned = tokens.read_token(authorization.removeprefix("Bearer "))
    body = json.dumps({"account": owned.owner if owned else None}).encode()[:-1] + b"," + JSON_END
    return _head(200, "application/json", len(body)) + body


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def refusal() -> bytes:
    """A spent limit (codex.md 3.3)."""
    error = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 3600}
    body = json.dumps({"error": error}).encode()
    return _head(429, "application/json", len(body)) + body


def _head(status: int, content_type: str, length: int | None) -> bytes:
    """With the quota headers that every answer has (codex.md 3.1)."""
    resets_at = int(time.time()) + 18_000
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    lines = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Too Many Requests'}",
        f"content-type: {content_type}",
        size,
        "x-codex-active-limit: codex",
        "x-codex-primary-used-percent: 20",
        "x-codex-primary-window-minutes: 300",
        f"x-codex-primary-reset-at: {resets_at}",
        "x-codex-secondary-used-percent: 10",
        "x-codex-secondary-window-minutes: 10080",
        f"x-codex-secondary-reset-at: {resets_at + 500_000}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def _events(kind: Kind) -> list[bytes]:
    """Each event in a chunk of its own, the end in the last one's write."""
    found = []
    for number in range(EVENTS[kind]):
        delta = json.dumps({"type": "response.output_text.delta", "sequence_number": number, "delta": "word " * 4})
        event = f"event: response.output_text.delta\ndata: {delta}\n\n".encode()
        found.append(b"%x\r\n%s\r\n" % (len(event), event))
    if kind is not Kind.HELD:
        found[-1] += STREAM_END[2:]
    return found


def _turn() -> list[bytes]:
    """The same number of events as a short stream, of about the same size."""
    of = {"id": "resp_bench", "object": "response", "created_at": int(time.time()), "model": "gpt-x", "output": []}
    of |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    usage = {"input_tokens": 500, "output_tokens": 24, "total_tokens": 524}
    delta = {"type": "response.output_text.delta", "item_id": "msg_bench", "output_index": 0, "content_index": 0}
    told: list[dict[str, object]] = [{"type": "response.created", "response": {**of, "status": "in_progress"}}]
    told += [{**delta, "delta": "word " * 4} for _ in range(EVENTS[Kind.SHORT] - 2)]
    told.append({"type": "response.completed", "response": {**of, "status": "completed", "usage": usage}})
    found = []
    for number, one in enumerate(told):
        event = f"event: {one['type']}\ndata: {json.dumps({**one, 'sequence_number': number})}\n\n".encode()
        found.append(b"%x\r\n%s\r\n" % (len(event), event))
    found[-1] += STREAM_END[2:]
    return found
