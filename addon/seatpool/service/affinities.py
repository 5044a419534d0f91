"""Which conversation is where: noted for every request, written now and then, heard from other processes.

A process that takes over, after a restart or beside another one, finds the caches that its requests left warm.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime

from seatpool.core.model import Affinity
from seatpool.core.policy import Policy
from seatpool.core.state import PoolState

WRITE_EVERY_S = 60.0
"""A conversation that stays where it is is written so often at most: nothing more is lost by a kill than a minute."""


class Affinities:
    """The state's memory of conversations, and what of it was written."""

    def __init__(self, state: PoolState, write: Callable[[Affinity], None]) -> None:
        """`write` returns at once."""
        self._state = state
        self._write = write
        self._written: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """By conversation: which account was written, and when, in seconds since the epoch."""

    def note(
        self, conversation: str | None, account_id: int, now: datetime, policy: Policy, cached_tokens: int | None = None
    ) -> None:
        """An account has served a conversation."""
        if conversation is None:
            return
        limits = policy.affinity_ttl_s, policy.affinity_limit
        self._state.remember(conversation, account_id, now, *limits, cached_tokens=cached_tokens)
        moment = now.timestamp()
        written = self._written.get(conversation)
        if written is None or written[0] != account_id or written[1] + WRITE_EVERY_S <= moment:
            self._write(Affinity(conversation, account_id, now, cached_tokens))
            self._mark(conversation, account_id, moment, policy)

    def hear(self, told: Iterable[Affinity], policy: Policy) -> None:
        """What the store has, the oldest first: it counts where nothing newer is known."""
        for each in told:
            moment = each.served_at.timestamp()
            if self._state.served_since(each.conversation, moment):
                continue
            limits = policy.affinity_ttl_s, policy.affinity_limit
            known = each.conversation, each.account_id, each.served_at
            self._state.remember(*known, *limits, cached_tokens=each.cached_tokens)
            self._mark(each.conversation, each.account_id, moment, policy)

    def _mark(self, conversation: str, account_id: int, moment: float, policy: Policy) -> None:
        self._written[conversation] = (account_id, moment)
        self._written.move_to_end(conversation)
        while len(self._written) > policy.affinity_limit:
            self._written.popitem(last=False)
