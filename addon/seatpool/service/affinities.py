"""Which conversation is where: noted for every request, written now and then, heard from other processes.

A process that takes over, after a restart or beside another one, finds the caches that its requests left warm.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime

from seatpool.core.model import Affinity, Tokens
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
        self._written: OrderedDict[str, tuple[int, float, bool]] = OrderedDict()
        """By conversation: which account was written, when (seconds since the epoch), and whether with its tokens."""

    def note(self, conversation: str | None, account_id: int, now: datetime, policy: Policy) -> None:
        """An account serves a conversation: an answer has begun."""
        if conversation is None:
            return
        self._state.remember(conversation, account_id, now, policy.affinity_ttl_s, policy.affinity_limit)
        written = self._written.get(conversation)
        if written is None or written[0] != account_id or written[1] + WRITE_EVERY_S <= now.timestamp():
            self._put(conversation, account_id, now, policy)

    def told(self, conversation: str | None, account_id: int, now: datetime, policy: Policy, tokens: Tokens) -> None:
        """The answer is over, and upstream has told what was sent and what of it was in its cache."""
        if conversation is None or tokens.input is None:
            return
        holds = self._state.affinity.weigh(conversation, account_id, tokens.input, tokens.cached)
        if holds is None:
            return
        limits = policy.affinity_ttl_s, policy.affinity_limit
        self._state.remember(conversation, account_id, now, *limits, cached_tokens=holds)
        _, written_at, with_tokens = self._written.get(conversation, (account_id, 0.0, False))
        if not with_tokens or written_at + WRITE_EVERY_S <= now.timestamp():
            self._put(conversation, account_id, now, policy)

    def hear(self, told: Iterable[Affinity], policy: Policy) -> None:
        """What the store has, the oldest first: it counts where nothing newer is known."""
        for each in told:
            moment = each.served_at.timestamp()
            if self._state.served_since(each.conversation, moment):
                continue
            limits = policy.affinity_ttl_s, policy.affinity_limit
            known = each.conversation, each.account_id, each.served_at
            self._state.remember(*known, *limits, cached_tokens=each.cached_tokens)
            self._mark(each, policy)

    def _put(self, conversation: str, account_id: int, now: datetime, policy: Policy) -> None:
        held = self._state.affinity.held(conversation, now.timestamp())
        row = Affinity(conversation, account_id, now, (held.told or None) if held is not None else None)
        self._write(row)
        self._mark(row, policy)

    def _mark(self, row: Affinity, policy: Policy) -> None:
        conversation = row.conversation
        self._written[conversation] = (row.account_id, row.served_at.timestamp(), row.cached_tokens is not None)
        self._written.move_to_end(conversation)
        while len(self._written) > policy.affinity_limit:
            self._written.popitem(last=False)
