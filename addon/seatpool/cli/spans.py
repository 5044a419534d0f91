"""Lengths of time as a person says them."""

from datetime import datetime, timedelta


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago; None: never."""
    return "never" if moment is None else f"{span(now - moment)} ago"


def span(length: timedelta) -> str:
    """In the largest unit that says enough."""
    seconds = max(0, round(length.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size or (seconds >= size and unit != "min"):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
