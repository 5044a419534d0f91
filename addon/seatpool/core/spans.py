"""Lengths of time as a person says them."""

from datetime import datetime, timedelta

UNITS = (("d", 86_400, 3_600), ("h", 3_600, 60), ("min", 60, 1))
"""Each with its seconds, and those of the next smaller one: 119.9 minutes are two hours."""

NEAR = timedelta(hours=20)
"""Nobody takes a time of day that is nearer for another day's."""


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago; None: never."""
    return "never" if moment is None else f"{span(now - moment)} ago"


def span(length: timedelta) -> str:
    """In the largest unit of which there are two: never more than a quarter off, for somebody plans by it."""
    seconds = max(0, round(length.total_seconds()))
    for unit, size, smaller in UNITS:
        if seconds + smaller // 2 >= 2 * size:
            return f"{(seconds + size // 2) // size} {unit}"
    return f"{seconds} s"


def by_the_clock(moment: datetime, now: datetime) -> str:
    """When that is, by the clock of this machine; with the day where it is not near."""
    local = moment.astimezone()
    return f"{local:%H:%M}" if moment - now < NEAR else f"{local:%a %d %b, %H:%M}"


def closely(length: timedelta) -> str:
    """In two units: what is planned by."""
    minutes = max(0, round(length.total_seconds() / 60))
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days:
        hours = round(minutes % 1440 / 60)
        days, hours = (days + 1, 0) if hours == 24 else (days, hours)
    parts = ((days, "d"), (hours, "h"), (minutes % 60 if not days else 0, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 min"
