"""What a check finds: one line, how bad it is, and the command that mends it."""

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Something will not be as the person expects."""
    PROBLEM = "problem"
    """Something does not work."""


class Mend(msgspec.Struct, frozen=True):
    """How to mend it: a command as a person types it."""

    command: str
    argv: tuple[str, ...] = ()
    """The same for a program, where it may be run without thinking: it takes nothing away. `seatpool` is this one."""


class Finding(msgspec.Struct, frozen=True):
    """One."""

    level: Level
    text: str
    mend: Mend | None = None


def well(text: str) -> Finding:
    """As it should be."""
    return Finding(Level.OK, text)


def warning(text: str, mend: Mend | None = None) -> Finding:
    """Not as the person may think."""
    return Finding(Level.WARNING, text, mend)


def problem(text: str, mend: Mend | None = None) -> Finding:
    """Broken."""
    return Finding(Level.PROBLEM, text, mend)


def ours(*arguments: str, shown: str = "") -> Mend:
    """A command of seatpool's own that may be run without thinking."""
    command = " ".join(("seatpool", *arguments))
    return Mend(shown or command, ("seatpool", *arguments))


def theirs(command: str) -> Mend:
    """A command that is for the person to run: it needs a decision, or a shell."""
    return Mend(command)
