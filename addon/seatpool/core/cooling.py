"""What keeps an account, or a part of it, out of selection until a moment."""

from collections.abc import Iterable
from datetime import datetime
from math import inf

from seatpool.core.model import WHOLE_ACCOUNT, Cooldown, Scope


class Cooling:
    """The cooldowns in force, by account and scope. Mutable, yet pure."""

    def __init__(self) -> None:
        self.known: dict[int, dict[Scope, Cooldown]] = {}
        self._probes: dict[int, dict[Scope, Cooldown]] = {}
        """Put aside until one request has gone out to try the account, or that part of it."""

    def add(self, cooldown: Cooldown) -> bool:
        """One more; never shortened by a later, smaller one. Whether anything is another now.

        It ends a probe, unless it is the one which that tries, read back from where it was stored.
        """
        if cooldown == self._probes.get(cooldown.account_id, {}).get(cooldown.scope):
            return False
        closed = self._close_probe(cooldown.account_id, cooldown.scope)
        known = self.known.setdefault(cooldown.account_id, {})
        before = known.get(cooldown.scope)
        if before is not None and before.until >= cooldown.until:
            return closed
        known[cooldown.scope] = cooldown
        return True

    def lift(self, account_id: int, scope: Scope) -> bool:
        """End one before its time; or forget one that is over. Whether there was one."""
        self._close_probe(account_id, scope)
        return self.known.get(account_id, {}).pop(scope, None) is not None

    def open_probe(self, cooldown: Cooldown) -> bool:
        """Let one request try what this cooldown, if it is still the one in force, keeps away from. Whether it may."""
        known = self.known.get(cooldown.account_id, {})
        if known.get(cooldown.scope) != cooldown:
            return False
        self._probes.setdefault(cooldown.account_id, {})[cooldown.scope] = known.pop(cooldown.scope)
        return True

    def take_probe(self, account_id: int, scopes: Iterable[Scope]) -> Cooldown | None:
        """A request for these scopes goes out: where it is the one that tries, the cooldown holds for all others."""
        open_ = self._probes.get(account_id)
        held = next((c for s in (WHOLE_ACCOUNT, *scopes) if (c := open_.get(s)) is not None), None) if open_ else None
        if held is not None:
            self._close_probe(account_id, held.scope)
        return held

    def blocked(self, account_id: int, scopes: Iterable[Scope], now: datetime) -> Cooldown | None:
        """The longest live cooldown of an account that touches any of the scopes (the whole account always counts)."""
        known = self.known.get(account_id)
        if not known:
            return None
        live = [c for s in (WHOLE_ACCOUNT, *scopes) if (c := known.get(s)) is not None and c.until > now]
        return max(live, key=lambda c: c.until, default=None)

    def next_end(self, account_id: int, now: datetime) -> float:
        """When the first of them ends, in seconds since the epoch; infinity where none is live."""
        known = self.known.get(account_id)
        return min((c.until.timestamp() for c in known.values() if c.until > now), default=inf) if known else inf

    def forget(self, account_id: int) -> None:
        """The account is gone."""
        self.known.pop(account_id, None)
        self._probes.pop(account_id, None)

    def _close_probe(self, account_id: int, scope: Scope) -> bool:
        held = self._probes.get(account_id, {}).pop(scope, None)
        if held is None:
            return False
        self.known[account_id][scope] = held
        return True
