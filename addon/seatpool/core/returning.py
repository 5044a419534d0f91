"""Accounts that come back from a limit while requests wait for them: one is let through, and more as that goes well.

Whoever was kept waiting would else fall upon the first account that is there again, all in the same instant, and so
bring the limit back. One request goes out; each that is served lets two more go; and while nothing is known, one more
goes each second, since some answers begin late. Newcomers stand behind those who wait: they meet the same bound.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from seatpool.core.model import WHOLE_ACCOUNT, Scope

MORE = 2
"""So many go out for each that was served."""
TRICKLE = timedelta(seconds=1)
"""After so long one more may go, whatever is known."""


class _Gate(msgspec.Struct):
    room: int = 1
    passed_at: datetime | None = None


class Returning:
    """Mutable, yet pure. Empty while nobody waits for the end of a limit."""

    def __init__(self) -> None:
        self._gates: dict[int, dict[Scope, _Gate]] = {}

    def __len__(self) -> int:
        return len(self._gates)

    def expect(self, account_id: int, scope: Scope = WHOLE_ACCOUNT) -> None:
        """Somebody waits until this part of the account is there again."""
        self._gates.setdefault(account_id, {}).setdefault(scope, _Gate())

    def full(self, account_id: int, scopes: Iterable[Scope]) -> bool:
        """Whether a request for these scopes has to wait until more is known of the account."""
        return any(gate.room <= 0 for gate in self._of(account_id, scopes))

    def take(self, account_id: int, scopes: Iterable[Scope], now: datetime) -> None:
        """A request for these scopes goes out."""
        for gate in self._of(account_id, scopes):
            gate.room -= 1
            gate.passed_at = now

    def served(self, account_id: int, scopes: Iterable[Scope]) -> bool:
        """One was served. Whether that lets others go."""
        gates = self._of(account_id, scopes)
        for gate in gates:
            gate.room = max(gate.room, 0) + MORE
        return bool(gates)

    def look(self, now: datetime) -> None:
        """Time goes by."""
        for gates in self._gates.values():
            for gate in gates.values():
                if gate.room <= 0 and gate.passed_at is not None and not timedelta() <= now - gate.passed_at < TRICKLE:
                    gate.room = 1

    def clear(self) -> None:
        """Nobody waits for a limit's end any more."""
        self._gates.clear()

    def _of(self, account_id: int, scopes: Iterable[Scope]) -> list[_Gate]:
        gates = self._gates.get(account_id)
        return [gate for s in (WHOLE_ACCOUNT, *scopes) if (gate := gates.get(s)) is not None] if gates else []
