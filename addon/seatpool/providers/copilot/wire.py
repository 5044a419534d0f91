"""Names on the wire, and the tolerant reading of texts and times: whatever is sent, nothing here raises."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from seatpool.providers.http import HeaderView
from seatpool.providers.tolerant import number

AUTHORIZATION = "authorization"
SESSION_TOKEN = "copilot-session-token"  # noqa: S105 # a header's name
REQUEST_ID = "x-github-request-id"

BEYOND_REASON = timedelta(days=40)
"""No window is longer than a month: what claims to end later is a unit mistaken, and is not believed."""
LONG_PAST = timedelta(days=40)
"""A reset this far back is a zero date, not a window that has just ended."""


def text(value: object) -> str:
    """The value where it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def truth(value: object) -> bool | None:
    """A JSON boolean or a header's; None where it says neither."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(text(value).strip().lower())


def _date(stated: str) -> datetime | None:
    """An ISO 8601 date or moment, or an HTTP date; UTC where it names no zone."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(stated)
            return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def moment(value: object, now: datetime) -> datetime | None:
    """A time stated as a date or in seconds since the epoch; None where it is not one, or not of this season."""
    seconds = number(value)
    if seconds is not None:
        try:
            found = datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    else:
        dated = _date(text(value).strip())
        if dated is None:
            return None
        found = dated
    return found if -LONG_PAST <= found - now <= BEYOND_REASON else None


def after(value: object, now: datetime) -> datetime | None:
    """`now` and a stated number of seconds; None where it is none, not ahead, or beyond reason."""
    seconds = number(value)
    if seconds is None or not 0 < seconds <= BEYOND_REASON.total_seconds():
        return None
    return now + timedelta(seconds=seconds)


def retry_after(headers: HeaderView, now: datetime) -> datetime | None:
    """The latest moment that `retry-after` (seconds or a date) and GitHub's variant of it name (copilot.md 5.1)."""
    stated = headers.get("retry-after", "")
    told = [after(stated, now), after(headers.get("x-ratelimit-user-retry-after"), now)]
    if number(stated) is None:
        told.append(moment(stated, now))
    return max((t for t in told if t is not None and t > now), default=None)
