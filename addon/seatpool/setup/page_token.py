"""The token for acting on the page: a file of this person's, which the proxy reads and `seatpool page` shows."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import platformdirs

from seatpool import homes, inplace

LEAST = 32
"""Characters; a shorter one is none."""


def default_file() -> Path:
    """In this person's data directory."""
    return platformdirs.user_data_path("seatpool") / "page-token"


def token(file: Path) -> str:
    """The one that counts; made where there is none. Raises `OSError`."""
    with suppress(FileNotFoundError):
        found = file.read_text().strip()
        if len(found) >= LEAST:
            return found
    return renew(file)


def renew(file: Path) -> str:
    """Another one: the former counts no longer. Nobody but this person can read it. Raises `OSError`."""
    made = secrets.token_urlsafe(32)
    homes.make_private(file.parent, parents=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with inplace.drafting(draft, file):
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(f"{made}\n")
        inplace.put(draft, file)
    return made
