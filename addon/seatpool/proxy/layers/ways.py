"""Whether a kept connection still leads anywhere, as far as this machine knows before anything is sent on it.

After a laptop has slept, or has gone from one network to another, or a VPN has come up or ended, connections from
before look open, and what is sent on them is lost without a word: the next request on one waits until the system gives
it up (openai/codex#33163, github/copilot-cli#3371, anthropics/claude-code#32116). Browsers are told by the system when
the network changes, and let go of what they keep. Here it is asked where it matters, before a request goes out:

* has the machine stood still since the connection was opened?
* would a connection to the same address leave from another address of ours by now?

Whoever is wrong about that opens another connection, and no more. What is under way is left alone: it may be fine.
"""

import socket
import time
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy.connection import Connection
from msgspec import Struct

SLEPT_S = 5.0
"""More than a clock that is kept in time is ever set by."""
SURE_FOR_S = 1.0
"""One that was good is not looked at again for so long."""


Address = tuple[Any, ...] | None


class _Way(Struct):
    """What is known of a connection."""

    to: Address
    begins_at: str | None
    """Not its own address, which a person may have bound it to (`connect_addr`)."""
    ahead_s: float
    """As the clocks stood when it was opened."""
    good_at: float
    """Monotonic."""

    def is_left(self) -> bool:
        """Whether the way there begins elsewhere now. A network that is away for a moment may come back as it was."""
        begins_at = _beginning(self.to) if self.begins_at is not None else None
        return begins_at is not None and begins_at != self.begins_at


_known: WeakKeyDictionary[Connection, _Way] = WeakKeyDictionary()


def opened(connection: Connection, carrier: Connection) -> None:
    """Note that a connection is open; `carrier` is that to the upstream proxy, or the same."""
    to = carrier.peername
    _known[connection] = _Way(to, _beginning(to), _ahead_s(), time.monotonic())


def is_gone(connection: Connection) -> bool:
    """Whether what is sent on a connection now is most likely lost. One that nobody has noted is not."""
    way, now = _known.get(connection), time.monotonic()
    if way is None:
        return False
    if abs(_ahead_s() - way.ahead_s) > SLEPT_S:
        return True
    if now - way.good_at < SURE_FOR_S:
        return False
    if way.is_left():
        return True
    way.good_at = now
    return False


def _beginning(to: Address) -> str | None:
    """Our address from which the system would go there; None where it knows no way."""
    if not to:
        return None
    try:
        with socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(to)  # of UDP, which sends nothing
            found: str = asking.getsockname()[0]
            return found
    except OSError:
        return None


def _ahead_s() -> float:
    """How far the calendar is ahead of a clock that stands still while the machine sleeps (on Windows it does not).

    Where this has changed the machine has slept, or its host has (WSL2), or the clock was set.
    """
    return time.time() - time.monotonic()
