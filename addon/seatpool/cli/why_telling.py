"""What is known of a request, as a person and as a program reads it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from seatpool.cli.spans import ago, closely, span
from seatpool.core.explain import EXHAUSTED, STAYED, WAITING, Bar, BarKind, Choice, Contender, would_choose
from seatpool.core.ledger import NANO
from seatpool.core.model import Attempt, ProviderName, Tokens
from seatpool.core.outcome import UNKNOWN, About
from seatpool.core.scoring import Score, Standing
from seatpool.core.strategy import Candidate, Strategy
from seatpool.providers.codex import errors as codex_errors
from seatpool.providers.copilot import errors as copilot_errors

_ABOUT = MappingProxyType({ProviderName.CODEX: codex_errors.ABOUT, ProviderName.COPILOT: copilot_errors.ABOUT})
SHORT = 8
"""Characters of a request's id that log lines show."""

BARS: Mapping[BarKind, Callable[[Bar, Choice], str]] = MappingProxyType(
    {
        BarKind.RULE: lambda _bar, choice: f"rule {choice.rule} names other accounts",
        BarKind.LACKING: lambda _bar, _choice: "the model is not in its list",
        BarKind.SPENT: lambda bar, choice: f"nothing left of the model's quota for {_ahead(bar, choice)}",
        BarKind.DISABLED: lambda bar, _choice: f"disabled: {bar.code}",
        BarKind.PAUSED: lambda _bar, _choice: "paused",
        BarKind.AWAY: lambda _bar, _choice: "its editor was not in use",
        BarKind.COOLING: lambda bar, choice: _cooling(bar, choice),
        BarKind.FULL: lambda _bar, _choice: "as many requests under way as it takes, or only just back",
        BarKind.TRIED: lambda _bar, _choice: "tried already",
    }
)
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "affinity": "it has the conversation",
        "bound": "it alone can read the conversation",
        "rule": "the rule prefers it",
        "best": "first in the order",
        "fallback": "the first that can serve",
        "renewed": "the same again, with a renewed token",
        "repaired": "the same again, without what it could not read",
        "resent": "the same again, on a fresh connection",
        "socket": "a turn on its open socket",
    }
)


class Story(msgspec.Struct, frozen=True):
    """A request: what was chosen, and what came of it."""

    flow_id: str
    choices: Sequence[Choice]
    """At least one, in order; the first may be that of an earlier request whose conversation this one stayed with."""
    attempts: Sequence[Attempt]

    @property
    def asked_at(self) -> datetime:
        """When the first account was chosen."""
        return self.attempts[0].started_at if self.stayed else self.choices[0].decided_at

    @property
    def stayed(self) -> bool:
        """Whether the first choice is an earlier request's."""
        return self.choices[0].flow_id != self.flow_id

    @property
    def what(self) -> str:
        """Provider, route and model."""
        first = self.choices[0]
        route = self.attempts[0].route if self.stayed else first.route
        return " ".join(filter(None, (first.provider.value, route, first.model)))


def told(story: Story, names: Mapping[int, str], now: datetime) -> Iterator[RenderableType]:
    """Everything, part by part."""
    yield escape(f"request {story.flow_id}: {story.what}, {ago(story.asked_at, now)}")
    for index, choice in enumerate(story.choices):
        yield ""
        yield escape(_headline(choice, names, story))
        if index in (0, len(story.choices) - 1):  # a long walk through the pool is told by its ends
            yield _candidates(choice, names)
            yield from map(escape, _others(choice, names))
    yield ""
    yield _attempts(story, names) if story.attempts else _unanswered(story.choices[-1])


def listed(stories: Iterable[Story], names: Mapping[int, str], now: datetime) -> Table:
    """A line for each."""
    table = Table("request", "when", "what", "went", box=None)
    for story in stories:
        row = (story.flow_id[:SHORT], ago(story.asked_at, now), story.what, _way(story, names))
        table.add_row(*map(escape, row))
    return table


def _way(story: Story, names: Mapping[int, str]) -> str:
    asked = story.choices[0].model
    each = (f"{_name(a.account_id, names)} {a.outcome}{_instead(a.model, asked)}" for a in story.attempts)
    went = [f"{what} x{count}" if (count := len(list(alike))) > 1 else what for what, alike in groupby(each)]
    last = story.choices[-1]
    if last.reason == WAITING:
        went.append("waits")
    elif last.account_id is None:
        went.append("nobody left" if went else "nobody could be asked")
    return " > ".join(went) or f"{_name(last.account_id, names)}, no answer recorded"


def _headline(choice: Choice, names: Mapping[int, str], story: Story) -> str:
    order = f"strategy {choice.strategy}" if choice.strategy is not None else "by priority alone"
    order += f", rule {choice.rule}" if choice.rule is not None else ""
    instead = _instead(choice.model, story.choices[0].model)
    if choice.reason == WAITING:
        return f"attempt {choice.number}: nobody yet{instead}, {_waited(choice, story)} ({order})"
    if choice.account_id is None:
        return f"attempt {choice.number}: nobody could be asked{instead} ({order})"
    if choice.flow_id != story.flow_id:
        earlier = span(story.asked_at - choice.decided_at)
        return (
            f"attempt 1: {_name(choice.account_id, names)}, {REASONS['affinity']};"
            f" chosen as follows {earlier} earlier, for request {choice.flow_id[:SHORT]} ({order})"
        )
    reason = REASONS.get(choice.reason, choice.reason)
    return f"attempt {choice.number}: {_name(choice.account_id, names)}, {reason}{instead} ({order})"


def _waited(choice: Choice, story: Story) -> str:
    """How long it waited, as far as the next choice tells."""
    behind = story.choices[story.choices.index(choice) + 1 :]
    return f"so it waited for {closely(behind[0].decided_at - choice.decided_at)}" if behind else "so it waits"


def _instead(model: str | None, asked: str | None) -> str:
    """Tells a substitute where it is one."""
    return f" for {model} in the place of {asked}" if model != asked else ""


def _candidates(choice: Choice, names: Mapping[int, str]) -> Table:
    table = Table("account", "score", "by", "why", box=None)
    for candidate, why in rows(choice):
        shown = _name(candidate.account.id, names), f"{candidate.merit:.2f}", _windows(candidate.score), why
        table.add_row(*map(escape, shown))
    return table


def rows(choice: Choice) -> Iterator[tuple[Candidate, str]]:
    """The account, and in words why it was chosen or was not."""
    place = 0
    for each in choice.contenders:
        place += not each.bars
        yield each.candidate, _why(choice, each, place)


def _why(choice: Choice, each: Contender, place: int) -> str:
    if each.candidate.account.id == choice.account_id:
        return f"chosen: {REASONS.get(choice.reason, choice.reason)}"
    if each.bars:
        return "; ".join(BARS[bar.kind](bar, choice) for bar in each.bars)
    empty = ", known to be empty" if each.candidate.score.standing is Standing.EXHAUSTED else ""
    return f"no. {place} in the order{empty}"


def _cooling(bar: Bar, choice: Choice) -> str:
    part = f"{bar.scope.value} " if bar.scope.value else ""
    return f"{part}cooling for {_ahead(bar, choice)}: {bar.code}"


def _ahead(bar: Bar, choice: Choice) -> str:
    return closely(bar.until - choice.decided_at) if bar.until is not None else "a time that is not known"


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
        whom = ", ".join(f"{strategy} -> {_name(account_id, names)}" for strategy, account_id in others.items())
        yield f"{'a new conversation' if choice.reason in STAYED else 'other strategies'}: {whom}"


def others_would(choice: Choice) -> dict[Strategy, int]:
    """Whom each other strategy would have chosen; of a conversation that stays where it is, every one."""
    every = {s: would_choose(choice, s) for s in Strategy if s is not choice.strategy or choice.reason in STAYED}
    return {strategy: account_id for strategy, account_id in every.items() if account_id is not None}


def _attempts(story: Story, names: Mapping[int, str]) -> Table:
    table = Table("attempt", "account", "why", "outcome", "status", "first byte", "total", "tokens", box=None)
    for a in story.attempts:
        status = str(a.status) if a.status is not None else "-"
        why = REASONS.get(a.reason or "", "-") + _instead(a.model, story.choices[0].model)
        took = (_ms(a.first_byte_ms), _ms(a.total_ms), _tokens(a.tokens))
        whose = _whose(a, story)
        outcome = f"{a.outcome} ({whose})" if whose is not None else a.outcome
        table.add_row(*map(escape, (str(a.number), _name(a.account_id, names), why, outcome, status, *took)))
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


def _unanswered(last: Choice) -> str:
    if last.reason == WAITING:
        return "nothing was sent upstream yet, or the client went away while it waited"
    if last.reason == EXHAUSTED:
        return "nothing was sent upstream"
    return "no answer is recorded: it is not over yet, the client went away before it, or no token could be had"


def _name(account_id: int | None, names: Mapping[int, str]) -> str:
    if account_id is None:
        return "nobody"
    return names.get(account_id, f"(removed, no. {account_id})")


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
    words = [why for _, why in rows(choice)]
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
