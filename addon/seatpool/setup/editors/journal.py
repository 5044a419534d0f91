"""What was changed, so that it can be taken back: a file for each, in this person's data directory, for nobody else.

An entry is written before the file that it is about. Whoever is killed between the two leaves an entry for a file that
is as it was, and taking that back changes nothing.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import platformdirs

from seatpool import homes, inplace
from seatpool.setup.editors.forms import AnyForm, Value


class Entry(msgspec.Struct, frozen=True):
    """One file that one target has changed."""

    target: str
    title: str
    path: str
    original: bytes | None
    """What it was; None where it was not."""
    written: str
    """SHA-256 of what it was made to be."""
    form: AnyForm
    settings: dict[str, Value]
    """What was put there."""
    folders: tuple[str, ...] = ()
    """That were made for it, the outermost first."""

    @property
    def file(self) -> Path:
        """As the client knows it; maybe a link."""
        return Path(self.path)


class Damaged(Exception):
    """An entry cannot be read; the text is one line."""


def default_folder() -> Path:
    """In this person's data directory."""
    return platformdirs.user_data_path("seatpool") / "setup"


def digest(content: bytes) -> str:
    """As entries hold it."""
    return hashlib.sha256(content).hexdigest()


class Journal:
    """The entries in one folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def entries(self, target: str | None = None) -> Iterator[Entry]:
        """The latest first, so that one that lies on another is taken back before it. Raises `Damaged`."""
        files = [(file.stat().st_mtime_ns, file) for file in self.folder.glob("*.json")]
        for _, file in sorted(files, reverse=True):
            try:
                entry = msgspec.json.decode(file.read_bytes(), type=Entry)
            except msgspec.DecodeError as error:
                raise Damaged(f"{file} is damaged ({error}); without it there is nothing to take back by") from None
            if target in (None, entry.target):
                yield entry

    def find(self, target: str, file: Path) -> Entry | None:
        """Of this file. Raises `Damaged`."""
        return next((entry for entry in self.entries(target) if entry.file == file), None)

    def keep(self, entry: Entry) -> None:
        """In place of a former one of the same file and target. Raises `OSError`."""
        homes.make_private(self.folder.parent, parents=True)
        homes.make_private(self.folder)
        path = self._path(entry)
        draft = path.with_suffix(f".{os.getpid()}")
        with inplace.drafting(draft, path):
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
                stream.write(msgspec.json.encode(entry))
                stream.flush()
                os.fsync(stream.fileno())
            inplace.put(draft, path)

    def amend(self, entry: Entry) -> None:
        """In place of what it was, and as old as that, so that it lies where it lay. Raises `OSError`."""
        was = self._path(entry).stat()
        self.keep(entry)
        os.utime(self._path(entry), ns=(was.st_atime_ns, was.st_mtime_ns))

    def forget(self, entry: Entry) -> None:
        """It has been taken back."""
        self._path(entry).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, entry: Entry) -> Path:
        return self.folder / f"{entry.target}-{digest(entry.path.encode())[:16]}.json"
