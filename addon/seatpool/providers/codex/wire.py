"""Names on the wire, and the tolerant reading of times: whatever upstream or editor send, nothing here raises."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from seatpool.providers.http import Headers, HeaderView
from seatpool.providers.tolerant import Json, mapping, number, read_json

CHATGPT = "https://chatgpt.com"
"""Where an account without a constraint of its own is served (codex.md 1)."""
ISSUER = "chatgpt.com"
AUTH_ORIGIN = "https://auth.openai.com"

AUTHORIZATION = "Authorization"
ACCOUNT_ID = "ChatGPT-Account-Id"
ROUTING_OVERRIDE = "x-openai-account-routing-override"
FEDRAMP = "x-openai-fedramp"
TURN_STATE = "x-codex-turn-state"

BEYOND_REASON = timedelta(days=35)
"""No window of any plan is longer than a month; a reset further away is a mistake and is cut to this."""
LONG_PAST = timedelta(days=35)
"""A reset this far back is a zero date, not a window that has just ended."""

_PLAIN = re.compile(r"[!-~]+")
_MODEL = re.compile(r"[A-Za-z0-9._:/-]{1,128}")


def read_object(content: bytes | str) -> Json:
    """The parsed object; empty where it is none."""
    return mapping(read_json(content))


def text(value: object) -> str | None:
    """The value where it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def plain(value: object) -> str | None:
    """The value where it can be put into a header as it is: visible ASCII without blanks."""
    found = text(value)
    return found if found is not None and _PLAIN.fullmatch(found) else None


def slug(value: object) -> str | None:
    """The value where it can be a model's name."""
    return value if isinstance(value, str) and _MODEL.fullmatch(value) else None


def truth(value: object) -> bool:
    """A JSON boolean or a header's, which upstream writes the Python way: `True`, `False` (codex.md 3.1)."""
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def headers_in(value: object) -> Headers:
    """The headers that ride inside a frame; of a list the first counts."""
    return Headers(_fields(mapping(value)))


def _fields(headers: Json) -> Iterable[tuple[str, str]]:
    for name, value in headers.items():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, (str, int, float)):
            yield name, str(first)


def moment(epoch_s: object, now: datetime) -> datetime | None:
    """A time in seconds since the epoch; None where it is not ahead of `now`, cut to `BEYOND_REASON`."""
    found = reset(epoch_s, now)
    return found if found is not None and found > now else None


def reset(epoch_s: object, now: datetime) -> datetime | None:
    """The same of a window, which may have reset already; None where that would be longer ago than `LONG_PAST`."""
    stated = number(epoch_s)
    if stated is None or stated < (now - LONG_PAST).timestamp():
        return None
    latest = now + BEYOND_REASON
    return latest if stated >= latest.timestamp() else datetime.fromtimestamp(stated, UTC)


def after(seconds: object, now: datetime) -> datetime | None:
    """`now` and some seconds; None where they are none, cut to `BEYOND_REASON`."""
    stated = number(seconds)
    if stated is None:
        return None
    end = now + min(timedelta(seconds=min(max(stated, 0.0), BEYOND_REASON.total_seconds())), BEYOND_REASON)
    return end if end > now else None


def retry_after(headers: HeaderView, now: datetime) -> datetime | None:
    """When `Retry-After` (seconds or an HTTP date) allows the next request."""
    stated = headers.get("retry-after")
    if stated is None:
        return None
    if number(stated) is not None:
        return after(stated, now)
    try:
        date = parsedate_to_datetime(stated)
        return moment(date.replace(tzinfo=date.tzinfo or UTC).timestamp(), now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
