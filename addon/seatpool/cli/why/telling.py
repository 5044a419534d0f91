"""What is known of a request, as a person and as a program reads it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from seatpool.cli.common import folding
from seatpool.core.explain import STAYED, WAITING, Bar, BarKind, Choice, Contender, would_choose
from seatpool.core.ledger import NANO
from seatpool.core.model import Attempt, ProviderName, Tokens
from seatpool.core.outcome import UNKNOWN, About
from seatpool.core.reasons import REASONS, judgements
from seatpool.core.scoring import Score, Standing
from seatpool.core.spans import ago
from seatpool.core.story import SHORT, Story, headline, in_place_of, name_of, unanswered
from seatpool.core.strategy import Strategy
from seatpool.providers.codex import errors as codex_errors
from seatpool.providers.copilot import errors as copilot_errors

_ABOUT = MappingProxyType({ProviderName.CODEX: codex_errors.ABOUT, ProviderName.COPILOT: copilot_errors.ABOUT})


def told(story: Story, names: Mapping[int, str], now: datetime) -> Iterator[RenderableType]:
    """Everything, part by part."""
    yield escape(f"request {story.flow_id}: {story.what}, {ago(story.asked_at, now)}")
    for index, choice in enumerate(story.choices):
        yield ""
        yield escape(headline(choice, names, story))
        if index in (0, len(story.choices) - 1):  # a long walk through the pool is told by its ends
            yield _candidates(choice, names)
            yield from map(escape, _others(choice, names))
    yield ""
    yield _attempts(story, names) if story.attempts else unanswered(story.choices[-1])


def listed(stories: Iterable[Story], names: Mapping[int, str], now: datetime) -> Table:
    """A line for each."""
    table = folding("request", "when", "what", "went")
    for story in stories:
        row = (story.flow_id[:SHORT], ago(story.asked_at, now), story.what, _way(story, names))
        table.add_row(*map(escape, row))
    return table


def _way(story: Story, names: Mapping[int, str]) -> str:
    each = (f"{name_of(a.account_id, names)} {a.outcome}{in_place_of(a.model, story.own)}" for a in story.attempts)
    went = [f"{what} x{count}" if (count := len(list(alike))) > 1 else what for what, alike in groupby(each)]
    last = story.choices[-1]
    if last.reason == WAITING:
        went.append("waits")
    elif last.account_id is None:
        went.append("nobody left" if went else "nobody could be asked")
    return " > ".join(went) or f"{name_of(last.account_id, names)}, no answer recorded"


def _candidates(choice: Choice, names: Mapping[int, str]) -> Table:
    table = folding("account", "score", "by", "why")
    for candidate, why in judgements(choice):
        shown = name_of(candidate.account.id, names), f"{candidate.merit:.2f}", _windows(candidate.score), why
        table.add_row(*map(escape, shown))
    return table


def _windows(score: Score) -> str:
    if score.standing is Standing.UNKNOWN:
        return "nothing seen yet"
    parts = [f"{score.main} unlimited" if score.standing is Standing.UNLIMITED else score.main or ""]
    if score.standing is Standing.EXHAUSTED:
        parts.append("empty")
    if score.guard is not None:
        parts.append(f"{score.guard} takes {1 - score.factor:.0%}")
    if score.stale:
        parts.append("seen long ago")
    return ", ".join(parts)


def _others(choice: Choice, names: Mapping[int, str]) -> Iterator[str]:
    if choice.left_out:
        yield f"and {choice.left_out} more that could be asked; those above were recorded"
    others = others_would(choice)
    if others:
        whom = ", ".join(f"{strategy} -> {name_of(account_id, names)}" for strategy, account_id in others.items())
        yield f"{'a new conversation' if choice.reason in STAYED else 'other strategies'}: {whom}"


def others_would(choice: Choice) -> dict[Strategy, int]:
    """Whom each other strategy would have chosen; of a conversation that stays where it is, every one."""
    every = {s: would_choose(choice, s) for s in Strategy if s is not choice.strategy or choice.reason in STAYED}
    return {strategy: account_id for strategy, account_id in every.items() if account_id is not None}


def _attempts(story: Story, names: Mapping[int, str]) -> Table:
    table = folding("attempt", "account", "why", "outcome", "status", "first byte", "total", "tokens")
    for a in story.attempts:
        status = str(a.status) if a.status is not None else "-"
        why = REASONS.get(a.reason or "", "-") + in_place_of(a.model, story.own)
        took = (_ms(a.first_byte_ms), _ms(a.total_ms), _tokens(a.tokens))
        whose = _whose(a, story)
        outcome = f"{a.outcome} ({whose})" if whose is not None else a.outcome
        table.add_row(*map(escape, (str(a.number), name_of(a.account_id, names), why, outcome, status, *took)))
    return table


def _whose(attempt: Attempt, story: Story) -> str | None:
    """Whose affair a refusal was, as the tables say it; None where nothing was refused."""
    if attempt.outcome.startswith(UNKNOWN):
        return About.REQUEST.value
    about = _ABOUT[story.choices[0].provider].get(attempt.outcome)
    return about.value if about is not None else None


def _ms(duration_ms: float | None) -> str:
    return f"{duration_ms:.0f} ms" if duration_ms is not None else "-"


def _tokens(tokens: Tokens | None) -> str:
    if tokens is None:
        return "-"
    cached = f" ({tokens.cached:,} cached)" if tokens.cached else ""
    sent = f"{tokens.input:,} in{cached}" if tokens.input is not None else ""
    thought = f" ({tokens.reasoning:,} reasoning)" if tokens.reasoning else ""
    return ", ".join(filter(None, (sent, f"{tokens.output:,} out{thought}" if tokens.output is not None else "")))


def as_json(story: Story, names: Mapping[int, str]) -> dict[str, Any]:
    """Plain values; times are ISO 8601 in UTC, an account that was removed since is null."""
    first = story.choices[0]
    return {
        "request": story.flow_id,
        "asked_at": story.asked_at.isoformat(),
        "provider": first.provider.value,
        "route": story.attempts[0].route if story.stayed else first.route,
        "model": first.model,
        "choices": [_choice_json(choice, names, story) for choice in story.choices],
        "attempts": [_attempt_json(attempt, names, story) for attempt in story.attempts],
    }


def _choice_json(choice: Choice, names: Mapping[int, str], story: Story) -> dict[str, Any]:
    words = [why for _, why in judgements(choice)]
    return {
        "attempt": choice.number if choice.flow_id == story.flow_id else 1,
        "model": choice.model,
        "decided_at": choice.decided_at.isoformat(),
        "told_in": choice.flow_id if choice.flow_id != story.flow_id else None,
        "strategy": choice.strategy,
        "rule": choice.rule,
        "account": names.get(choice.account_id or 0),
        "reason": choice.reason,
        "candidates": [_candidate_json(*each, names) for each in zip(choice.contenders, words, strict=True)],
        "left_out": choice.left_out,
        "others": {strategy: names.get(account_id) for strategy, account_id in others_would(choice).items()},
    }


def _candidate_json(each: Contender, why: str, names: Mapping[int, str]) -> dict[str, Any]:
    score = each.candidate.score
    return {
        "account": names.get(each.candidate.account.id),
        "score": each.candidate.merit,
        "begins_a_window": each.candidate.dormant,
        "standing": score.standing.value,
        "window": score.main,
        "guard": score.guard,
        "guard_factor": score.factor,
        "stale": score.stale,
        "preferred": each.preferred,
        "excluded": [_bar_json(bar) for bar in each.bars],
        "why": why,
    }


def _bar_json(bar: Bar) -> dict[str, Any]:
    return {
        "by": bar.kind,
        "reason": bar.code or None,
        "until": bar.until.isoformat() if bar.until is not None else None,
        "scope": bar.scope.kind if bar.kind is BarKind.COOLING else None,
        "of": bar.scope.value or None,
    }


def _attempt_json(attempt: Attempt, names: Mapping[int, str], story: Story) -> dict[str, Any]:
    tokens = attempt.tokens or Tokens(None, None, None)
    return {
        "attempt": attempt.number,
        "account": names.get(attempt.account_id),
        "model": attempt.model,
        "reason": attempt.reason,
        "outcome": attempt.outcome,
        "whose": _whose(attempt, story),
        "status": attempt.status,
        "started_at": attempt.started_at.isoformat(),
        "first_byte_ms": attempt.first_byte_ms,
        "total_ms": attempt.total_ms,
        "input_tokens": tokens.input,
        "cached_tokens": tokens.cached,
        "output_tokens": tokens.output,
        "reasoning_tokens": tokens.reasoning,
        "cache_written_tokens": tokens.written,
        "ai_credits": tokens.nano_credits / NANO if tokens.nano_credits is not None else None,
        "client": attempt.client,
        "repository": attempt.repository,
    }
