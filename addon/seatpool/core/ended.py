"""What is stored of a request that is over. `tail` makes words of it, which a proxy has no need to load."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from seatpool.core.explain import Choice
from seatpool.core.model import Attempt

UNANSWERED = "unanswered"
"""Of a request whose client left before what came of it could be told."""


class Ended(msgspec.Struct, frozen=True, gc=False):
    """A request that is over. On a socket each turn is one; the handshake belongs to the first."""

    flow_id: str
    first: int
    """Number of its first attempt."""
    number: int
    """Number of its last attempt; less than `first`: nothing was sent."""
    account_id: int | None
    """Of its last attempt."""
    began_at: datetime
    first_byte_ms: float | None
    """From then to the first byte for the client; None where there was no answer, or a refusal."""
    total_ms: float
    sent_at: datetime
    """When its first attempt was sent: of a socket's first turn that may be earlier. Finds the attempts."""


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """Everything that is stored of a request that is over."""

    ended: Ended
    choices: Sequence[Choice] = ()
    """In order; those of earlier requests first whose conversations it stayed with."""
    attempts: Sequence[Attempt] = ()
    """In order."""


def was_sent(ended: Ended) -> bool:
    """Whether anybody was asked."""
    return ended.number >= ended.first
