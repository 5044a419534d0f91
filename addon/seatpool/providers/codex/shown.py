"""Other numbers in the place of those that an answer tells of quota: headers, messages, and the usage look-up.

A limit's two windows are one whole: they are replaced together, or taken away together. What no window tells, such as
a balance, is taken away as well; a limit's name and everything else stays. Percentages are whole numbers, as upstream's
are, and only nothing left is 100.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from seatpool.core.model import QuotaWindow
from seatpool.core.shown import Member, Shown, together
from seatpool.providers.codex.frames import COMPLETED, DELTAS
from seatpool.providers.codex.quota import CREDITS, MAIN_LIMIT, SLOTS
from seatpool.providers.codex.routes import looks_up as looks_up
from seatpool.providers.codex.wire import read_object, text
from seatpool.providers.jsonparts import Change, Part, changed, elements, fields
from seatpool.providers.tolerant import mapping, read_json

_NUMBER = re.compile(
    r"x-(.{1,64}?)-(?:primary|secondary)-"
    r"(?:used-percent|window-minutes|reset-at|reset-after-seconds|over-secondary-limit-percent)"
)
_PLAN = "x-codex-plan-type"
_CREDITS = frozenset({"x-codex-credits-has-credits", "x-codex-credits-unlimited", "x-codex-credits-balance"})
_REACHED = "x-codex-rate-limit-reached-type"
_USUAL_S = dict(zip(SLOTS, (5 * 3600, 7 * 24 * 3600), strict=True))
"""What a window is long that does not tell; a look-up always does."""
_HEADERS = re.compile(rb'"x-[^"]{1,64}-used-percent"', re.IGNORECASE)
_LONGEST = timedelta.max.total_seconds()

Pairs = Sequence[tuple[str, Any]]


def pooled(members: Iterable[Member], now: datetime) -> dict[str, QuotaWindow]:
    """What several accounts have left: of each limit the shortest windows together, and the longest.

    One account's `primary` can be as long as another's `secondary`, so windows are alike that are equally long.
    """
    found = together(members, now, lambda w: (w.bucket.rpartition("/")[0], w.bucket == CREDITS, w.length_s))
    shown: dict[str, QuotaWindow] = {}
    for limit, is_credit in {key[:2] for key in found}:
        alike = [window for key, window in found.items() if key[:2] == (limit, is_credit)]
        if is_credit:
            shown[CREDITS] = alike[0]
            continue
        alike.sort(key=lambda w: w.length_s or _LONGEST)
        for slot, window in zip(SLOTS, (alike[0], *alike[1:][-1:]), strict=False):
            bucket = f"{limit}/{slot}" if limit else slot
            shown[bucket] = replace(window, bucket=bucket)
    return shown


def head(came: Pairs, shown: Shown) -> list[tuple[str, Any]]:
    """The header fields of an answer."""
    told: list[tuple[str, Any]] = []
    limits: set[str] = set()
    for name, value in came:
        lower = name.lower()
        if lower == _PLAN and shown.plan is not None:
            told.append((name, shown.plan))
        elif lower in _CREDITS and CREDITS in shown.windows and lower[-7:] != "balance":
            told.append((name, "True"))
        elif lower in _CREDITS or lower in (_PLAN, _REACHED):
            continue
        elif (found := _NUMBER.fullmatch(lower)) is None:
            told.append((name, value))
        elif found[1] not in limits:
            limits.add(found[1])
            told += _head_of(found[1], shown)
    return told


def sizes(came: Pairs) -> dict[str, float]:
    """Upstream tells shares alone."""
    return {}


def message_sizes(content: bytes) -> dict[str, float]:
    """As above."""
    return {}


def message(content: bytes, shown: Shown) -> bytes | None:
    """An upstream's message on a socket: the very same object where it tells nothing, None where nothing is known.

    A refusal tells why it is one, so it stays.
    """
    if content.startswith((*DELTAS, COMPLETED)) or (b"used_percent" not in content and not _HEADERS.search(content)):
        return content
    found = fields(content)
    kind = _value(content, found.get("type")) if found else None
    if found is None or kind not in ("codex.rate_limits", "response.metadata"):
        return content
    return _limits(content, found, shown) if kind == "codex.rate_limits" else _metadata(content, found, shown)


def look_up(content: bytes, shown: Shown) -> bytes:
    """The answer to it; of what nothing is known the person's own numbers stay, and who the person is stays anyway."""
    found = fields(content)
    if found is None:
        return content
    changes = _status_change(content, found.get("rate_limit"), MAIN_LIMIT, shown)
    reached = found.get("rate_limit_reached_type")
    if changes and reached is not None and not _is_reached(_windows(MAIN_LIMIT, shown)):
        changes.append((reached.value, reached.end, b"null"))
    additional = found.get("additional_rate_limits")
    for part in (elements(content, additional.value, additional.end) or ()) if additional is not None else ():
        inside = fields(content, part.value, part.end) or {}
        name = next((n for key in _NAMES if (n := text(_value(content, inside.get(key))))), None)
        if name is not None:
            changes += _status_change(content, inside.get("rate_limit"), name, shown)
    return changed(content, changes)


_NAMES = ("metered_feature", "limit_name")


def _windows(limit: str, shown: Shown) -> dict[str, QuotaWindow]:
    """The windows of a limit, by slot."""
    name = limit.lower().replace("-", "_")
    prefix = "" if name == MAIN_LIMIT else f"{name[:64]}/"
    return {slot: shown.windows[prefix + slot] for slot in SLOTS if prefix + slot in shown.windows}


def _head_of(limit: str, shown: Shown) -> Iterable[tuple[str, str]]:
    for slot, window in _windows(limit, shown).items():
        stem = f"x-{limit}-{slot}-"
        yield stem + "used-percent", str(_used(window))
        if window.length_s is not None:
            yield stem + "window-minutes", str(_minutes(window.length_s))
        if window.resets_at is not None:
            yield stem + "reset-at", str(_epoch(window.resets_at))


def _limits(content: bytes, found: Mapping[str, Part], shown: Shown) -> bytes | None:
    """A `codex.rate_limits` event (codex.md 3.2)."""
    named = (text(_value(content, found.get(key))) for key in ("metered_limit_name", "limit_name"))
    windows = _windows(next((name for name in named if name), MAIN_LIMIT), shown)
    if not windows:
        return None
    credit = {"has_credits": True, "unlimited": True, "balance": None} if CREDITS in shown.windows else None
    limits = {slot: _event_window(windows[slot]) if slot in windows else None for slot in SLOTS}
    instead = {"rate_limits": limits, "credits": credit, "plan_type": shown.plan}
    present = ((found[name], value) for name, value in instead.items() if name in found)
    return changed(content, [_put(part, value) for part, value in present])


def _metadata(content: bytes, found: Mapping[str, Part], shown: Shown) -> bytes:
    headers = found.get("headers")
    told = read_object(content[headers.value : headers.end]) if headers is not None else {}
    if headers is None or not told:
        return content
    return changed(content, [_put(headers, dict(head(list(told.items()), shown)))])


def _event_window(window: QuotaWindow) -> dict[str, Any]:
    length = {"window_minutes": _minutes(window.length_s)} if window.length_s is not None else {}
    ends = {"reset_at": _epoch(window.resets_at)} if window.resets_at is not None else {}
    return {"used_percent": _used(window), **length, **ends}


def _status_change(content: bytes, part: Part | None, limit: str, shown: Shown) -> list[Change]:
    """What a limit's `rate_limit` becomes; an account may have none."""
    windows = _windows(limit, shown)
    status = mapping(_value(content, part))
    if part is None or not status or not windows:
        return []
    reached = _is_reached(windows)
    instead: dict[str, Any] = {
        f"{slot}_window": _usage_window(windows.get(slot), usual_s, shown.now) for slot, usual_s in _USUAL_S.items()
    }
    instead |= {name: value for name, value in (("allowed", not reached), ("limit_reached", reached)) if name in status}
    return [_put(part, {**status, **instead})]


def _usage_window(window: QuotaWindow | None, usual_s: int, now: datetime) -> dict[str, Any] | None:
    if window is None:
        return None
    length_s = window.length_s or usual_s
    left_s = int((window.resets_at - now).total_seconds()) if window.resets_at is not None else length_s
    ends = _epoch(window.resets_at or now + timedelta(seconds=length_s))
    told = {"used_percent": _used(window), "limit_window_seconds": length_s}
    return {**told, "reset_after_seconds": left_s, "reset_at": ends}


def _is_reached(windows: Mapping[str, QuotaWindow]) -> bool:
    return any(_used(window) == 100 for window in windows.values())


def _used(window: QuotaWindow) -> int:
    used = round(100 * (1.0 - window.left))
    return min(used, 99) if window.left > 0.0 else used


def _minutes(length_s: int) -> int:
    return max(1, length_s // 60)  # none at all would mean that there is no window (codex.md 3.1)


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def _value(content: bytes, part: Part | None) -> Any:
    return read_json(content[part.value : part.end]) if part is not None else None


def _put(part: Part, value: object) -> Change:
    return part.value, part.end, msgspec.json.encode(value)
