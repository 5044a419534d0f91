"""Which conversation is where: noted for every request, written now and then, heard from other processes.

A process that takes over, after a restart or beside another one, finds the caches that its requests left warm.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from seatpool.core.affinity import Held
from seatpool.core.model import Affinity, Tokens
from seatpool.core.state import PoolState

WRITE_EVERY_S = 60.0
"""A conversation that stays where it is is written so often at most: nothing more is lost by a kill than a minute."""


class Affinities:
    """The state's memory of conversations, and what of it was written."""

    def __init__(self, state: PoolState, write: Callable[[Affinity], None]) -> None:
        """`write` returns at once."""
        self._state = state
        self._write = write

    def note(self, conversation: str | None, account_id: int, now: datetime) -> None:
        """An account serves a conversation: an answer has begun."""
        if conversation is None:
            return
        self._state.remember(conversation, account_id, now)
        held = self._state.affinity.held(conversation, now.timestamp())
        if held is not None and held.written_at + WRITE_EVERY_S <= held.at:
            self._put(conversation, held, now)

    def told(self, conversation: str | None, account_id: int, now: datetime, tokens: Tokens) -> None:
        """The answer is over, and upstream has told what was sent and what of it was in its cache."""
        if conversation is None or tokens.input is None:
            return
        holds = self._state.affinity.weigh(conversation, account_id, tokens.input, tokens.cached)
        if holds is None:
            return
        self._state.remember(conversation, account_id, now, cached_tokens=holds)
        held = self._state.affinity.held(conversation, now.timestamp())
        if held is not None and (not held.written or held.written_at + WRITE_EVERY_S <= held.at):
            self._put(conversation, held, now)

    def hear(self, told: Iterable[Affinity], now: datetime) -> None:
        """What the store has, the oldest first: it counts where nothing newer is known.

        What is of the future was written before the clock was set back, or by one that is ahead: it is as of now.
        """
        for each in told:
            served_at = min(each.served_at, now)
            if not self._state.served_since(each.conversation, served_at.timestamp()):
                known = each.conversation, each.account_id, served_at
                self._state.remember(*known, cached_tokens=each.cached_tokens)
                self._state.affinity.wrote(each.conversation)

    def _put(self, conversation: str, held: Held, now: datetime) -> None:
        self._write(Affinity(conversation, held.account_id, now, held.told or None))
        self._state.affinity.wrote(conversation)
