"""A request as a trace: a span for it, and one for each sending, with the names of the GenAI conventions.

Those are of `gen-ai-spans.md` of OpenTelemetry's semantic conventions, still in development. Nothing of what was
asked or answered is in here, nor who asked.
"""

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import msgspec

from seatpool.core.ended import UNANSWERED, Ended, was_sent
from seatpool.core.model import Account, Attempt, ProviderName

OK, LEFT = "ok", "left"
"""Outcomes that are nobody's failure."""
EXHAUSTED = "exhausted"
PROVIDERS: Mapping[ProviderName, str] = MappingProxyType(
    {ProviderName.CODEX: "openai", ProviderName.COPILOT: "github"}  # for the latter there is no well-known name
)
OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "embeddings": "embeddings",
        "engine": "text_completion",
        "images": "generate_content",
        "decisions": "generate_content",
    }
)
"""By route; every other one is `CHAT`."""
CHAT = "chat"

Value = str | int | float


class Request(msgspec.Struct, frozen=True):
    """One that is over."""

    ended: Ended
    attempts: tuple[Attempt, ...]
    accounts: Mapping[int, Account]
    """Those that had a part in it, by id."""


class Span(msgspec.Struct, frozen=True):
    """One span."""

    name: str
    begins: datetime
    ends: datetime
    attributes: Mapping[str, Value]
    failed: str | None
    """Its outcome, where that is a failure."""


class Trace(msgspec.Struct, frozen=True):
    """A request's span, and those of its sendings in it."""

    id: bytes
    """16 bytes: the flow's own, so all turns of a socket are in one trace, and `seatpool why` knows it."""
    span: Span
    children: tuple[Span, ...]


def trace(request: Request) -> Trace:
    """What is told of a request."""
    ended, attempts = request.ended, request.attempts
    last = attempts[-1] if attempts else None
    outcome = last.outcome if last is not None else UNANSWERED if was_sent(ended) else EXHAUSTED
    attributes = dict(_general(last, request.accounts.get(ended.account_id or 0)))
    attributes["seatpool.outcome"] = outcome
    attributes["seatpool.attempts"] = len(attempts)
    if ended.first_byte_ms is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = ended.first_byte_ms / 1000
    tokens = last.tokens if last is not None else None
    if tokens is not None:
        counted = {
            "gen_ai.usage.input_tokens": tokens.input,
            "gen_ai.usage.output_tokens": tokens.output,
            "gen_ai.usage.cache_read.input_tokens": tokens.cached,
            "gen_ai.usage.reasoning.output_tokens": tokens.reasoning,
        }
        attributes.update({name: count for name, count in counted.items() if count is not None})
    ends = ended.began_at + timedelta(milliseconds=ended.total_ms)
    whole = _span(" ".join(filter(None, _named(attributes))), ended.began_at, ends, attributes, outcome)
    return Trace(_id(ended.flow_id), whole, tuple(_sending(each, request) for each in attempts))


def _sending(attempt: Attempt, request: Request) -> Span:
    attributes = dict(_general(attempt, request.accounts.get(attempt.account_id)))
    resent = attempt.number - request.attempts[0].number
    if resent:
        attributes["http.request.resend_count"] = resent
    if attempt.status is not None:
        attributes["http.response.status_code"] = attempt.status
    if attempt.reason is not None:
        attributes["seatpool.reason"] = attempt.reason
    took_ms = attempt.total_ms if attempt.total_ms is not None else attempt.first_byte_ms or 0.0
    ends = attempt.started_at + timedelta(milliseconds=took_ms)
    return _span("attempt", attempt.started_at, ends, attributes, attempt.outcome)


def _general(attempt: Attempt | None, account: Account | None) -> Iterator[tuple[str, Value]]:
    yield "gen_ai.operation.name", OPERATIONS.get(attempt.route, CHAT) if attempt is not None else CHAT
    if account is not None:
        yield "gen_ai.provider.name", PROVIDERS[account.provider]
        yield "seatpool.account", account.name
    if attempt is not None and attempt.model is not None:
        yield "gen_ai.request.model", attempt.model


def _named(attributes: Mapping[str, Value]) -> tuple[str, ...]:
    return str(attributes["gen_ai.operation.name"]), str(attributes.get("gen_ai.request.model", ""))


def _span(name: str, begins: datetime, ends: datetime, attributes: dict[str, Value], outcome: str) -> Span:
    failed = None if outcome in (OK, LEFT) else outcome
    if failed is not None:
        attributes["error.type"] = failed
    return Span(name, begins, ends, attributes, failed)


def _id(flow_id: str) -> bytes:
    try:
        return uuid.UUID(flow_id).bytes
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, flow_id).bytes
