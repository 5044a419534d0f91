"""Whose numbers an editor is shown as its quota (`pool_client_quota`)."""

from collections.abc import Mapping

from seatpool.clock import utcnow
from seatpool.core.model import Account, ProviderName
from seatpool.core.shown import Showing, Shown, as_known
from seatpool.core.state import PoolState
from seatpool.providers.showing import DIALECTS
from seatpool.service.trail import Trail


class ShownQuota:
    """What to show in the place of the serving account's numbers."""

    def __init__(self, state: PoolState, showing: Showing) -> None:
        self._state = state
        self._showing = showing
        self._sizes: dict[int, dict[str, float]] = {}
        """By account id."""

    def note(self, trail: Trail, sizes: Mapping[str, float]) -> None:
        """An answer of the account that serves, which goes out as it came, has told how much there is in all."""
        if sizes and trail.current is not None:
            self._sizes.setdefault(trail.current.account.id, {}).update(sizes)

    def of(self, trail: Trail) -> Shown | None:
        """For an answer that came from an account; None: what came.

        Of an editor whose own account is not known, nothing is known.
        """
        current, own = trail.current, trail.own.account_id if trail.own is not None else None
        if current is None or (self._showing is Showing.PRIMARY and current.account.id == own):
            return None
        account = self._state.accounts.get(own) if own is not None else None
        if self._showing is Showing.POOL:
            return self.pool(trail.facts.route.provider, account)
        now = utcnow()
        if account is None:
            return Shown({}, now)
        windows = self._state.windows.get(account.id, {})
        return Shown(as_known(windows.values(), now), now, account.plan, self._sizes.get(account.id, {}))

    def pool(self, provider: ProviderName, own: Account | None = None) -> Shown | None:
        """What all accounts have left that may be asked; None where there are none, or this is not wished."""
        if self._showing is not Showing.POOL:
            return None
        state, now = self._state, utcnow()
        able = [a for a in state.accounts.values() if a.provider is provider and state.may_serve(a)]
        if not able:
            return None
        members = [(account.plan, state.windows.get(account.id, {}).values()) for account in able]
        windows = DIALECTS[provider].pooled(members, now)
        return Shown(windows, now, own.plan if own is not None else None)
