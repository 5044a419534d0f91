"""When the clock was set: what is remembered by its old time is put right.

What was is as long ago as it was before. A limit is a rest of some length, so it ends as much later or earlier as the
clock was set by. One that seems to have begun in the future was written before the clock was set back, and lasts from
now on as long as it was to last.

The clock of a machine that stood still (a virtual one, while its host slept) seems to be set forward, and yet it was
right all the time. So what upstream has named by the calendar stays then: the reset of a window, and a limit that ends
with it. Where the clock was wrong after all, that limit ends too soon, and the next refusal names its end again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec.structs import replace

from seatpool.core.model import Cooldown, QuotaWindow
from seatpool.core.state import PoolState

AHEAD = timedelta(minutes=1)
"""By so much the clocks of those who write may differ."""
ROUNDED = timedelta(minutes=1)
"""By so much a limit's end and the reset of its window may differ, which are told in different words."""


def shift(state: PoolState, jump: timedelta, now: datetime, within: timedelta = timedelta()) -> list[Cooldown]:
    """Put the pool's memory right. The cooldowns that end later now, which others should hear of.

    `within`: the clock was set so long ago at most. What was learnt since then goes by the new time already.
    """
    later = []
    set_at = now - min(within, abs(jump))

    def righted(moment: datetime) -> datetime:
        return moment if set_at < moment <= now else moment + jump

    for account_id, known in state.cooldowns.items():
        windows = state.windows.get(account_id, {}).values() if jump > timedelta() else ()
        for cooldown in tuple(known.values()):
            created_at = righted(cooldown.created_at)
            if created_at == cooldown.created_at or _ends_with_any(cooldown, windows):
                continue
            if cooldown.until + jump <= now:
                if cooldown.until > now:  # it was over, and is not to come back
                    state.lift(account_id, cooldown.scope, now)
                continue
            shifted = replace(cooldown, until=cooldown.until + jump, created_at=created_at)
            state.lift(account_id, cooldown.scope, now)
            state.cool(shifted, now)
            if jump > timedelta():
                later.append(shifted)
    state.age(now, righted)
    return later


def _ends_with_any(cooldown: Cooldown, windows: Iterable[QuotaWindow]) -> bool:
    return any(w.resets_at is not None and abs(w.resets_at - cooldown.until) <= ROUNDED for w in windows)


def sensible(cooldown: Cooldown, now: datetime) -> Cooldown:
    """One that was stored, as it is to be understood now."""
    if cooldown.created_at <= now + AHEAD:
        return cooldown
    return replace(cooldown, until=now + (cooldown.until - cooldown.created_at), created_at=now)
