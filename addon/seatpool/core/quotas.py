"""What was seen of the accounts' quotas."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from seatpool.core.model import QuotaWindow

CHAT, PREMIUM = "chat", "premium_"
"""Copilot's bucket of every chat, and how those are called that only models draw on which a plan does not include
(copilot.md 5.1, 5.2)."""
FRESH = timedelta(seconds=60)
"""What was seen within it is as good as seen now (codex.md 8): the same again is no news before it is over."""


def is_recent(seen_at: datetime, now: datetime, within: timedelta) -> bool:
    """Whether something was seen so lately. What was seen in the future was seen before the clock was set back."""
    return -FRESH <= now - seen_at < within


class Quotas:
    """Windows, by account and bucket. Mutable, yet pure."""

    def __init__(self) -> None:
        self.known: dict[int, dict[str, QuotaWindow]] = {}
        self._gone: dict[int, dict[str, QuotaWindow]] = {}
        """The news that there are none: older news of a window does not bring it back."""

    def observe(self, account_id: int, windows: Iterable[QuotaWindow], now: datetime) -> tuple[list[QuotaWindow], bool]:
        """Take in windows; the newest observation of each wins. Returns those that a reader would see differ.

        The same value again differs by its age, once that is more than `FRESH`; before, the one that is known stays.
        The second result tells whether nothing but ages differs.
        """
        known, gone = self.known.setdefault(account_id, {}), self._gone.get(account_id, {})
        changed, repeated = [], True
        for window in windows:
            before = known.get(window.bucket)
            last = before or gone.get(window.bucket)
            if last is not None and window.observed_at < last.observed_at <= now + FRESH:
                continue  # as `is_recent` has it
            if window.gone:
                self._gone.setdefault(account_id, {})[window.bucket] = window
                if known.pop(window.bucket, None) is not None:
                    changed.append(window)
                    repeated = False
            elif before is None or before.shown != window.shown or window.observed_at - before.observed_at >= FRESH:
                known[window.bucket] = window
                changed.append(window)
                repeated = repeated and before is not None and before.repeated_by(window)
        return changed, repeated

    def general(self, account_id: int) -> Iterable[QuotaWindow]:
        """The windows that every request draws on."""
        return (w for w in self.known.get(account_id, {}).values() if "/" not in w.bucket)

    def spent(self, account_id: int, buckets: Iterable[str], now: datetime) -> datetime | None:
        """When the last of these buckets resets that nothing is left of; None while there is something of each."""
        known = self.known.get(account_id, {})
        ends = [end for b in buckets if (w := known.get(b)) is not None and (end := w.empty_until) is not None]
        return max((end for end in ends if end > now), default=None)

    def observed_at(self, account_id: int) -> datetime | None:
        """When anything was seen last of the account's quota."""
        return max((w.observed_at for w in self.known.get(account_id, {}).values()), default=None)

    def forget(self, account_id: int) -> None:
        """The account is gone."""
        self.known.pop(account_id, None)
        self._gone.pop(account_id, None)
