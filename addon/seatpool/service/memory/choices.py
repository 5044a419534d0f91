"""What `seatpool why` is to tell of each choice.

A conversation's next request mostly stays where the last one was. To keep all the candidates again would tell nothing
new, so for a minute its attempts name the request that told them.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from seatpool.core.explain import WAITING, Glimpse, glimpse
from seatpool.core.selection import AFFINITY, Exhausted, Selection
from seatpool.core.state import PoolState
from seatpool.service.trail import Trail

TOLD_FOR = timedelta(minutes=1)
"""Candidates that were told so long ago are told again."""
REMEMBERED = 1_000
"""Conversations, the latest."""


class _Told(NamedTuple):
    at: datetime
    flow_id: str
    account_id: int
    model: str | None
    rule: str | None


class Choices:
    """One per process."""

    def __init__(self, state: PoolState, keep: Callable[[Glimpse], None]) -> None:
        self._state = state
        self._keep = keep
        self._told: OrderedDict[str, _Told] = OrderedDict()
        """By conversation."""

    def note(self, trail: Trail, choice: Selection | Exhausted, now: datetime, *, waiting: bool = False) -> None:
        """Keep what there is to be told of a choice, before it changes anything; `waiting`: it is looked for again."""
        facts, rule = trail.facts, trail.rule.name if trail.rule is not None else None
        trail.chosen_in = self._told_in(trail, choice, rule, now)
        if trail.chosen_in is None:
            request = (trail.flow_id, trail.number + 1, facts.route.name, facts.model, rule)
            seen = glimpse(self._state, trail.demand, now, trail.tried, choice, request)
            self._keep(seen._replace(reason=WAITING) if waiting else seen)
            if facts.conversation is not None and isinstance(choice, Selection):
                told = _Told(now, trail.flow_id, choice.account.id, facts.model, rule)
                self._remember(facts.conversation, told)

    def _told_in(self, trail: Trail, choice: Selection | Exhausted, rule: str | None, now: datetime) -> str | None:
        """The request whose candidates are those of this one, if it merely stays where its conversation was."""
        told = self._told.get(trail.facts.conversation or "")
        if told is None or trail.number or isinstance(choice, Exhausted) or choice.reason != AFFINITY:
            return None
        same = told[2:] == (choice.account.id, trail.facts.model, rule)
        return told.flow_id if same and now - told.at < TOLD_FOR else None

    def _remember(self, conversation: str, told: _Told) -> None:
        self._told[conversation] = told
        self._told.move_to_end(conversation)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
