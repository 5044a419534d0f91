"""Keyrings for tests: they keep things in memory, or in a file for several processes."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class Drawer(KeyringBackend):
    """A keyring that works, in memory."""

    priority = 5.0  # keyring tells a real one from a stand-in by this

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._must_be_open()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._must_be_open()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._must_be_open()
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("there is none")

    def _must_be_open(self) -> None:
        if self.locked:
            raise KeyringLocked("locked")


class Silent(Drawer):
    """One that asks its person first, who is away until `answered`."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = threading.Event()
        self.answered.set()
        self.asked = 0
        """How often; each is a window on their screen."""

    def _must_be_open(self) -> None:
        self.asked += 1
        self.answered.wait()
        super()._must_be_open()


class StandIn(Drawer):
    """One that keeps plain text, which is no better than a file of ours."""

    priority = 0.5


class Chest(Drawer):
    """One that outlives its process."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def kept_now(self) -> dict[tuple[str, str], str]:
        self._must_be_open()
        return self.kept

    def _must_be_open(self) -> None:
        kept = json.loads(self.file.read_text()) if self.file.exists() else []
        self.kept = {(service, username): password for service, username, password in kept}

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password)
        self._put_away()

    def delete_password(self, service: str, username: str) -> None:
        super().delete_password(service, username)
        self._put_away()

    def _put_away(self) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps([[*name, password] for name, password in self.kept.items()]))
        draft.replace(self.file)


def installed(backend: Drawer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drawer]:
    """In the place of the keyring of whoever runs the tests."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    former = keyring.get_keyring()
    monkeypatch.delenv("SEATPOOL_KEYRING")
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(former)
