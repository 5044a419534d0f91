"""A request as it is recorded: what was chosen for it, what came of it, and how a person is told."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from seatpool.core.explain import EXHAUSTED, WAITING, Choice
from seatpool.core.model import Attempt
from seatpool.core.reasons import REASONS, judgements
from seatpool.core.selection import AFFINITY
from seatpool.core.spans import ago, closely, span

SHORT = 8
"""Characters of a request's id that log lines show."""


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
    def own(self) -> Sequence[Choice]:
        """Without that of an earlier request."""
        return self.choices[self.stayed :]

    @property
    def what(self) -> str:
        """Provider, route and model; of a socket whose handshake is silent about that the first that a turn names."""
        first = self.choices[0]
        route = self.attempts[0].route if self.stayed else first.route
        model = first.model or next((attempt.model for attempt in self.attempts if attempt.model), None)
        return " ".join(filter(None, (first.provider.value, route, model)))


def plainly(story: Story, names: Mapping[int, str], now: datetime) -> Iterator[str]:
    """Everything that matters, line by line."""
    yield f"request {story.flow_id}: {story.what}, {ago(story.asked_at, now)}"
    for choice in story.choices:
        yield headline(choice, names, story)
        yield from (f"  {name_of(candidate.account.id, names)}: {why}" for candidate, why in judgements(choice))
    for a in story.attempts:
        status = f" {a.status}" if a.status is not None else ""
        took = f", {a.total_ms:.0f} ms" if a.total_ms is not None else ""
        yield f"sent to {name_of(a.account_id, names)} (attempt {a.number}): {a.outcome}{status}{took}"
    if not story.attempts:
        yield unanswered(story.choices[-1])


def headline(choice: Choice, names: Mapping[int, str], story: Story) -> str:
    """One choice: whom, and why."""
    order = f"strategy {choice.strategy}" if choice.strategy is not None else "by priority alone"
    order += f", rule {choice.rule}" if choice.rule is not None else ""
    instead = in_place_of(choice.model, story.own)
    if choice.reason == WAITING:
        return f"attempt {choice.number}: nobody yet{instead}, {_waited(choice, story)} ({order})"
    if choice.account_id is None:
        return f"attempt {choice.number}: nobody could be asked{instead} ({order})"
    if choice.flow_id != story.flow_id:
        earlier = span(story.asked_at - choice.decided_at)
        return (
            f"attempt 1: {name_of(choice.account_id, names)}, {REASONS[AFFINITY]};"
            f" chosen as follows {earlier} earlier, for request {choice.flow_id[:SHORT]} ({order})"
        )
    reason = REASONS.get(choice.reason, choice.reason)
    return f"attempt {choice.number}: {name_of(choice.account_id, names)}, {reason}{instead} ({order})"


def _waited(choice: Choice, story: Story) -> str:
    """How long it waited, as far as the next choice tells."""
    behind = story.choices[story.choices.index(choice) + 1 :]
    return f"so it waited for {closely(behind[0].decided_at - choice.decided_at)}" if behind else "so it waits"


def in_place_of(model: str | None, choices: Sequence[Choice]) -> str:
    """Tells a substitute where it is one; `choices` are those of its request.

    An account was chosen for it, after none could be for what was asked. A model that a message names on an open
    socket, whose handshake said another one or none, is the client's own.
    """
    asked = choices[0].model if choices else None
    substituted = asked not in (None, model) and any(choice.model == model for choice in choices)
    return f" for {model} in the place of {asked}" if substituted else ""


def unanswered(last: Choice) -> str:
    """Of a request without attempts."""
    if last.reason == WAITING:
        return "nothing was sent upstream yet, or the client went away while it waited"
    if last.reason == EXHAUSTED:
        return "nothing was sent upstream"
    return "no answer is recorded: it is not over yet, the client went away before it, or no token could be had"


def name_of(account_id: int | None, names: Mapping[int, str]) -> str:
    """The account's name."""
    if account_id is None:
        return "nobody"
    return names.get(account_id, f"(removed, no. {account_id})")
