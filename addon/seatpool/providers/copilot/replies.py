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

from seatpool.providers.base import Headers, HttpReply, RequestFacts
from seatpool.providers.copilot.wire import REQUEST_ID

_CODES: Mapping[int, str] = MappingProxyType(
    {402: "quota_exceeded", 429: "rate_limited", 500: "internal_error", 502: "bad_gateway", 503: "service_unavailable"}
)
_EXHAUSTED = "Every Copilot account of the pool is limited at the moment."


def exhausted(facts: RequestFacts, soonest: datetime | None, now: datetime) -> HttpReply:
    """A 429 until the soonest reset, which the Copilot CLI does not answer with five retries (copilot.md 9)."""
    fields = [("x-should-retry", "false")]
    if soonest is not None:
        fields.append(("retry-after", wait(429, soonest, now)))
    return _reply(facts, 429, _EXHAUSTED, now.isoformat(), fields)


def unavailable(facts: RequestFacts, status: int, message: str) -> HttpReply:
    """An answer of ours where the upstream could not be had."""
    return _reply(facts, status, message, "", [])


def wait(status: int, until: datetime, now: datetime) -> str:
    """`retry-after`: seconds, one at least; a date on 402, where VS Code reads `3600` as a year (copilot.md 5.4)."""
    if status == 402:
        return format_datetime(until, usegmt=True)
    return str(max(1, ceil((until - now).total_seconds())))


def _reply(facts: RequestFacts, status: int, message: str, salt: str, fields: list[tuple[str, str]]) -> HttpReply:
    error = {"message": message, "code": _CODES.get(status, "pool_error")}
    headers = [("content-type", "application/json"), (REQUEST_ID, _request_id(facts, status, message, salt)), *fields]
    return HttpReply(status, Headers(headers), msgspec.json.encode({"error": error}))


def _request_id(facts: RequestFacts, *parts: object) -> str:
    """In GitHub's spelling; the same for the same answer, since nothing here may roll dice."""
    told = (facts.route.name, facts.model, facts.conversation, *parts)
    digits = blake2b(repr(told).encode("utf-8", "replace"), digest_size=16).hexdigest().upper()
    return ":".join((digits[:4], digits[4:10], digits[10:17], digits[17:24], digits[24:]))
