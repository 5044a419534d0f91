"""The one place that asks what time it is, so that core never does and freezegun reaches everybody."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)
