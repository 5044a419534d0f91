"""One line for each request that is over: which account, why, and what it took."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from seatpool.core.ended import UNANSWERED, Recorded, was_sent
from seatpool.core.explain import EXHAUSTED, WAITING, BarKind, Choice
from seatpool.core.model import Account, Attempt, ProviderName
from seatpool.core.outcome import OK
from seatpool.core.reasons import HANDSHAKE, REASONS, WARM_UP, barred
from seatpool.core.report import Moment
from seatpool.core.story import in_place_of

UNREFUSED = (OK.code, "left")
"""Outcomes of a warm-up: not every client waits for its end."""
NAMED = 3
"""Accounts that are named where nobody could be asked."""


class Sent(msgspec.Struct, frozen=True):
    """One sending."""

    account: Annotated[str | None, Meta(description="null: it was removed since.")]
    reason: Annotated[str | None, Meta(description="Why this account, as `seatpool why --json` has it.")]
    outcome: Annotated[str, Meta(description="`ok`, `left` (by the client), `cut` (by upstream), or a refusal's code.")]
    status: Annotated[int | None, Meta(description="HTTP status; null of a turn, and where no answer came.")]


class Line(msgspec.Struct, frozen=True):
    """One request that is over. Times are ISO 8601 in UTC."""

    request: Annotated[str, Meta(description="Its id, for `seatpool why`.")]
    began_at: Moment
    account: Annotated[str | None, Meta(description="Who was asked last; null: nobody was.")]
    why: Annotated[str, Meta(description="Why that one, in few words.")]
    reason: Annotated[str | None, Meta(description="The same as a code.")]
    rule: Annotated[str | None, Meta(description="Name of the rule that decided who may serve.")]
    outcome: Annotated[str, Meta(description="Of the last attempt; `exhausted`: nobody could be asked.")]
    status: int | None
    attempts: Annotated[tuple[Sent, ...], Meta(description="In order.")]
    first_byte_ms: Annotated[float | None, Meta(description="From the request to the first byte for the client.")]
    total_ms: Annotated[float, Meta(description="From the request to the end of its answer.")]
    input_tokens: int | None
    cached_tokens: Annotated[int | None, Meta(description="Those of the input that were read from a prompt cache.")]
    output_tokens: int | None
    provider: ProviderName | None
    route: str | None
    model: Annotated[str | None, Meta(description="The one that was sent last.")]
    repository: Annotated[str | None, Meta(description="`host/owner/name`, where the request tells.")]


def line(recorded: Recorded, accounts: Mapping[int, Account]) -> Line:
    """What there is to be said of a request."""
    ended, attempts = recorded.ended, recorded.attempts
    last = attempts[-1] if attempts else None
    choice = recorded.choices[-1] if recorded.choices else None
    account = accounts.get(ended.account_id or 0)
    tokens = last.tokens if last is not None else None
    return Line(
        request=ended.flow_id,
        began_at=ended.began_at,
        account=account.name if account is not None else None,
        why=", ".join(_why(recorded, accounts)),
        reason=last.reason if last is not None else choice.reason if choice is not None else None,
        rule=choice.rule if choice is not None else None,
        outcome=last.outcome if last is not None else UNANSWERED if was_sent(ended) else EXHAUSTED,
        status=last.status if last is not None else None,
        attempts=tuple(Sent(_name(a.account_id, accounts), a.reason, a.outcome, a.status) for a in attempts),
        first_byte_ms=ended.first_byte_ms,
        total_ms=ended.total_ms,
        input_tokens=tokens.input if tokens is not None else None,
        cached_tokens=tokens.cached if tokens is not None else None,
        output_tokens=tokens.output if tokens is not None else None,
        provider=account.provider if account is not None else choice.provider if choice is not None else None,
        route=last.route if last is not None else choice.route if choice is not None else None,
        model=last.model if last is not None else choice.model if choice is not None else None,
        repository=next((a.repository for a in reversed(attempts) if a.repository is not None), None),
    )


def _why(recorded: Recorded, accounts: Mapping[int, Account]) -> Iterator[str]:
    attempts, choices = recorded.attempts, recorded.choices
    mine = [c for c in choices if c.flow_id == recorded.ended.flow_id]
    if attempts:
        reason = REASONS.get(attempts[-1].reason or "", attempts[-1].reason or "not recorded")
        yield reason + in_place_of(attempts[-1].model, mine)
    elif was_sent(recorded.ended):
        yield REASONS.get(choices[-1].reason, choices[-1].reason) if choices else "not recorded"
    elif recorded.ended.account_id is not None:
        yield "it may not be asked, and nobody else must be"
    else:
        yield "nobody could be asked"
        yield from _barred(choices, accounts)
    if choices and choices[-1].rule is not None:
        yield f"rule {choices[-1].rule}"
    if any(c.reason == WAITING for c in mine):
        yield "after a wait"
    before = [
        f"{_name(a.account_id, accounts) or 'a removed one'} {a.outcome}" for a in attempts[:-1] if not _readied(a)
    ]
    if before:
        yield f"after {', '.join(before)}"


def _barred(choices: Sequence[Choice], accounts: Mapping[int, Account]) -> Iterator[str]:
    contenders = [c for c in choices[-1].contenders if c.bars and c.bars[0].kind is not BarKind.RULE] if choices else []
    for contender in contenders[:NAMED]:
        yield f"{_name(contender.candidate.account.id, accounts) or 'a removed one'} {barred(choices[-1], contender)}"
    if len(contenders) > NAMED:
        yield f"and {len(contenders) - NAMED} more"


def sendings(line: Line) -> int:
    """How often it was sent."""
    return sum(not _readied(sent) for sent in line.attempts)


def _readied(attempt: Attempt | Sent) -> bool:
    """Whether it is the handshake of the socket on which the turn goes on, or has warmed that up."""
    return attempt.status == HANDSHAKE or (attempt.reason == WARM_UP and attempt.outcome in UNREFUSED)


def _name(account_id: int, accounts: Mapping[int, Account]) -> str | None:
    account = accounts.get(account_id)
    return account.name if account is not None else None
