"""When requests are to ask for being served faster, which uses quota up faster.

There is room for that while more is left of an account's quota than there is time until it resets, by a twentieth at
least, and the shorter windows that guard it have as much: the pace of scoring, whose quiet state is 1.0. So what is
spent on speed is what would be lost at the reset, and an account that falls behind is slowed down again. Once on, it
stays on until a fiftieth too little is left (codex.md 8 has the same two numbers, as logarithms).
"""

from enum import StrEnum

from seatpool.core.scoring import LITTLE, Score, Standing

ON = 1.05
"""Share left over share of time left from which on there is room."""
OFF = 0.98
"""Below it there is none any more."""


class FastMode(StrEnum):
    """Which requests ask for it that do not say themselves how they want to be served."""

    AUTO = "auto"
    """Those of an account that has room."""
    ALWAYS = "always"
    DISABLED = "disabled"


def has_room(score: Score, *, already: bool = False) -> bool:
    """Whether an account has quota to spare for speed; `already`: it had when last asked.

    What is not known, or was seen too long ago, is no room.
    """
    if score.stale or score.standing not in (Standing.LIMITED, Standing.UNLIMITED):
        return False
    if score.standing is Standing.UNLIMITED:
        return True
    return score.room >= LITTLE and score.pace >= (OFF if already else ON)
