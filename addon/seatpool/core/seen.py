"""What a report is made of, as it is stored. `report` makes rows of it, which a proxy has no need to load."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from seatpool.core.locks import Lock
from seatpool.core.model import Account, Cooldown, QuotaWindow, UnderWay


class Substituted(msgspec.Struct, frozen=True):
    """Requests that an account served with another model than was asked for."""

    account_id: int
    asked: str
    model: str
    """The one that was sent."""
    requests: int
    last_at: datetime


class Unknown(msgspec.Struct, frozen=True):
    """Refusals of an account that no table knows; each was delivered as it came."""

    account_id: int
    status: int | None
    """None where it came in a message of a WebSocket."""
    code: str
    requests: int
    last_at: datetime


class Seen(msgspec.Struct, frozen=True):
    """What a report is made of, as it is stored."""

    accounts: tuple[Account, ...]
    windows: tuple[tuple[int, QuotaWindow], ...] = ()
    """With their accounts' ids."""
    cooldowns: tuple[Cooldown, ...] = ()
    under_way: tuple[UnderWay, ...] = ()
    """Of every process."""
    today: Mapping[int | None, int] = msgspec.field(default_factory=dict)
    """How many requests have ended since midnight, by the account that served them; None: by none."""
    substituted: tuple[Substituted, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    locks: tuple[Lock, ...] = ()
    waited: tuple[int, datetime | None] = (0, None)
    """How many requests had to wait for an account in 24 hours, and when the last of them began to."""
