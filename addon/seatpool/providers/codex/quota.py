"""Quota windows out of headers (codex.md 3.1), frames (3.2) and the usage payload (3.4).

The main limit's windows are called `primary` and `secondary`; those of an additional limit carry its name in front:
`codex_bengalfox/primary`. Which is short and which is long is told by their length alone: `primary` can be a week.

In headers the windows without a name are those of whatever limit the request drew on, which `x-codex-active-limit`
names. For an additional one they only repeat what stands under its own name (captures: fawney19/Aether issue 746);
`premium`, as `codex`, is nobody's name and means the main limit.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from msgspec.structs import replace

from seatpool.core.model import QuotaWindow
from seatpool.providers.codex.wire import after, moment, read_object, reset, text, truth
from seatpool.providers.http import HeaderView
from seatpool.providers.tolerant import Json, mapping, number

MAIN_LIMIT = "codex"
SLOTS = ("primary", "secondary")
MAIN_BUCKETS = SLOTS
OWN_BUCKETS: Mapping[str, str] = MappingProxyType({"images": "images"})
"""What is limited by itself, by route, though no answer tells how much is left of it: pictures are refused while every
window has plenty left, without a time and even for want of what all accounts share (openai/codex issue 26595,
Wei-Shaw/sub2api issue 3044)."""
CREDITS = "credits"
ACTIVE_LIMIT = "x-codex-active-limit"
BUDGET_S = 30 * 24 * 3600
"""A workspace's budget for a person is a month's."""
ROUNDED_OFF = 0.005
"""Share that may be left where a whole percentage says 100."""
LONGEST_LENGTH = 1e8  # of a window, in minutes or seconds; keeps nonsense within a database's integers

_LIMIT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_USED = re.compile(r"x-(.{1,64})-(primary|secondary)-used-percent")


def windows_of_headers(headers: HeaderView, now: datetime, source: str = "header") -> tuple[QuotaWindow, ...]:
    """The windows of every limit that the headers of an answer name, and `credits` where they are unlimited.

    Of a limit with one window they say so: the other one is zero minutes long, and is told as gone.
    """
    found: list[QuotaWindow | None] = []
    repeated = is_additional(headers)
    for name, used in headers.items():
        match = _USED.fullmatch(name.lower()) if name[-13:].lower() == "-used-percent" else None
        if match is None or (repeated and match[1] == MAIN_LIMIT):
            continue
        stem = f"x-{match[1]}-{match[2]}-"
        ends = _ends(headers.get(stem + "reset-at"), headers.get(stem + "reset-after-seconds"), now)
        minutes = number(headers.get(stem + "window-minutes"))
        found.append(_window(_bucket(match[1], match[2]), used, _seconds(minutes, 60), ends, now, source))
    found.append(_credits(headers.get("x-codex-credits-unlimited"), now, source))
    return _told(found)


def windows_of_event(event: Json, now: datetime) -> tuple[QuotaWindow, ...]:
    """The windows of a `codex.rate_limits` event; where a limit has one window, the other one is null: gone."""
    limit = text(event.get("metered_limit_name")) or text(event.get("limit_name")) or MAIN_LIMIT
    limits = mapping(event.get("rate_limits"))
    found: list[QuotaWindow | None] = []
    for slot in SLOTS:
        bucket, window = _bucket(limit, slot), mapping(limits.get(slot))
        length_s = _seconds(number(window.get("window_minutes")), 60)
        ends = _ends(window.get("reset_at"), window.get("reset_after_seconds"), now)
        found.append(
            QuotaWindow.none(bucket, now, "frame")
            if _is_null(limits, slot)
            else _window(bucket, window.get("used_percent"), length_s, ends, now, "frame")
        )
    found.append(_credits(mapping(event.get("credits")).get("unlimited"), now, "frame"))
    return _told(found)


def windows_of_usage(content: bytes, now: datetime) -> tuple[QuotaWindow, ...]:
    """The windows of a `GET /backend-api/wham/usage` answer; none where it has none, or is not one."""
    usage = read_object(content)
    found = [*_usage_windows(MAIN_LIMIT, mapping(usage.get("rate_limit")), now), *_budget(usage, now)]
    additional = usage.get("additional_rate_limits")
    for entry in map(mapping, additional if isinstance(additional, list) else ()):
        name = text(entry.get("metered_feature")) or text(entry.get("limit_name"))
        if name is not None:
            found += _usage_windows(name, mapping(entry.get("rate_limit")), now)
    unlimited = _credits(mapping(usage.get("credits")).get("unlimited"), now, "usage")
    return (*found, unlimited) if unlimited is not None else tuple(found)


def gone_of_usage(usage: Json) -> tuple[str, ...]:
    """The buckets that such an answer says there are none of: by null, and by credits that are limited.

    Nothing is said by what is missing, nor by an answer that names no plan.
    """
    if text(usage.get("plan_type")) is None:
        return ()
    found = list(_gone_of_limit(MAIN_LIMIT, usage))
    additional = usage.get("additional_rate_limits")
    for entry in map(mapping, additional if isinstance(additional, list) else ()):
        name = text(entry.get("metered_feature")) or text(entry.get("limit_name"))
        found += _gone_of_limit(name, entry) if name is not None else ()
    if _is_null(usage, CREDITS) or mapping(usage.get(CREDITS)).get("unlimited") is False:
        found.append(CREDITS)
    return tuple(found)


def funded_by_usage(usage: Json) -> bool:
    """Whether credits pay for what the windows lack.

    The windows, `allowed` and `limit_reached` of such an answer tell of the plan alone, and stay as they are while
    credits serve (captures: can1357/oh-my-pi pull request 12171). Of a workspace's no balance is told.
    """
    bought, control = mapping(usage.get(CREDITS)), mapping(usage.get("spend_control"))
    if truth(bought.get("overage_limit_reached")) or truth(control.get("reached")):
        return False
    balance = number(bought.get("balance"))
    has_some = truth(bought.get("has_credits")) and (balance is None or balance > 0)
    return has_some or truth(bought.get("unlimited"))


def is_additional(headers: HeaderView) -> bool:
    """Whether the limit that a request drew on is an additional one, whose windows the answer tells by its name."""
    stem = headers.get(ACTIVE_LIMIT, MAIN_LIMIT).strip().lower().replace("_", "-")
    return stem != MAIN_LIMIT and any(f"x-{stem}-{slot}-used-percent" in headers for slot in SLOTS)


def drawn_buckets(headers: HeaderView) -> tuple[str, ...] | None:
    """The windows of the additional limit that a request drew on; none for the main one (codex.md 3.1)."""
    stated = headers.get(ACTIVE_LIMIT)
    return _drawn_buckets(stated) if stated is not None else None


@lru_cache(maxsize=64)
def _drawn_buckets(stated: str) -> tuple[str, ...] | None:
    if not _LIMIT.fullmatch(stated.strip()):
        return None
    buckets = tuple(_bucket(stated.strip(), slot) for slot in SLOTS)
    return () if buckets == MAIN_BUCKETS else buckets


def spent_until(windows: Iterable[QuotaWindow], now: datetime) -> datetime | None:
    """When the last of the spent windows resets; None where none is spent, none tells, or all have reset."""
    ends = (w.resets_at for w in windows if spent(w))
    return max((end for end in ends if end is not None and end > now), default=None)


def spent(window: QuotaWindow) -> bool:
    """Whether nothing is left of it."""
    return window.left <= 0.0 and not window.unlimited


def is_main(window: QuotaWindow) -> bool:
    """Whether it belongs to the limit that every model draws on."""
    return window.bucket in MAIN_BUCKETS


def _usage_windows(limit: str, status: Json, now: datetime) -> tuple[QuotaWindow, ...]:
    found = []
    for slot in SLOTS:
        window = mapping(status.get(f"{slot}_window"))
        length_s = _seconds(number(window.get("limit_window_seconds")), 1)
        ends = _ends(window.get("reset_at"), window.get("reset_after_seconds"), now)
        made = _window(_bucket(limit, slot), window.get("used_percent"), length_s, ends, now, "usage")
        if made is not None and not made.gone:
            found.append(made)
    if found and (status.get("allowed") is False or status.get("limit_reached") is True):
        # Refused although the percentages, which are rounded, leave something: the fullest window is the one.
        fullest = min(found, key=lambda w: w.left)
        found[found.index(fullest)] = replace(fullest, left=0.0)
    elif status.get("allowed") is True and status.get("limit_reached") is False:
        # Served although nothing is left by them (can1357/oh-my-pi issue 7617).
        found = [replace(w, left=max(w.left, ROUNDED_OFF)) for w in found]
    return tuple(found)


def _budget(usage: Json, now: datetime) -> Iterator[QuotaWindow]:
    """What a workspace lets a person spend in a month, where there are no windows: it is all that limits then
    (router-for-me/Cli-Proxy-API-Management-Center pull request 416, czpython/druks pull request 269). Beside some it
    limits what goes beyond them.
    """
    control = mapping(usage.get("spend_control"))
    limit = mapping(control.get("individual_limit"))
    ends = _ends(limit.get("reset_at"), limit.get("reset_after_seconds"), now)
    made = _window(SLOTS[0], limit.get("used_percent"), BUDGET_S, ends, now, "usage")
    if made is not None and _is_null(usage, "rate_limit"):
        yield replace(made, left=0.0 if truth(control.get("reached")) else max(made.left, ROUNDED_OFF))


def _told(found: Iterable[QuotaWindow | None]) -> tuple[QuotaWindow, ...]:
    """What was read. That there is no window counts beside one that there is: where a limit shows none, nobody knows
    whether it has any, and a question for usage tells."""
    known = [w for w in found if w is not None]
    limits = {_limit_of(w) for w in known if not w.gone and w.bucket != CREDITS}
    return tuple(w for w in known if not w.gone or _limit_of(w) in limits)


def _limit_of(window: QuotaWindow) -> str:
    return window.bucket.rpartition("/")[0]


def _ends(at: object, after_s: object, now: datetime) -> datetime | None:
    """When a window resets, or has by our clock; a time from now on, which needs none, goes before that."""
    return moment(at, now) or after(after_s, now) or reset(at, now)


def _gone_of_limit(limit: str, holder: Json) -> Iterator[str]:
    status = mapping(holder.get("rate_limit"))
    for slot in SLOTS:
        if _is_null(holder, "rate_limit") or _is_null(status, f"{slot}_window"):
            yield _bucket(limit, slot)


def _is_null(told: Json, key: str) -> bool:
    return key in told and told[key] is None


def _bucket(limit: str, slot: str) -> str:
    name = "".join(each if each.isprintable() else "_" for each in limit[:64].lower().replace("-", "_"))
    return slot if name == MAIN_LIMIT else f"{name}/{slot}"


def _seconds(length: float | None, unit_s: int) -> int | None:
    return None if length is None else int(min(max(length, 0.0), LONGEST_LENGTH) * unit_s)


def _credits(unlimited: object, now: datetime, source: str) -> QuotaWindow | None:
    return QuotaWindow(CREDITS, 1.0, now, source, unlimited=True) if truth(unlimited) else None


def _window(
    bucket: str, used_percent: object, length_s: int | None, ends: datetime | None, now: datetime, source: str
) -> QuotaWindow | None:
    """A window; None where nothing is said of it. A length of zero says that there is none (codex.md 3.1)."""
    used = number(used_percent)
    if used is None:
        return None
    if length_s is not None and length_s <= 0:
        return QuotaWindow.none(bucket, now, source)
    left = min(max(1.0 - used / 100.0, 0.0), 1.0)
    return QuotaWindow(bucket, left, now, source, length_s=length_s, resets_at=ends)
