"""The wish of a person that their running proxies record: a small file in their data directory, kept fresh.

It has the key that makes equal secrets equal placeholders. It lies there, for its owner alone, as long as it is
recorded, and is gone afterwards.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import platformdirs

from seatpool import homes, inplace

STALE_S = 10.0
"""A wish that nobody has kept fresh for so long is nobody's any more."""
FRESHEN_S = 1.0
LOOK_EVERY_S = 0.5
"""How often proxies look."""


class Wish(msgspec.Struct, frozen=True):
    """What is to be recorded, and where to."""

    file: str
    key: bytes
    hosts: tuple[str, ...]
    """None: every pooled host."""
    began: float
    """Unix time."""
    ending: bool = False
    """What has not ended yet is to be written as far as it has come."""

    def __repr__(self) -> str:
        return f"Wish({self.file!r})"


def wish_file() -> Path:
    """In this person's data directory."""
    return platformdirs.user_data_path("seatpool") / "recording.json"


def put(file: Path, wish: Wish) -> None:
    """Write it, or write it anew. Raises `OSError`."""
    homes.make_private(file.parent, parents=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with inplace.drafting(draft, file):
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(msgspec.json.encode(wish))
        inplace.put(draft, file)


def freshen(file: Path) -> None:
    """It is still wished. Raises `OSError`."""
    os.utime(file)


def fresh(file: Path) -> bool:
    """Whether there is one that somebody keeps. A microsecond or two."""
    try:
        return time.time() - file.stat().st_mtime < STALE_S
    except OSError:
        return False


def read(file: Path) -> Wish | None:
    """None where there is none that can be understood; one that nobody keeps is taken away."""
    if not fresh(file):
        with suppress(OSError):
            file.unlink()
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Wish)
    except (OSError, ValueError):
        return None


def append(file: str, lines: Sequence[bytes]) -> None:
    """Add lines to a recording, which has to be there already, and this person's alone. Raises `OSError`."""
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(file, flags)
    try:
        found = os.fstat(descriptor)
        if hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & 0o077):
            raise PermissionError(13, "others can read it", file)
        for line in lines:
            os.write(descriptor, line + b"\n")
    finally:
        os.close(descriptor)
