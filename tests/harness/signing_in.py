"""Puts an account into a pool from the file that its editor keeps the login in, as an import does."""

from datetime import UTC, datetime
from pathlib import Path

from seatpool.providers.registry import PROVIDERS
from seatpool.store import Store


def sign_in(store: Store, path: Path, name: str) -> None:
    """Every login of the file, under this name."""
    found = (each.read_login(path.name, path.read_bytes()) for each in PROVIDERS.values())
    for login in next(logins for logins in found if logins is not None):
        store.save_login(
            provider=login.provider,
            identity=login.identity,
            name=name,
            explicit_name=True,
            issuer=login.issuer,
            plan=login.plan,
            credentials=login.credentials,
            now=datetime.now(UTC),
        )
