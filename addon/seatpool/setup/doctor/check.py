"""What is looked at."""

from collections.abc import Callable, Iterable

import msgspec

from seatpool.setup.doctor.finding import Finding
from seatpool.setup.doctor.situation import Situation


class Check(msgspec.Struct, frozen=True):
    """A kind of thing that is looked at."""

    name: str
    look: Callable[[Situation], Iterable[Finding]]
    """Yields nothing where there is nothing to look at."""
    limit_s: int = 15
