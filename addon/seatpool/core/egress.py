"""Throttles that are nobody's account's: upstream limits the address that all requests come from.

Such an answer names neither account nor time. One alone may be anybody's; when another account meets the same within
seconds, it is the address, and whoever is asked next would meet it too.
"""

from datetime import datetime, timedelta

from seatpool.core.model import ProviderName


class Egress:
    """Who met such an answer lately. Mutable, yet pure: it never asks the time."""

    def __init__(self) -> None:
        self._met: dict[ProviderName, dict[int, datetime]] = {}

    def meet(self, provider: ProviderName, account_id: int, now: datetime, within_s: float) -> dict[int, datetime]:
        """Note that an account met one; returns which others did within that time, and when: any make it the address's.

        An account's later answer takes the place of its earlier one.
        """
        within = timedelta(seconds=within_s)
        known = self._met.get(provider, {})
        # What seems to be of the future was met before the clock was set back.
        others = {i: at for i, at in known.items() if abs(now - at) <= within and i != account_id}
        self._met[provider] = {**others, account_id: now}
        return others
