"""Answers of our own, in the shape of copilot.md 5.4.

Each has an `x-github-request-id`: without one the editor tells its user that the answer did not come from GitHub
(copilot.md 3).
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from hashlib import blake2b
from math import ceil
from types import MappingProxyType

import msgspec

from seatpool.core.selection import LACKING
from seatpool.providers.base import RequestFacts
from seatpool.providers.carriers import Carrier
from seatpool.providers.copilot.errors import NO_FEATURE, NO_MODEL, NO_POLICY
from seatpool.providers.copilot.wire import REQUEST_ID
from seatpool.providers.http import Headers, HttpReply

_CODES: Mapping[int, str] = MappingProxyType(
    {
        400: "bad_request",
        402: "quota_exceeded",
        403: "forbidden",
        404: "not_found",
        413: "request_too_large",
        429: "rate_limited",
        500: "internal_error",
        502: "bad_gateway",
        503: "service_unavailable",
    }
)
MONTHLY = frozenset(
    {
        "quota_exceeded",
        "free_quota_exceeded",
        "overage_limit_reached",
        "additional_spend_limit_reached",
        "billing_not_configured",
    }
)
"""Codes that come with a 402 (copilot.md 5.4)."""
KNOWN = MONTHLY | {"user_global_rate_limited", "user_weekly_rate_limited", "user_model_rate_limited"}
"""Codes that editors have words of their own for."""
_UNSUPPORTED = (400, "The requested model is not supported.", NO_MODEL)
NOBODYS: Mapping[str, tuple[int, str, str]] = MappingProxyType(
    {
        LACKING: _UNSUPPORTED,
        NO_MODEL: _UNSUPPORTED,
        NO_POLICY: _UNSUPPORTED,
        NO_FEATURE: (403, "unauthorized: not authorized to use this Copilot feature", "forbidden"),
    }
)
"""Status, message and code by the reason, as `errors` and the choice give it, why nobody can serve (copilot.md 5.4)."""
PREVIOUS_GONE = (
    b'{"type":"error","error":{"code":"previous_response_not_found","message":"Previous response not found."}}'
)
_EXHAUSTED = "Every Copilot account of the pool is limited at the moment."


def exhausted(facts: RequestFacts, soonest: datetime | None, reason: str | None, now: datetime) -> HttpReply:
    """The limit that ends soonest, under its own code, so that the editor words it rightly.

    A month's quota is a 402; everything else a 429, which the Copilot CLI is kept from retrying (copilot.md 9). Where
    nobody has the model, or may use this client, that is no limit, and nothing that waiting would mend.
    """
    nobodys = NOBODYS.get(reason or "")
    if nobodys is not None:
        status, message, code = nobodys
        return _reply(facts, status, message, "", [], code=code)
    status = 402 if reason in MONTHLY else 429
    fields = [("x-should-retry", "false")]
    if soonest is not None:
        fields.append(("retry-after", wait(status, soonest, now)))
    return _reply(facts, status, _EXHAUSTED, now.isoformat(), fields, code=reason if reason in KNOWN else None)


def unavailable(facts: RequestFacts, status: int, message: str) -> HttpReply:
    """An answer of ours where the upstream could not be had."""
    return _reply(facts, status, message, "", [])


def elsewhere_frame(message: str) -> bytes:
    """An error on the socket: the client posts the same at once (copilot-observed.md 4)."""
    return msgspec.json.encode({"type": "error", "error": {"code": "websocket_error", "message": message}})


def reconnect_frame(carried: frozenset[Carrier]) -> bytes:
    """An error after which the client repeats the whole conversation, where it would give up after a limit's.

    The CLI does so on a new socket, at once (seen with 1.0.102); VS Code posts it a second later (copilot.md 4, 7.1).
    """
    return PREVIOUS_GONE if Carrier.PREVIOUS in carried else elsewhere_frame("ask again over HTTPS")


def wait(status: int, until: datetime, now: datetime) -> str:
    """`retry-after`: seconds, one at least; a date on 402, where VS Code reads `3600` as a year (copilot.md 5.4)."""
    if status == 402:
        return format_datetime(until, usegmt=True)
    return str(max(1, ceil((until - now).total_seconds())))


def _reply(
    facts: RequestFacts, status: int, message: str, salt: str, fields: list[tuple[str, str]], code: str | None = None
) -> HttpReply:
    error = {"message": message, "code": code or _CODES.get(status, "pool_error")}
    headers = [("content-type", "application/json"), (REQUEST_ID, _request_id(facts, status, message, salt)), *fields]
    return HttpReply(status, Headers(headers), msgspec.json.encode({"error": error}))


def _request_id(facts: RequestFacts, *parts: object) -> str:
    """In GitHub's spelling; the same for the same answer, since nothing here may roll dice."""
    told = (facts.route.name, facts.model, facts.conversation, *parts)
    digits = blake2b(repr(told).encode("utf-8", "replace"), digest_size=16).hexdigest().upper()
    return ":".join((digits[:4], digits[4:10], digits[10:17], digits[17:24], digits[24:]))
