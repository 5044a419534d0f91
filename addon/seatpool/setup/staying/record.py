"""What was done to keep the proxy running, so that it can be told, and taken back: one file in the data directory."""

import os
from pathlib import Path

import msgspec
import platformdirs

from seatpool import homes, inplace


class Record(msgspec.Struct, frozen=True):
    """Of one installation."""

    file: str
    """What the system reads."""
    command: tuple[str, ...]
    proxy: str
    folders: tuple[str, ...] = ()
    """That were made for it, the outermost first."""


def default_file() -> Path:
    """In this person's data directory."""
    return platformdirs.user_data_path("seatpool") / "service.json"


def read(file: Path) -> Record | None:
    """None where there is none, or none that can be understood."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None


def write(file: Path, record: Record) -> None:
    """Raises `OSError`."""
    put(file, msgspec.json.encode(record))


def put(file: Path, content: bytes) -> tuple[str, ...]:
    """Write a file whole or not at all, for nobody else's eyes; the folders that were made for it. Raises `OSError`."""
    missing = [folder for folder in reversed(file.parents) if not folder.exists()]
    for folder in missing:
        homes.make_private(folder)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with inplace.drafting(draft, file):
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
            stream.write(content)
        inplace.put(draft, file)
    return tuple(map(str, missing))


def take(file: Path, folders: tuple[str, ...]) -> None:
    """Delete it, and those folders that nobody else has used since. Raises `OSError`."""
    file.unlink(missing_ok=True)
    for folder in reversed(folders):
        try:
            Path(folder).rmdir()
        except OSError:
            return
