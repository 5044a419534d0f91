"""Where the key lives that seals the credentials: a 0600 file beside the database, or the operating system's keyring.

That of a database on a server is in this person's data directory, under its own number: every machine needs it, and it
is carried there by a person. `SEATPOOL_KEY_FILE` names the file for either.

A key file that exists always wins. A new key goes to the keyring when a real one answers, else to a new key file;
`SEATPOOL_KEYRING=off` always means the file.

While the key is being changed, both are at hand: two lines in the file, or two entries in the keyring (see `rotation`).
Whoever writes here holds the database's write lock, so nobody else does at the same time.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet

from seatpool import homes, inplace
from seatpool.store.databases import places
from seatpool.store.errors import StoreUnavailable, WrongKey
from seatpool.store.sealing import keyrings

_IMPORT = "bring it here from a machine that has it: seatpool key export there, seatpool key import here"
_NUMBER = re.compile(r"[0-9a-f]{32}").fullmatch


class KeyPlace(msgspec.Struct, frozen=True):
    """Where the key of a database is kept: in a file, or else in the keyring. Never the key itself."""

    file: Path | None
    service: str | None = None
    name: str | None = None
    """Of the entry in the keyring, under `service`."""


def key_file(database: str, key_id: str) -> Path:
    """The key file of a database; of its keys one after the other, which is why `key_id` is any of them.

    Raises `StoreUnavailable` where that is in a home directory that nobody knows.
    """
    if named := os.environ.get("SEATPOOL_KEY_FILE", ""):
        return places.absolute(named)
    if _is_served(database):
        return places.data() / f"{key_id.partition('-')[0]}.key"
    return Path(f"{database}.key")


def at_hand() -> tuple[Path, ...]:
    """Key files of this person's that are told by their names, whichever database they are for; with half changes."""
    folder = places.data()
    found = {*folder.glob("*.key"), *folder.glob("*.key.new")}
    if named := os.environ.get("SEATPOOL_KEY_FILE", ""):
        file = places.absolute(named)
        found |= {file, _draft(file)}
    return tuple(sorted(path for path in found if path.is_file()))


def is_of_server(file: Path) -> bool:
    """Whether a key file is that of a database on a server, by its name."""
    return bool(_NUMBER(file.stem))


def _is_served(database: str) -> bool:
    return "://" in database


def or_import(database: str) -> str:
    """The other way to have the key back, where there is one."""
    return f", or {_IMPORT}" if _is_served(database) else ""


def place(database: str, key_id: str) -> KeyPlace:
    """Where `find` finds the key."""
    file = key_file(database, key_id)
    return KeyPlace(file) if file.exists() else KeyPlace(None, keyrings.SERVICE, key_id)


def find(database: str, key_id: str) -> tuple[bytes, ...]:
    """The key of a database that has one, or several of which one is it. Raises `WrongKey` when none can be had."""
    file = key_file(database, key_id)
    if (keys := _read(file)) is not None:
        return keys
    back = _IMPORT if _is_served(database) else "put the file back"
    if not _keyring_wanted():
        raise WrongKey(f"the key of {database} is missing: no {file}, and SEATPOOL_KEYRING=off; {back}")
    if not (kept := keyrings.get(key_id)):
        raise WrongKey(f"the key of {database} is neither in {file} nor in the keyring; unlock the keyring, or {back}")
    return (kept.encode(),)


def make(database: str, key_id: str) -> bytes:
    """A key for a database that has none yet; a key file that is there is taken. May raise `StoreUnavailable`."""
    keys = _read(key_file(database, key_id))
    if keys is not None:
        return next(iter(keys), b"")
    key = Fernet.generate_key()
    keep(database, key_id, key)
    return key


def keep(database: str, key_id: str, key: bytes) -> None:
    """Keep this one alone, where `find` finds it: in the file that is there, else the keyring, else a new file."""
    file = key_file(database, key_id)
    if file.exists() or not (_keyring_wanted() and keyrings.put(key_id, key.decode())):
        _write(file, [key])


def add(database: str, key_id: str, key: bytes, *, beside: bytes) -> None:
    """Keep a second key where the one named `beside` is; both outlive a power cut when this returns.

    Raises `StoreUnavailable`, and then nothing has changed.
    """
    file = key_file(database, key_id)
    if _read(file) is not None:
        _write(file, [beside, key])
    elif not keyrings.put(key_id, key.decode()):
        raise StoreUnavailable("the keyring does not take a new key, so the old one stays; unlock it and try again")


def is_untidy(database: str, key_id: str) -> bool:
    """Whether the file holds more than one key, or half a change; nobody asks the keyring that often."""
    file = key_file(database, key_id)
    return _draft(file).exists() or len(_read(file) or ()) > 1


def keep_only(database: str, key_id: str, key: bytes) -> None:
    """Take every other key out of the file, if there is one. May raise `StoreUnavailable`."""
    file = key_file(database, key_id)
    keys = _read(file)
    if keys is not None and keys != (key,):
        _write(file, [key])
    with _plainly(file):
        _draft(file).unlink(missing_ok=True)


def forget(former: Iterable[str]) -> None:
    """Take keys out of the keyring: of those that were used one before the other, as far back as they are there."""
    there = list(takewhile(keyrings.get, former))
    for key_id in reversed(there):  # a kill in between leaves no gap
        if not keyrings.delete(key_id):
            return


def _read(file: Path) -> tuple[bytes, ...] | None:
    try:
        return tuple(line.strip() for line in file.read_bytes().splitlines() if line.strip())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WrongKey(f"the key file {file} cannot be read: {error.strerror}; make it readable for you") from error


def _draft(file: Path) -> Path:
    return file.with_name(f"{file.name}.new")


def _write(file: Path, keys: Iterable[bytes]) -> None:
    """Whole or not at all, and on the disk: a kill or a power cut leaves the former file, or this one."""
    draft = _draft(file)
    with _plainly(file):
        homes.make_private(file.parent, parents=True)
        draft.unlink(missing_ok=True)  # of a process that was killed here
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.writelines(key + b"\n" for key in keys)
            stream.flush()
            os.fsync(stream.fileno())
        inplace.put(draft, file)
        _sync_directory(file.parent)


@contextmanager
def _plainly(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise StoreUnavailable(f"the key file {file} cannot be written: {reason}; check its directory") from error


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return  # Windows opens no directories
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _keyring_wanted() -> bool:
    return os.environ.get("SEATPOOL_KEYRING", "").lower() != "off"
