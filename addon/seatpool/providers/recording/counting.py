"""Numbers and moments: which ones count, measure or date something, and are nobody's."""

import math
import re

from seatpool.providers.recording.naming import words_of
from seatpool.providers.recording.words import WORDS, names

COUNTING = names(
    """
    tokens count counts index number percent minutes seconds ms status size total limit remaining entitlement
    temperature penalty max min top length version multiplier aiu cost weight retries n width height in units
    rem ent ov at used budget ratio duration attempts after requests tps credits p exp iat nbf created batch
    choice
    """
)
"""Last words of the names of members that count, measure or date something."""
BIGGEST = 10**7
MOST_NANO = 10**12
"""Of what is counted in billionths."""
MOMENTS = ((10**9, 5 * 10**9), (10**12, 5 * 10**12))
"""Seconds and milliseconds since the epoch, of this century's first half."""
SOME = 0.5
"""In the place of a fraction."""
MOST_DIGITS = 15

_NUMBER = re.compile(r"-?\d{1,13}(?:\.\d{1,6})?")
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?")


def counts(name: str) -> bool:
    """Whether that is what a member of this name does."""
    words = words_of(name)
    return bool(words) and words[-1] in COUNTING and all(word in WORDS or word in COUNTING for word in words)


def is_number(text: str) -> bool:
    """Of a size that counts have, or a moment."""
    return _NUMBER.fullmatch(text) is not None and _small(float(text))


def is_moment(text: str) -> bool:
    """As in ISO 8601, with or without the time."""
    return _ISO.fullmatch(text) is not None


def counted(name: str, value: float) -> float:
    """A number as it is where it counts something, else one of as many digits."""
    if isinstance(value, float) and not math.isfinite(value):
        return SOME
    if counts(name) and (_small(value) or ("nano" in words_of(name) and abs(value) < MOST_NANO)):
        return value
    if isinstance(value, float):
        return SOME
    return int(10 ** (min(len(str(abs(value))), MOST_DIGITS) - 1)) if value else 0


def _small(value: float) -> bool:
    return abs(value) < BIGGEST or any(first <= value < last for first, last in MOMENTS)
