"""Answers of ours in Codex's own shape, chosen by what the client does with them.

Sources: codex.md 5 and 6, codex-observed.md 4 and 9.
"""

from datetime import datetime
from math import ceil
from typing import Any

import msgspec

from seatpool.core.selection import LACKING
from seatpool.providers.base import RequestFacts
from seatpool.providers.codex.errors import MODEL_NOT_SUPPORTED
from seatpool.providers.http import Headers, HttpReply

RECONNECT = (
    b'{"type":"error","status":400,"error":{"type":"invalid_request_error",'
    b'"code":"websocket_connection_limit_reached","message":"Responses websocket connection limit reached '
    b'(60 minutes). Create a new websocket connection to continue."}}'
)
"""Makes the client reconnect: in 0.2 s, with its whole input, unseen by the person (codex.md 5, 9)."""


SHORT_WAIT_S = 20
"""Up to here the client is made to wait (five times at most, and visibly) instead of being told to give up."""


def exhausted(facts: RequestFacts, soonest: datetime | None, reason: str | None, now: datetime) -> HttpReply:
    """The refusal that Codex words best: the usage limit with its reset; or that no account has the model.

    A handshake gets 426, since the client never reads the body of a 429 there; it posts at once and reads this one.
    """
    if facts.route.websocket:
        return unavailable(facts, 426, "every account is limited: ask over HTTPS")
    if reason in (MODEL_NOT_SUPPORTED, LACKING):
        told = f"The '{facts.model}' model is not supported when using Codex with a ChatGPT account."
        return HttpReply(400, Headers([("content-type", "application/json")]), msgspec.json.encode({"detail": told}))
    wait_s = None if soonest is None else max(0, ceil((soonest - now).total_seconds()))
    if wait_s is not None and wait_s <= SHORT_WAIT_S:
        error = {"message": "Every account is limited for a moment.", "type": "seatpool", "code": "rate_limit_exceeded"}
        return _reply(429, error, ("retry-after", str(max(1, wait_s))))
    # The plan only chooses which advertisement the client shows; an unknown one shows none.
    spent: dict[str, Any] = {
        "type": "usage_limit_reached",
        "message": "The usage limit has been reached",
        "plan_type": "unknown",
    }
    if soonest is not None:
        spent |= {"resets_at": ceil(soonest.timestamp()), "resets_in_seconds": wait_s}
    return _reply(429, spent)


def unavailable(facts: RequestFacts, status: int, message: str) -> HttpReply:
    """An error of ours in the service's envelope."""
    return _reply(status, {"message": message, "type": "seatpool", "code": "seatpool_unavailable"})


def _reply(status: int, error: dict[str, Any], *more: tuple[str, str]) -> HttpReply:
    headers = Headers([("content-type", "application/json"), *more])
    return HttpReply(status, headers, msgspec.json.encode({"error": error}))
