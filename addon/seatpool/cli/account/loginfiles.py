"""Reads the files in which other programs keep their logins. Nothing of theirs is ever written to."""

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from seatpool.cli.written import as_utf8
from seatpool.providers.logins import ImportedLogin, NotALogin
from seatpool.providers.registry import PROVIDERS
from seatpool.service.logins import theirs
from seatpool.setup import places

STDIN = Path("-")

_KNOWN = (
    "Codex, opencode or pi (auth.json), Copilot's editors (auth.db, apps.json, hosts.json),"
    " the Copilot CLI (config.json) or gh (hosts.yml)"
)


class Candidate(msgspec.Struct, frozen=True):
    """A login, and the file that holds it."""

    login: ImportedLogin
    path: Path
    """`-` for standard input."""


class Gathered(msgspec.Struct, frozen=True):
    """What was found."""

    candidates: list[Candidate] = msgspec.field(default_factory=list)
    complaints: list[str] = msgspec.field(default_factory=list)
    """One line for each file that could not be read."""

    def take(self, path: Path) -> None:
        """Read one file; what is wrong with it becomes a complaint."""
        try:
            logins, complaints = parse(path, content_of(path))
        except OSError as error:
            self.complaints.append(f"{path}: {error.strerror or error}")
        except NotALogin as error:
            self.complaints.append(str(error))
        else:
            self.candidates.extend(Candidate(login, path) for login in logins)
            self.complaints.extend(complaints)


def gather(paths: Iterable[Path]) -> Gathered:
    """The logins of files that are looked at without having been named: what is wrong with one harms no other."""
    found = Gathered()
    for path in paths:
        found.take(path)
    return found


def search(directory: Path) -> Gathered:
    """The logins in a folder. Raises `NotALogin` when there is none, with the reason."""
    found = gather(places.files_in(directory))
    if not found.candidates:
        looked_for = ", ".join(places.FILES)
        raise NotALogin(
            found.complaints[0] if found.complaints else f"{directory}: no login here; looked for {looked_for}"
        )
    return found


def content_of(path: Path) -> bytes:
    """All of it. Raises `NotALogin` when it is too large, `OSError` when it cannot be read."""
    if path == STDIN:
        return as_utf8(theirs.read(sys.stdin.buffer, shown(path), theirs.LONGEST_FILE))
    return as_utf8(theirs.content_of(path))


def beginning_of(path: Path) -> bytes:
    """Enough of a file to tell what it is."""
    return _first(path, 256)


def parse(path: Path, content: bytes) -> tuple[list[ImportedLogin], list[str]]:
    """The logins that a file holds, of every provider, and what is wrong with parts of it.

    Raises `NotALogin` when it holds none.
    """
    logins: list[ImportedLogin] = []
    complaints: list[str] = []
    for provider in PROVIDERS.values():
        try:
            logins.extend(provider.read_login(path.name, content) or ())
        except NotALogin as error:
            complaints.append(f"{shown(path)}{str(error).removeprefix(path.name)}")
    if not logins:
        raise NotALogin(complaints[0] if complaints else f"{shown(path)}: not a login of {_KNOWN}; nothing was changed")
    return logins, complaints


def shown(path: Path) -> str:
    """As a person would say it."""
    return "standard input" if path == STDIN else theirs.shown(path)


def _first(path: Path, size: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(size)
