"""Values in, harmless values out: what is not known to be harmless is replaced.

What stays: the names of things where they are made of a protocol's words; the values of members that say a kind, a
state, a model or a count; and the structure. What goes is replaced by `redacted-N-HASH`: N is the length, rounded up
to a power of two, and HASH tells equal ones from others. It is keyed, and who threw the key away cannot try guesses.
Short pieces of text have no hash: a long answer comes in thousands of them, and how often each comes tells much.
"""

from seatpool.providers.recording.heads import Heads
from seatpool.providers.recording.naming import Names
from seatpool.providers.recording.values import Values


class Redactor:
    """Of one recording."""

    def __init__(self, key: bytes) -> None:
        """`key`: 16 to 64 random bytes."""
        self.names = Names(key)
        self.values = Values(self.names)
        self.heads = Heads(self.names, self.values)
