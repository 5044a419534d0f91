"""What every system's own way of keeping programs running has in common."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import msgspec
import platformdirs

from seatpool.setup.staying.job import Job

Command = tuple[str, ...]
_PATIENCE_S = 30


class Answer(msgspec.Struct, frozen=True):
    """Of a program."""

    code: int
    said: str
    complained: str = ""


def ask(command: Command) -> Answer:
    """Run a program that changes nothing; a code of 127 where there is none."""
    try:
        # Windows' programs write in another encoding than Python takes for theirs.
        ran = subprocess.run(command, capture_output=True, errors="replace", check=False, timeout=_PATIENCE_S)  # noqa: S603 # fixed
    except FileNotFoundError:
        return Answer(127, "", f"there is no {command[0]} here")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Answer(126, "", f"{command[0]} does not answer: {error}")
    return Answer(ran.returncode, ran.stdout, ran.stderr)


class Leeway(msgspec.Struct, frozen=True):
    """What the exit codes of a command mean, where that is more than success and failure."""

    done: frozenset[int] = frozenset({0})
    again: frozenset[int] = frozenset()
    """The system is still at what came before, and will take it in a moment."""


STRICT = Leeway()
NONE: Mapping[str, Leeway] = MappingProxyType({})


class Machine(msgspec.Struct, frozen=True):
    """What the ways depend on; tests make one up."""

    system: str = msgspec.field(default_factory=platform.system)
    home: Path = msgspec.field(default_factory=Path.home)
    data: Path = msgspec.field(default_factory=lambda: platformdirs.user_data_path("seatpool"))
    environ: Mapping[str, str] = msgspec.field(default_factory=lambda: dict(os.environ))
    which: Callable[[str], str | None] = shutil.which
    ask: Callable[[Command], Answer] = ask
    user: int = msgspec.field(default_factory=lambda: getattr(os, "getuid", lambda: 0)())


class State(msgspec.Struct, frozen=True):
    """What the system says."""

    running: bool
    starts: bool
    """Whether it begins by itself with the person's session."""
    pid: int | None = None
    detail: str = ""
    """In the system's own words."""


class Keeper(Protocol):
    """One system's way. Nothing is changed here."""

    @property
    def title(self) -> str:
        """For a person."""

    @property
    def file(self) -> Path:
        """What the system reads."""

    @property
    def lacking(self) -> str | None:
        """Why it cannot be used now; one line."""

    @property
    def leeway(self) -> Mapping[str, Leeway]:
        """Of its commands, by their second word; the others have none."""

    def advice(self, job: Job) -> tuple[str, ...]:
        """What is worth knowing once it runs: lines."""

    def content(self, job: Job) -> bytes:
        """Of the file."""

    def begin(self) -> Iterator[Command]:
        """Once the file is there, or is another one: start it, now and at each session."""

    def end(self) -> Iterator[Command]:
        """Before the file goes."""

    def forget(self) -> Iterator[Command]:
        """Once it is gone."""

    def state(self) -> State:
        """As it is now."""
