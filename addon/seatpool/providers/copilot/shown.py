"""Other numbers in the place of those that an answer tells of quota (copilot.md 5.1, 5.3): headers and messages.

What is remembered of a window is the share that is left. How much there is in all is that of the person's own account,
where its own answers have told it; else all numbers are of 100, so that they do not jump. Whether more may be bought
stays as it came. The look-up (`/copilot_internal/user`) is not here: its host is not decrypted.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from seatpool.core.model import QuotaWindow
from seatpool.core.shown import Member, Shown, together
from seatpool.providers.copilot.quota import RATELIMIT, SNAPSHOT
from seatpool.providers.jsonparts import Change, Part, changed, fields
from seatpool.providers.tolerant import Json, mapping, number, read_json

WHOLE = 100.0
"""What an account counts as entitled to whose entitlement nobody knows."""
UNLIMITED = -1.0

_SNAPSHOTS = "copilot_quota_snapshots"
_MARK = f'"{_SNAPSHOTS}"'.encode()
_REFUSALS = frozenset({"error", "response.failed"})


def pooled(members: Iterable[Member], now: datetime) -> dict[str, QuotaWindow]:
    """What several accounts have left, by bucket."""
    return together(members, now, lambda w: w.bucket)


def head(came: Sequence[tuple[str, str]], shown: Shown) -> list[tuple[str, str]]:
    """The header fields of an answer; of what nothing is known there is none."""
    told = []
    for name, value in came:
        lower = name.lower()
        prefix = next((p for p in (SNAPSHOT, RATELIMIT) if lower.startswith(p)), None)
        window = shown.windows.get(lower.removeprefix(prefix)) if prefix is not None else None
        if prefix is None:
            told.append((name, value))
        elif window is not None:
            told.append((name, _pairs(value, window, _size(shown, window) if prefix == SNAPSHOT else None)))
    return told


def sizes(came: Sequence[tuple[str, str]]) -> dict[str, float]:
    """How much the account has in all that gave this answer, by bucket."""
    stated = ((n.lower().removeprefix(SNAPSHOT), v) for n, v in came if n.lower().startswith(SNAPSHOT))
    return _sizes((bucket, dict(parse_qsl(value)).get("ent")) for bucket, value in stated)


def message_sizes(content: bytes) -> dict[str, float]:
    """The same of a message."""
    found = _found(content)
    told = {bucket: s for part in found for bucket, s in _object(content, part).items()}
    return _sizes((bucket, mapping(snapshot).get("entitlement")) for bucket, snapshot in told.items())


def message(content: bytes, shown: Shown) -> bytes | None:
    """An upstream's message on a socket: the very same object where it tells nothing, and never None.

    A refusal tells why it is one, so it stays.
    """
    return changed(content, [_snapshots(content, part, shown) for part in _found(content)])


def looks_up(method: str, path: str) -> bool:
    """Nothing that passes through here does."""
    return False


def look_up(content: bytes, shown: Shown) -> bytes:
    """As it came."""
    return content


def _sizes(stated: Iterable[tuple[str, object]]) -> dict[str, float]:
    read = ((bucket, number(size)) for bucket, size in stated)
    return {bucket: size for bucket, size in read if size is not None and size > 0}


def _size(shown: Shown, window: QuotaWindow) -> float:
    return UNLIMITED if window.unlimited else shown.sizes.get(window.bucket, WHOLE)


def _found(content: bytes) -> list[Part]:
    """Where the snapshots stand in a message that is no refusal."""
    found = fields(content) if _MARK in content else None
    if found is None or _value(content, found.get("type")) in _REFUSALS:
        return []
    response = found.get("response")
    inside = fields(content, response.value, response.end) if response is not None else None
    return [place[_SNAPSHOTS] for place in (found, inside or {}) if _SNAPSHOTS in place]


def _pairs(value: str, window: QuotaWindow, size: float | None) -> str:
    """A header's value, with its names in the order in which they came; `size` None: it is of no entitlement."""
    percent = f"{100 * window.left:.1f}"
    told = {"rem": percent, "ov": "0.0"}
    told["rst"] = _date(window.resets_at) if window.resets_at is not None else ""
    if size is not None:
        told |= {"ent": f"{size:.0f}", "totRem": f"{max(size, 0.0) * window.left:.1f}"}
    came = parse_qsl(value, keep_blank_values=True)
    pairs = [(name, told.get(name, stated)) for name, stated in came]
    if "rem" not in dict(came):
        pairs.append(("rem", percent))
    return urlencode([(name, stated) for name, stated in pairs if stated or name != "rst"], errors="surrogateescape")


def _snapshots(content: bytes, part: Part, shown: Shown) -> Change:
    known = ((bucket, mapping(s), shown.windows.get(bucket)) for bucket, s in _object(content, part).items())
    told = {b: _snapshot(came, window, _size(shown, window)) for b, came, window in known if window is not None}
    return part.value, part.end, msgspec.json.encode(told)


def _snapshot(came: Json, window: QuotaWindow, size: float) -> dict[str, Any]:
    """Members keep their kinds: the entitlement is a text here (copilot.md 5.3)."""
    percent = round(100 * window.left, 1)
    remaining = round(max(size, 0.0) * window.left, 1)
    whole = int(size)
    told: dict[str, Any] = {
        "entitlement": str(whole) if isinstance(came.get("entitlement"), str) else whole,
        "percent_remaining": str(percent) if isinstance(came.get("percent_remaining"), str) else percent,
        "overage_count": 0,
        "has_quota": window.unlimited or window.left > 0.0,
        "unlimited": window.unlimited,
        "remaining": int(remaining),
        "quota_remaining": remaining,
    }
    kept = {name: told.get(name, value) for name, value in came.items() if name != "reset_date"}
    must = {name: told[name] for name in ("entitlement", "percent_remaining")}
    ends = {"reset_date": _date(window.resets_at)} if window.resets_at is not None else {}
    return {**kept, **must, **ends}


def _object(content: bytes, part: Part) -> Mapping[str, Any]:
    return mapping(_value(content, part))


def _value(content: bytes, part: Part | None) -> Any:
    return read_json(content[part.value : part.end]) if part is not None else None


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
