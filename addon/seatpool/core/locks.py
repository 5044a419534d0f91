"""What an admin may fix for every proxy on a database, and to which values."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from seatpool.core.fastmode import FastMode
from seatpool.core.provenance import Moving
from seatpool.core.strategy import Strategy

RULES = "rules"
"""The name under which a whole file of rules is locked; its value is the file's text."""
PREFIX = "pool_"
LONGEST_RULES = 256 * 1024
"""Characters; every proxy holds them in memory."""
_WHETHER = ("false", "true")
LOCKABLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "rotate_on_limit": _WHETHER,
        "on_failure": ("passthrough", "block"),
        "learn": _WHETHER,
        "replay_unanswered": _WHETHER,
        "usage_poll": _WHETHER,
        "move_conversations": tuple(Moving),
        "strategy": tuple(Strategy),
        "fast_mode": tuple(FastMode),
    }
)
"""Options of the proxy, without `pool_`, and what they can be locked to: what concerns more than one's own machine."""


class Lock(msgspec.Struct, frozen=True):
    """One of them, as it stands."""

    name: str
    """An option without `pool_`, or `RULES`."""
    value: str | None
    """None: it was cleared."""
    person: str
    """Who has said so."""
    at: datetime

    @property
    def option(self) -> str:
        """The proxy's option of that name."""
        return PREFIX + self.name


def checked(name: str, value: str | None) -> tuple[str, str | None]:
    """A name and value that a person typed, as they are stored; None: to be cleared.

    Raises `ValueError`, whose text says what may be said. The text of rules is read by whoever knows how
    (`core.rulefile`).
    """
    short = name.strip().lower().removeprefix(PREFIX)
    if short == RULES:
        if value is not None and len(value) > LONGEST_RULES:
            raise ValueError(f"rules of {len(value)} characters are too long to be locked; {LONGEST_RULES} at most")
        return short, value
    if short not in LOCKABLE:
        raise ValueError(f"{name!r} cannot be locked; there are: {', '.join((*LOCKABLE, RULES))}")
    said = value.strip().lower() if value is not None else None
    if said is not None and said not in LOCKABLE[short]:
        raise ValueError(f"{short} cannot be locked to {value!r}; say one of: {', '.join(LOCKABLE[short])}")
    return short, said


def as_option(lock: Lock) -> str | bool | None:
    """What the proxy's option is set to; None where this version knows no such option or value, or it is cleared."""
    if lock.value is None or lock.value not in LOCKABLE.get(lock.name, ()):
        return None
    return lock.value == "true" if LOCKABLE[lock.name] is _WHETHER else lock.value
