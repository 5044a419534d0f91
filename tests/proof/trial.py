"""What must hold in every simulated world, and what was found not to."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any


class Broken(Exception):
    """Something that must hold does not."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name
        self.why = why


INVARIANTS: Mapping[str, str] = MappingProxyType(
    {
        "foreign-host": "no credential of the pool goes to a host that is not its issuer's",
        "one-refresh": "at most one exchange of an account's refresh token is under way",
        "spent-token": "a refresh token that was exchanged is not used again, and the one it was exchanged for is kept",
        "slots": "who is asked holds a place, and when everybody has gone every place is free",
        "tool-once": "no tool call reaches an editor twice",
        "bytes": "what an editor gets of an answer is what upstream sent of it, byte for byte",
        "cooldown": "a limit with a time is not asked again before that, and no stored one is shortened",
        "tried-once": "a limit that newer news speaks against is tried by one request alone, unless that serves",
        "answered": "every request ends, and so does every renewal, and every process that is stopped",
        "useful": "nobody is refused for limits while there is an account that nothing ails",
        "stays": "a conversation stays where its cache is warm while nothing ails that account",
        "in-order": "a conversation begins on the account that its strategy puts first, of those that nothing ails",
        "on-record": "what was sent is on record when the processes that sent it have been stopped",
        "sound": "nothing is raised that nobody catches, and no error is logged",
    }
)


class Trial:
    """One simulated world, judged. The first thing that is found ends it."""

    def __init__(self) -> None:
        self.verdict: Broken | None = None
        self.stored: Callable[[Any], str | None] = lambda seat: None
        """The refresh token that the database has for an account."""

    def broken(self, name: str, why: str) -> None:
        """Say that something does not hold."""
        assert name in INVARIANTS, name
        if self.verdict is None:
            self.verdict = Broken(name, why)

    def reused(self, owner: Any, seat: Any, rotation: Any) -> None:
        """A spent token has come. Nobody is to blame where whoever had its successor was killed before it was kept."""
        if rotation is None:
            self.broken("spent-token", f"{owner} sent a token of {seat.name} that was never given out")
            return
        later = [each.fresh for each in seat.rotations[seat.rotations.index(rotation) :]]
        why = f"{owner} used a spent token of {seat.name}"
        if self.stored(seat) in later:
            self.broken("spent-token", f"{why}; its successor is stored")
        elif rotation.arrived and not rotation.asked_by.dead:
            self.broken("spent-token", f"{why}; {rotation.asked_by} has its successor")
