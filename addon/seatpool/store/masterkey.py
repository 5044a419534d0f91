"""Where the key lives that seals the credentials: a 0600 file beside the database, or the operating system's keyring.

A key file that exists always wins. A new key goes to the keyring when a real one answers, else to a new key file;
`SEATPOOL_KEYRING=off` always means the file. `keyring` is loaded only when it is asked.
"""

import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

from seatpool.store.errors import StoreUnavailable, WrongKey

_SERVICE = "seatpool"
_LEAST_PRIORITY = 1.0
"""Backends below are stand-ins: plain text files, or none at all (keyring's own rule for `recommended`)."""


def key_file(database: str) -> Path:
    """The key file of a SQLite database."""
    return Path(f"{database}.key")


def find(database: str, key_id: str) -> bytes:
    """The key of a database that has one. Raises `WrongKey` when it cannot be had."""
    file = key_file(database)
    if (key := _read(file)) is not None:
        return key
    if not _keyring_wanted():
        raise WrongKey(f"the key of {database} is missing: no {file}, and SEATPOOL_KEYRING=off; put the file back")
    if (kept := _ask_keyring(key_id)) is None:
        raise WrongKey(
            f"the key of {database} is neither in {file} nor in the keyring; unlock the keyring, or put the file back"
        )
    return kept


def make(database: str, key_id: str) -> bytes:
    """A key for a database that has none yet; a key file that is there is taken. May raise `StoreUnavailable`."""
    file = key_file(database)
    if (key := _read(file)) is not None:
        return key
    key = Fernet.generate_key()
    if not (_keyring_wanted() and _tell_keyring(key_id, key)):
        _write(file, key)
    return key


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WrongKey(f"the key file {file} cannot be read: {error.strerror}; make it readable for you") from error


def _write(file: Path, key: bytes) -> None:
    """Whole or not at all: a kill in between leaves no half key. `mkstemp` makes files 0600."""
    try:
        handle, name = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(key + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or error
        raise StoreUnavailable(f"the key file {file} cannot be written: {reason}; check its directory") from error


def _keyring_wanted() -> bool:
    return os.environ.get("SEATPOOL_KEYRING", "").lower() != "off"


def _ask_keyring(key_id: str) -> bytes | None:
    import keyring

    try:
        kept = keyring.get_password(_SERVICE, key_id)
    except Exception:  # noqa: BLE001 # backends raise what their system libraries raise; any of it means: not to be had
        return None
    return kept.encode() if kept else None


def _tell_keyring(key_id: str, key: bytes) -> bool:
    """Whether the keyring is a real one and gave back what it was told."""
    import keyring

    try:
        if keyring.get_keyring().priority < _LEAST_PRIORITY:
            return False
        keyring.set_password(_SERVICE, key_id, key.decode())
        return keyring.get_password(_SERVICE, key_id) == key.decode()
    except Exception:  # noqa: BLE001 # as above; the key file serves instead
        return False
